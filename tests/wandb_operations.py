"""What the recorder of tests/wandb_server.py keeps, and its answers to GraphQL: one method per operation."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass, field

ENTITY = "team"


def _id(*parts: object) -> str:
    return base64.b64encode(":".join(map(str, parts)).encode()).decode()


@dataclass
class Run:
    """What a client has sent of one run. `fields`: what it was opened with, by GraphQL's names."""

    entity: str
    project: str
    name: str
    fields: dict = field(default_factory=dict)
    lines: dict[str, dict[int, str]] = field(default_factory=dict)  # of its streamed files, by line number
    files: dict[str, bytes] = field(default_factory=dict)
    used: list[str] = field(default_factory=list)  # artifacts, by NAME:vN
    exit_code: int | None = None
    opened: int = 0  # times

    @property
    def id(self) -> str:
        return _id("Run", "v1", self.name, self.project, self.entity)

    @property
    def config(self) -> dict:
        """Values by key, with W&B's own under `_wandb`."""
        return {key: item["value"] for key, item in json.loads(self.fields.get("config") or "{}").items()}

    @property
    def history(self) -> list[dict]:
        return [json.loads(line) for line in self.stream("wandb-history.jsonl")]

    @property
    def summary(self) -> dict:
        lines = self.stream("wandb-summary.json")
        return json.loads(lines[-1]) if lines else {}

    @property
    def output(self) -> list[str]:
        return self.stream("output.log")

    def stream(self, name: str) -> list[str]:
        lines = self.lines.get(name, {})
        return [lines[number] for number in sorted(lines)]


@dataclass
class Artifact:
    """A version of an artifact. `fields`: as CreateArtifact gave them."""

    id: str
    version: int
    fields: dict
    aliases: set[str] = field(default_factory=set)
    files: dict[str, bytes] = field(default_factory=dict)
    manifest: dict = field(default_factory=dict)
    committed: bool = False

    @property
    def collection(self) -> str:
        return self.fields["artifactCollectionName"]

    @property
    def name(self) -> str:
        return f"{self.collection}:v{self.version}"

    @property
    def state(self) -> str:
        return "COMMITTED" if self.committed else "PENDING"

    @property
    def metadata(self) -> dict:
        return json.loads(self.fields.get("metadata") or "{}")


class Operations:
    """Answers: `on_NAME` takes an operation's variables and returns its data.

    runs: by W&B's run id. artifacts: by GraphQL's id.
    """

    url = ""

    def __init__(self) -> None:
        self.runs: dict[str, Run] = {}
        self.artifacts: dict[str, Artifact] = {}
        self.views: list[dict] = []
        self.uploads: list[Callable[[bytes], None]] = []

    def upload_to(self, take: Callable[[bytes], None]) -> str:
        """A URL whose upload is given to `take`."""
        self.uploads.append(take)
        return f"{self.url}/upload/{len(self.uploads) - 1}"

    def on_Viewer(self, _: dict) -> dict:
        teams = {"edges": [{"node": {"name": ENTITY}}]}
        user = {"id": "u", "entity": ENTITY, "username": "someone", "email": "", "flags": "{}", "teams": teams}
        return {"viewer": user}

    def on_ServerFeaturesQuery(self, _: dict) -> dict:
        return {"serverInfo": {"features": []}}

    def on_ServerInfo(self, _: dict) -> dict:
        return {"serverInfo": {"cliVersionInfo": {"max_cli_version": "99.0.0"}, "latestLocalVersionInfo": None}}

    def on_OrganizationCoreWeaveOrganizationID(self, _: dict) -> dict:
        return {"entity": {"organization": {"coreWeaveOrganizationId": None}}}

    def on_UpsertBucket(self, given: dict) -> dict:
        entity, project = given.get("entity") or ENTITY, given.get("project") or "uncategorized"
        inserted = given["name"] not in self.runs
        run = self.runs.setdefault(given["name"], Run(entity, project, given["name"]))
        run.fields |= {key: value for key, value in given.items() if value is not None}
        run.opened += 1
        return {"upsertBucket": {"bucket": self.bucket(run), "inserted": inserted}}

    def bucket(self, run: Run) -> dict:
        project = {"id": run.project, "name": run.project, "entity": {"id": run.entity, "name": run.entity}}
        return {
            "id": run.id,
            "name": run.name,
            "displayName": run.fields.get("displayName", run.name),
            "description": None,
            "config": run.fields.get("config", "{}"),
            "sweepName": None,
            "project": project,
            "historyLineCount": len(run.history),
        }

    def on_RunResumeStatus(self, given: dict) -> dict:
        entity, project = given.get("entity") or ENTITY, given["project"]
        run = self.runs.get(given["name"])
        tails = {}
        if run is not None:
            history, events = run.stream("wandb-history.jsonl"), run.stream("wandb-events.jsonl")
            tails = {
                "summaryMetrics": json.dumps(run.summary),
                "logLineCount": len(run.output),
                "eventsLineCount": len(events),
                "historyTail": json.dumps(history[-1:]),
                "eventsTail": json.dumps(events[-1:]),
                "tags": run.fields.get("tags", []),
                "notes": run.fields.get("notes"),
                "wandbConfig": '{"t": 1}',
            }
        bucket = None if run is None else {**self.bucket(run), **tails}
        return {"model": {"id": project, "name": project, "entity": {"id": entity, "name": entity}, "bucket": bucket}}

    def on_RunStoppedStatus(self, _: dict) -> dict:
        return {"project": {"run": {"stopped": False}}}

    def on_CreateRunFiles(self, given: dict) -> dict:
        run = self.runs[given["run"]]
        urls = [
            {"name": name, "uploadUrl": self.upload_to(lambda body, name=name: run.files.update({name: body}))}
            for name in given["files"]
        ]
        return {"createRunFiles": {"runID": run.id, "uploadHeaders": [], "files": urls}}

    def on_CreateArtifact(self, given: dict) -> dict:
        """A new version, or the one that has the same content; an alias moves to it from any other."""
        fields = given["input"]
        versions = [a for a in self.artifacts.values() if a.collection == fields["artifactCollectionName"]]
        latest = {"id": versions[-1].id} if versions else None
        found = next((a for a in versions if a.fields["digest"] == fields["digest"]), None)
        if found is None:
            found = Artifact(_id("Artifact", len(self.artifacts)), len(versions), fields)
            self.artifacts[found.id] = found
        aliases = {alias["alias"] for alias in fields.get("aliases") or []}
        for other in versions:
            other.aliases -= aliases
        found.aliases |= aliases
        answer = {"id": found.id, "state": found.state, "artifactSequence": {"latestArtifact": latest}}
        return {"createArtifact": {"artifact": answer}}

    def on_ArtifactType(self, given: dict) -> dict:
        named = (a for a in self.artifacts.values() if given["name"].split(":")[0] == a.collection)
        types = [{"artifactType": {"name": a.fields["artifactTypeName"]}} for a in named]
        return {"project": {"artifact": types[0] if types else None}}

    def on_ArtifactByID(self, given: dict) -> dict:
        artifact = self.artifacts[given["id"]]
        fields = artifact.fields
        project = {
            "id": "p",
            "internalId": "p",
            "name": fields["projectName"],
            "entity": {"name": fields["entityName"]},
        }
        answer = {
            "__typename": "Artifact",
            "id": artifact.id,
            "artifactSequence": {"__typename": "ArtifactSequence", "name": artifact.collection, "project": project},
            "versionIndex": artifact.version,
            "artifactType": {"name": fields["artifactTypeName"]},
            "description": fields.get("description"),
            "metadata": fields.get("metadata"),
            "ttlDurationSeconds": -1,
            "ttlIsInherited": False,
            "tags": [],
            "historyStep": None,
            "state": artifact.state,
            "size": sum(map(len, artifact.files.values())),
            "digest": fields["digest"],
            "commitHash": "0",
            "fileCount": len(artifact.files),
            "createdAt": "2026-01-01T00:00:00",
            "updatedAt": None,
            "aliases": [],
        }
        return {"artifact": answer}

    def on_CreateArtifactManifest(self, given: dict) -> dict:
        artifact = self.artifacts[given["artifactID"]]
        url = self.upload_to(lambda body: artifact.manifest.update(json.loads(body)))
        file = {"id": "f", "uploadUrl": url, "uploadHeaders": []}
        return {"createArtifactManifest": {"artifactManifest": {"id": f"manifest of {artifact.id}", "file": file}}}

    def on_CreateArtifactFiles(self, given: dict) -> dict:
        edges = []
        for file in given["input"]["artifactFiles"]:
            artifact = self.artifacts[file["artifactID"]]
            url = self.upload_to(lambda body, name=file["name"], to=artifact.files: to.update({name: body}))
            node = {"storagePath": file["name"], "uploadUrl": url, "uploadHeaders": [], "artifact": {"id": artifact.id}}
            edges.append({"node": node})
        return {"createArtifactFiles": {"files": {"edges": edges}}}

    def on_CommitArtifact(self, given: dict) -> dict:
        artifact = self.artifacts[given["artifactID"]]
        artifact.committed = True
        return {"commitArtifact": {"artifact": {"id": artifact.id, "digest": artifact.fields["digest"]}}}

    def on_UseArtifact(self, given: dict) -> dict:
        fields = given["input"]
        self.runs[fields["runName"]].used.append(self.artifacts[fields["artifactID"]].name)
        return {"useArtifact": {"artifact": {"id": fields["artifactID"]}}}

    # -- what W&B's public API asks ---------------------------------------------------------------------------------

    def on_GetDefaultEntity(self, _: dict) -> dict:
        return {"viewer": {"id": "u", "entity": ENTITY}}

    def on_Runs(self, given: dict) -> dict:
        """The runs of a project, in the order in which they began."""
        runs = [run for run in self.runs.values() if (run.entity, run.project) == (given["entity"], given["project"])]
        if not runs:
            return {"project": None}
        edges = [{"node": self.node(run), "cursor": run.name} for run in runs]
        page = {"endCursor": edges[-1]["cursor"], "hasNextPage": False}
        found = {"edges": edges, "pageInfo": page}
        return {"project": {"internalId": "1", "runCount": len(runs), "readOnly": False, "runs": found}}

    def node(self, run: Run) -> dict:
        state = {None: "running", 0: "finished"}.get(run.exit_code, "failed")
        return {
            **self.bucket(run),
            "tags": run.fields.get("tags", []),
            "group": run.fields.get("groupName"),
            "jobType": run.fields.get("jobType"),
            "commit": None,
            "notes": run.fields.get("notes"),
            "readOnly": False,
            "createdAt": "2026-01-01T00:00:00",
            "heartbeatAt": "2026-01-01T00:00:00",
            "state": state,
            "summaryMetrics": json.dumps(run.summary),
            "systemMetrics": "{}",
            "historyKeys": {"lastStep": max((row["_step"] for row in run.history), default=-1), "keys": {}},
            "projectId": "1",
            "user": {"name": "someone", "username": "someone"},
        }

    def on_RunHistoryKeys(self, given: dict) -> dict:
        return {"project": {"run": {"historyKeys": self.node(self.runs[given["name"]])["historyKeys"]}}}

    def on_HistoryPage(self, given: dict) -> dict:
        lines = self.runs[given["run"]].stream("wandb-history.jsonl")
        page = [line for line in lines if given["minStep"] <= json.loads(line)["_step"] < given["maxStep"]]
        return {"project": {"run": {"history": page}}}

    def on_RunParquetHistory(self, given: dict) -> dict:
        return {
            "project": {"run": {"parquetHistory": {"parquetUrls": [], "liveData": self.runs[given["runName"]].history}}}
        }

    # -- what wandb-workspaces asks ---------------------------------------------------------------------------------

    def on_GetProjects(self, _: dict) -> dict:
        """None: a client then makes the one that it needs, which changes none that is there."""
        return {"models": {"edges": [], "pageInfo": {"endCursor": "", "hasNextPage": False}}}

    def on_CreateProject(self, given: dict) -> dict:
        fields = given["input"]
        project = {"id": "1", "name": fields["name"], "entityName": fields["entityName"], "views": "{}"}
        project |= {"description": None, "access": None}
        return {"result": {"project": project, "model": project, "inserted": True}}

    def on_ProjectInternalId(self, _: dict) -> dict:
        return {"project": {"internalId": "UHJvamVjdDox"}}

    def on_upsertView(self, given: dict) -> dict:
        """Keeps a report or a workspace, its spec as JSON tells it."""
        id = _id("View", len(self.views))
        self.views.append({**given, "spec": json.loads(given["spec"])})
        project = {"id": "1", "name": given["projectName"], "entityName": given["entityName"]}
        view = {key: given.get(key) for key in ("type", "name", "displayName", "description", "spec")}
        return {"upsertView": {"view": {**view, "id": id, "project": project, "updatedAt": None}, "inserted": True}}

    on_UpsertView2 = on_upsertView
