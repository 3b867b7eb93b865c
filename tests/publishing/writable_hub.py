"""A stand-in for the Hugging Face Hub on loopback that takes uploads, and fails on an operation it does not know."""

from __future__ import annotations

import base64
import hashlib
import json
import re

import yaml
from standin_hub import COMMIT, Handler, Hub

TOKEN = "hf_writer"
PREUPLOAD = re.compile(r"/api/models/(?P<name>[^/]+/[^/]+)/preupload/(?P<revision>[^/]+)")
BATCH = re.compile(r"/(?P<name>[^/]+/[^/]+)\.git/info/lfs/objects/batch")
OBJECT = re.compile(r"/lfs/(?P<oid>[0-9a-f]{64})")
CREATE_BRANCH = re.compile(r"/api/models/(?P<name>[^/]+/[^/]+)/branch/(?P<branch>[^/]+)")
COMMITS = re.compile(r"/api/models/(?P<name>[^/]+/[^/]+)/commit/(?P<revision>[^/]+)")


class WritableHub(Hub):
    """owners: whom TOKEN may write for. made: what was created. branches: of each commit. unknown: operations that the
    stand-in does not know."""

    def __init__(self) -> None:
        super().__init__()
        self.RequestHandlerClass = WritableHandler
        self.owners = {"me"}
        self.made: list[dict[str, object]] = []
        self.branches: list[str] = []
        self.objects: dict[str, bytes] = {}
        self.unknown: list[str] = []


class WritableHandler(Handler):
    """Creating repositories and branches, asking how to send, large files, commits."""

    server: WritableHub

    def do_POST(self) -> None:
        body = self.body()
        path = self.path.partition("?")[0]
        self.server.asked.append(path)
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            return self.fail(401, "")
        if isinstance(self.server.fault, int) and re.search(self.server.only, path):
            return self.fail(self.server.fault, "")
        if path == "/api/validate-yaml":
            front = yaml.safe_load(json.loads(body)["content"].split("---\n")[1])
            return self.reply({"errors": [] if front["library_name"] else [{"message": "no library"}], "warnings": []})
        if path == "/api/repos/create":
            return self.create(json.loads(body))
        if match := CREATE_BRANCH.fullmatch(path):
            return self.reply({})
        if match := PREUPLOAD.fullmatch(path):
            asked = [file["path"] for file in json.loads(body)["files"]]
            large = [path.endswith(".safetensors") for path in asked]
            modes = [
                {"path": path, "uploadMode": "lfs" if big else "regular", "shouldIgnore": False}
                for path, big in zip(asked, large, strict=True)
            ]
            return self.reply({"files": modes})
        if BATCH.fullmatch(path):
            objects = json.loads(body)["objects"]
            link = lambda oid: {"href": f"{self.server.endpoint}/lfs/{oid}"}  # noqa: E731
            actions = [{**each, "actions": {"upload": link(each["oid"])}} for each in objects]
            return self.reply({"transfer": "basic", "objects": actions})
        if match := COMMITS.fullmatch(path):
            return self.commit(match["name"], match["revision"], [json.loads(line) for line in body.splitlines()])
        return self.refuse()

    def do_PUT(self) -> None:
        body = self.body()
        match = OBJECT.fullmatch(self.path)
        if match is None or hashlib.sha256(body).hexdigest() != match["oid"]:
            return self.refuse()
        self.server.objects[match["oid"]] = body
        return self.reply({})

    def body(self) -> bytes:
        """What was sent, in one piece or in chunks."""
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = []
        while size := int(self.rfile.readline(), 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def create(self, asked: dict[str, object]) -> None:
        name = f"{asked.get('organization') or 'me'}/{asked['name']}"
        if name.partition("/")[0] not in self.server.owners:
            return self.fail(403, "")
        if f"models/{name}" in self.server.repositories:
            return self.reply({"error": "it exists", "url": f"{self.server.endpoint}/{name}"}, 409)
        self.server.made.append(asked)
        self.server.repositories[f"models/{name}"] = {}
        return self.reply({"url": f"{self.server.endpoint}/{name}"})

    def commit(self, name: str, branch: str, lines: list[dict[str, dict[str, str]]]) -> None:
        files = self.server.repositories[f"models/{name}"]
        for line in lines:
            value = line["value"]
            if line["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                files[value["path"]] = self.server.objects[value["oid"]]
            elif line["key"] != "header":
                return self.refuse()
        self.server.branches.append(branch)
        url = f"{self.server.endpoint}/{name}/commit/{COMMIT}"
        return self.reply({"commitUrl": url, "commitOid": COMMIT, "hookOutput": ""})

    def reply(self, value: object, status: int = 200) -> None:
        content = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def refuse(self) -> None:
        self.server.unknown.append(f"{self.command} {self.path}")
        self.fail(501, "")

    def do_DELETE(self) -> None:
        self.refuse()

    do_PATCH = do_DELETE
