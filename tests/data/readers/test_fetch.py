import hashlib
import io
import itertools
import os
import threading
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest

from rnnzoo.data.readers import fetch as module
from rnnzoo.data.readers.fetch import digest, download, fetch
from rnnzoo.errors import DataError, Unavailable

CONTENT = b"the 0.1 0.2\n" * 1000
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        if self.path == "/missing.txt":
            return self.send_error(404)
        if self.path == "/moved.txt":
            self.send_response(302)
            self.send_header("Location", "/vectors.txt")
            return self.end_headers()
        self.send_response(200)
        self.send_header("Content-Length", str(len(CONTENT) + 5 * (self.path == "/short.txt")))
        self.end_headers()
        self.wfile.write(CONTENT)

    def log_message(self, *_) -> None:
        pass


@pytest.fixture
def server():
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.asked = []
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def url(server) -> str:
    return f"http://127.0.0.1:{server.server_address[1]}"


@pytest.fixture
def local_https(server, url, tmp_path, monkeypatch):
    """Addresses of https://files.example lead to the server on loopback; downloads are kept in a folder of the test."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    class Loopback:
        @staticmethod
        def open(address: str, **given):
            return opener.open(address.replace("https://files.example", url), **given)

    monkeypatch.setattr(module, "_https", Loopback)
    monkeypatch.setenv("RNNZOO_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def test_a_local_file_is_given_back_as_it_is(tmp_path):
    path = tmp_path / "vectors.txt"
    path.write_bytes(CONTENT)
    assert fetch(path) == fetch(str(path), SHA256.upper()) == path


def test_a_file_that_is_not_there_is_named_with_the_nearest(tmp_path):
    (tmp_path / "glove.txt").touch()
    with pytest.raises(DataError, match=r"no file '.*gloev.txt'\.\n  Did you mean '.*glove.txt'"):
        fetch(tmp_path / "gloev.txt")
    with pytest.raises(DataError, match="is not a file"):
        fetch(tmp_path)


def test_a_wrong_digest_tells_both(tmp_path):
    (tmp_path / "vectors.txt").write_bytes(CONTENT)
    with pytest.raises(DataError, match=f"Expected {'0' * 64}\n  found    {SHA256}"):
        fetch(tmp_path / "vectors.txt", "0" * 64)


@pytest.mark.parametrize("sha256", ["", "abc", SHA256 + "0", "g" * 64, SHA256 + "\n"])
def test_a_digest_that_is_none_is_refused(tmp_path, sha256):
    with pytest.raises(DataError, match="64 hexadecimal digits"):
        fetch(tmp_path / "vectors.txt", sha256)


@pytest.mark.parametrize("place", ["http://files.example/a.txt", "ftp://files.example/a", "file:///etc/passwd"])
def test_only_https_addresses_are_fetched(place):
    with pytest.raises(DataError, match=r"cannot fetch .*its scheme is"):
        fetch(place, SHA256)


def test_an_address_needs_a_digest():
    with pytest.raises(DataError, match="given without its SHA-256"):
        fetch("https://files.example/vectors.txt")


def test_a_digest_may_stand_at_the_end_of_the_address(local_https, tmp_path):
    kept = fetch(f"https://files.example/vectors.txt#sha256={SHA256}")
    assert kept == fetch("https://files.example/vectors.txt", SHA256) and kept.name == "vectors.txt"
    with pytest.raises(DataError, match="another SHA-256"):
        fetch(f"{kept}#sha256={'0' * 64}")


def test_an_address_is_downloaded_once_and_keeps_its_name(server, local_https):
    first = fetch("https://files.example/vectors.txt", SHA256)
    assert fetch("https://files.example/vectors.txt", SHA256) == first
    assert first.name == "vectors.txt" and first.read_bytes() == CONTENT
    assert server.asked == ["/vectors.txt"] and files(local_https) == [first]


def test_a_kept_download_that_has_changed_is_replaced(server, local_https):
    first = fetch("https://files.example/vectors.txt", SHA256)
    first.write_bytes(b"something else")
    assert fetch("https://files.example/vectors.txt", SHA256).read_bytes() == CONTENT
    assert len(server.asked) == 2


def test_many_processes_may_fetch_the_same_file_at_once(local_https):
    threads = [threading.Thread(target=fetch, args=("https://files.example/vectors.txt", SHA256)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (kept,) = files(local_https)
    assert digest(kept) == SHA256


@pytest.mark.parametrize(
    ("path", "sha256", "message"),
    [
        ("/vectors.txt", "0" * 64, f"Expected {'0' * 64}\n  found    {SHA256}"),
        ("/missing.txt", SHA256, "the server answers 404 Not Found"),
        ("/short.txt", SHA256, f"ended after {len(CONTENT)} of {len(CONTENT) + 5} bytes"),
    ],
)
def test_a_download_that_fails_leaves_nothing(url, tmp_path, path, sha256, message):
    with pytest.raises(DataError, match=message):
        download(url + path, tmp_path / "cache" / "file", sha256, urllib.request.build_opener().open)
    assert files(tmp_path) == []


def test_a_download_has_a_largest_size(url, tmp_path):
    opener = urllib.request.build_opener().open
    with pytest.raises(DataError, match="larger than 11999 bytes"):
        download(f"{url}/vectors.txt", tmp_path / "file", SHA256, opener, max_bytes=len(CONTENT) - 1)
    assert files(tmp_path) == []
    download(f"{url}/vectors.txt", tmp_path / "file", SHA256, opener, max_bytes=len(CONTENT))


def test_a_server_that_points_away_from_https_is_not_followed(url, tmp_path):
    with pytest.raises(DataError, match=r"points to 'http://.*', which is not https"):
        download(f"{url}/moved.txt", tmp_path / "file", SHA256)


def test_without_a_network_a_copy_is_asked_for(tmp_path):
    def unreachable(url: str, timeout: float):
        raise urllib.error.URLError("Name or service not known")

    with pytest.raises(DataError, match=r"Name or service not known\.\n  Without a network, give the path of a copy"):
        download("https://files.example/vectors.txt", tmp_path / "file", SHA256, unreachable)


def test_the_name_of_a_kept_file_never_leaves_its_folder(server, local_https):
    kept = fetch("https://files.example/a/..%2f..%2f.%2e?x=1#y", SHA256)
    assert kept.parent.name == SHA256 and kept.is_relative_to(local_https)


def test_a_server_that_drips_is_not_waited_for(url, tmp_path):
    class Dripping(io.BytesIO):
        headers: ClassVar = {}

        def read1(self, size=-1):
            return b"x"

    hours = itertools.count(0, 3600)
    with pytest.raises(Unavailable, match="less than 32 KiB a second"):
        download(url, tmp_path / "a", "0" * 64, lambda *_, **__: Dripping(), clock=lambda: next(hours))
    assert list(tmp_path.iterdir()) == []


def test_headers_that_do_not_come_are_not_waited_for(url, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "PATIENCE", 0.01)
    ended = threading.Event()
    with pytest.raises(Unavailable, match="no answer within"):
        download(url, tmp_path / "a", "0" * 64, lambda *_, **__: ended.wait())
    ended.set()


def test_a_message_of_a_download_has_no_secret(tmp_path):
    def refuse(*_, **__):
        raise OSError("no route to https://me:canary@h/?sig=canary")

    with pytest.raises(Unavailable) as caught:
        download("https://me:canary@h/a.csv?X-Amz-Signature=canary", tmp_path / "a", "0" * 64, refuse)
    assert "canary" not in str(caught.value) and "X-Amz-Signature=[redacted]" in str(caught.value)


def test_a_user_without_a_home_has_a_folder_of_downloads(monkeypatch):
    for name in ("XDG_CACHE_HOME", "RNNZOO_CACHE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)
    assert module._cache().is_absolute()
