"""TUF with others: a stock client on our repository, our client on a stock repository; and our client on servers that misbehave."""
import hashlib
import http.server
import json
import os
import pathlib
import shutil
import socketserver
import subprocess
import threading
import time

import pytest

from conftest import BIN, ROOT, run

STOCK = ROOT / "tests/tuf/stock.mjs"
REPO = pathlib.Path(os.environ.get("MUSTER_STOCK_REPO", ROOT / "build/release/tests/stock_repo"))

if not REPO.exists():
    pytest.skip("stock_repo is not built", allow_module_level=True)


@pytest.fixture(scope="module")
def repos(tmp_path_factory):
    """Two states of a repository of ours: `first` and, after every key was replaced, `second`."""
    base = tmp_path_factory.mktemp("tuf")
    subprocess.run([REPO, base], check=True)
    return base


def hashed(path):
    """Where a repository with consistent snapshots keeps a target."""
    head, _, tail = path.rpartition("/")
    return (head + "/" if head else "") + hashlib.sha256(path.encode()).hexdigest() + "." + tail


class Files(http.server.BaseHTTPRequestHandler):
    """The metadata of `server.folder` below /metadata/, targets (their own paths) below /targets/; `server.bend` may answer instead."""

    def do_GET(self):
        self.server.asked.append(self.path)
        if self.server.bend and self.server.bend(self):
            return
        content = self.content()
        if content is None:
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def content(self):
        kind, _, name = self.path.lstrip("/").partition("/")
        if kind == "targets":
            return self.server.targets.get(name)
        file = self.server.folder / name
        return file.read_bytes() if kind == "metadata" and file.exists() else None

    def log_message(self, *_):
        pass


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True

    def __init__(self, folder):
        super().__init__(("127.0.0.1", 0), Files)
        self.folder, self.bend, self.asked, self.over = folder, None, [], threading.Event()
        self.targets = {hashed(path): path.encode() for path in ("a/1.0.0", "dir/b/2.0.0", "c/3.0.0")}
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def end(self):
        self.over.set()
        self.shutdown()
        self.server_close()


@pytest.fixture
def server(repos):
    server = Server(repos / "first")
    yield server
    server.end()


class Client:
    """`muster tuf` with its folders."""

    def __init__(self, place, url, root):
        self.metadata, self.targets, self.url = place / "metadata", place / "targets", url
        assert self.run("init", root).status == 0

    def run(self, *command, options=()):
        return run("muster", "tuf", "--metadata-dir", self.metadata, "--metadata-url", self.url + "/metadata",
                   "--target-base-url", self.url + "/targets", "--target-dir", self.targets, *options, *command)

    def download(self, *paths, options=()):
        return self.run("download", options=[*options, *(part for path in paths for part in ("--target-name", path))])

    def versions(self):
        names = ("root", "timestamp", "snapshot", "targets")
        files = [self.metadata / f"{name}.json" for name in names]
        return [json.loads(file.read_text())["signed"]["version"] if file.exists() else 0 for file in files]

    def content(self):
        return sorted(file.read_text() for file in self.targets.glob("**/*") if file.is_file()) if self.targets.exists() else []


@pytest.fixture
def client(tmp_path, server):
    return Client(tmp_path, server.url, server.folder / "1.root.json")


def refused(result, rule):
    assert result.status == 1, result.lines
    assert f"[{rule}]" in result.lines[-1], result.lines


# ---- with stock software

def stock_get(server, place, *paths):
    done = subprocess.run(["node", STOCK, "get", server.url + "/metadata", server.url + "/targets",
                           server.folder.parent / "first/1.root.json", place, *paths],
                          capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_tuf_js_reads_our_repository(server, tmp_path):
    got = stock_get(server, tmp_path, "a/1.0.0", "dir/b/2.0.0", "c/3.0.0")
    assert got["targets"] == {"a/1.0.0": "a/1.0.0", "dir/b/2.0.0": "dir/b/2.0.0", "c/3.0.0": None}


def test_tuf_js_follows_our_rotations(server, repos, tmp_path):
    before = stock_get(server, tmp_path, "a/1.0.0")
    server.folder = repos / "second"
    after = stock_get(server, tmp_path, "c/3.0.0", "a/1.0.0")
    assert after["targets"] == {"c/3.0.0": "c/3.0.0", "a/1.0.0": None}
    assert (before["versions"]["root"], after["versions"]["root"]) == (1, 6)


def test_our_client_reads_the_same(server, repos, client):
    assert client.download("a/1.0.0", "dir/b/2.0.0").status == 0
    refused(client.download("c/3.0.0"), "targets.unknown")
    server.folder = repos / "second"
    assert client.download("c/3.0.0").status == 0
    refused(client.download("nothing"), "targets.unknown")
    assert client.versions()[0] == 6
    assert client.content() == ["a/1.0.0", "c/3.0.0", "dir/b/2.0.0"]


@pytest.fixture
def mock(tmp_path):
    """@tufjs/repo-mock, as it comes: P-256, no consistent snapshots, hashes and lengths, times with milliseconds."""
    served = subprocess.Popen(["node", STOCK, "serve", "model=weights", "dir/other=more weights"],
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    told = json.loads(served.stdout.readline())
    root = tmp_path / "mock-root.json"
    root.write_text(json.dumps(told["root"]))
    yield told["url"], root
    served.stdin.close()
    served.wait(30)


def test_our_client_reads_a_stock_repository(mock, tmp_path):
    url, root = mock
    client = Client(tmp_path, url, root)
    done = client.download("model", "dir/other")
    assert done.status == 0, done.lines
    assert client.content() == ["more weights", "weights"]
    assert client.versions() == [1, 1, 1, 1]
    refused(client.download("nothing"), "targets.unknown")


def test_our_client_refuses_a_stock_repository_of_other_keys(mock, repos, tmp_path):
    url, _ = mock
    client = Client(tmp_path, url, repos / "first/1.root.json")
    refused(client.run("refresh"), "timestamp.signatures")
    assert client.versions() == [1, 0, 0, 0]


# ---- servers that misbehave. What ends is the limit on silence and on size; nobody measures how long it took.

def test_silent_server(server, client):
    server.bend = lambda request: server.over.wait(60)
    result = client.run("refresh", options=["--stall", "1"])
    assert result.status == 1 and "stalled" in result.lines[-1], result.lines
    assert client.versions() == [1, 0, 0, 0]


def drip(request, pause_s=0.2):
    """A byte now and then: never silent for long, never done."""
    request.send_response(200)
    request.send_header("Content-Length", "400")
    request.end_headers()
    try:
        while not request.server.over.wait(pause_s):
            request.wfile.write(b" ")
            request.wfile.flush()
    except OSError:
        pass
    return True


def test_dripping_server(server, client):
    server.bend = lambda request: "timestamp" in request.path and drip(request)
    result = client.run("refresh", options=["--timeout", "2"])
    assert result.status == 1, result.lines
    assert client.versions() == [1, 0, 0, 0]
    server.bend = None
    assert client.run("refresh").status == 0


@pytest.mark.parametrize("announced", [True, False], ids=["announced", "chunk by chunk"])
def test_endless_metadata(server, client, announced):
    sent = []

    def flood(request):
        if "snapshot" not in request.path:
            return False
        request.send_response(200)
        if announced:
            request.send_header("Content-Length", str(1 << 40))
        request.end_headers()
        try:
            while not server.over.is_set():
                sent.append(request.wfile.write(b"x" * 65536))
        except OSError:
            pass
        request.close_connection = True
        return True

    server.bend = flood
    refused(client.run("refresh"), "metadata.size")
    assert client.versions()[2:] == [0, 0]
    assert sum(sent) < 64 << 20  # 2,000,000 bytes, and what was on its way


def answers(request, content):
    request.send_response(200)
    request.send_header("Content-Length", str(len(content)))
    request.end_headers()
    request.wfile.write(content)
    return True


@pytest.mark.parametrize("content", [b"a/1.0.1", b"a/1.0.0 and more", b"a/1", b""], ids=["changed", "longer", "shorter", "empty"])
def test_target_that_is_another(server, client, content):
    server.bend = lambda request: request.path.startswith("/targets/") and answers(request, content)
    refused(client.download("a/1.0.0"), "target.hash")
    assert client.content() == []
    server.bend = None
    assert client.download("a/1.0.0").status == 0


def test_target_cut_in_the_middle(server, client):
    def cut(request):
        if not request.path.startswith("/targets/"):
            return False
        request.send_response(200)
        request.send_header("Content-Length", "7")
        request.end_headers()
        request.wfile.write(b"a/1")
        request.close_connection = True
        return True

    server.bend = cut
    assert client.download("a/1.0.0").status == 1
    assert client.content() == []


def test_target_that_is_there_is_not_fetched_again(server, client):
    assert client.download("a/1.0.0").status == 0
    server.asked.clear()
    assert client.download("a/1.0.0").status == 0
    assert not [path for path in server.asked if path.startswith("/targets/")]
    (file,) = [path for path in client.targets.glob("**/*") if path.is_file()]
    file.write_text("b/1.0.0")  # somebody was at the disk
    assert client.download("a/1.0.0").status == 0
    assert client.content() == ["a/1.0.0"]


def test_freeze_is_seen(server, client):
    """The server holds back what is new; the client's clock, read from the system, sees the timestamp expire."""
    faketime = shutil.which("faketime")
    if not faketime:
        pytest.skip("needs faketime")
    assert client.run("refresh").status == 0
    done = subprocess.run([faketime, "-f", "+2d", BIN / "muster", "tuf", "--metadata-dir", client.metadata,
                           "--metadata-url", server.url + "/metadata", "refresh"], capture_output=True, text=True, check=False)
    if "ASan runtime" in done.stderr:
        pytest.skip("a sanitizer wants to be loaded first")
    assert done.returncode == 1 and "[timestamp.expired]" in done.stderr, done.stderr


def test_server_that_fails_is_no_lack(server, client):
    """503 for the next root is not "there is none": an attacker could hide a rotation behind it."""
    def fail(request):
        if ".root.json" not in request.path:
            return False
        request.send_error(503)
        return True

    server.bend = fail
    assert client.run("refresh").status == 1
    assert client.versions() == [1, 0, 0, 0]


def test_killed_at_any_time(server, repos, client):
    """kill -9 between any two of the server's answers: the next run gets to the end."""
    for stop in range(1, 12):
        shutil.rmtree(client.metadata)
        assert client.run("init", repos / "first/1.root.json").status == 0
        server.folder, server.bend = repos / "first", None
        assert client.run("refresh").status == 0
        server.folder, server.asked = repos / "second", []
        process = []

        def kill(request):
            if len(server.asked) < stop:
                return False
            while not process:
                time.sleep(0.001)
            process[0].kill()
            return True

        server.bend = kill
        command = [BIN / "muster", "tuf", "--metadata-dir", client.metadata, "--metadata-url", server.url + "/metadata",
                   "refresh"]
        process.append(subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
        ended = process[0].wait(60)
        server.bend = None
        assert client.run("refresh").status == 0
        assert client.versions()[0] == 6
        if ended == 0:
            break
    assert stop > 5, "the update asked for less than it must"
