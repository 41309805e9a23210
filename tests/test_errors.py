"""What goes wrong outside the robot: strangers at the server's doors, nonsense in requests, damaged releases, full disks,
servers that lie to the command line, daemons that cannot start. One line, the right exit status, and nothing in use changes."""
import http.client
import json
import os
import random
import shutil
import socket
import ssl
import subprocess
import threading

import pytest

from conftest import BIN, run
from fleet import Place, Robot, Server, one_line, wait_for

if not (BIN / "musterd").exists():
    pytest.skip("musterd is not built", allow_module_level=True)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return Place(tmp_path_factory.mktemp("errors"))


@pytest.fixture(scope="module")
def good(place):
    return place.pack("1.0.0")


@pytest.fixture(scope="module")
def server(place, good):
    server = Server(place)
    server.push(good)
    yield server
    assert server.alive(), server.log.read_text()
    server.stop()


@pytest.fixture(scope="module")
def robot(server, place):
    robot = Robot(server, "r1", place.dir / "r1")
    robot.enroll()
    yield robot
    robot.stop()


@pytest.fixture(scope="module")
def visitor(server, place):
    """Whose certificate is good, and whose agent is off: two that speak for the same robot would be found."""
    robot = Robot(server, "r2", place.dir / "r2")
    robot.enroll()
    robot.stop_agent()
    yield robot
    robot.stop()


# ---- a release that is not whole ----


def files(release):
    return sorted(p for p in release.dir.rglob("*") if p.is_file())


def test_any_byte_of_what_no_digest_covers(place, good):
    """index.json and oci-layout name everything else, and nothing names them: every one of their bytes counts."""
    for name in ("index.json", "oci-layout"):
        path = good.dir / name
        whole = path.read_bytes()
        for at in range(0, len(whole), 1 if len(whole) < 100 else 5):
            path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1:])
            one_line(place.verify(good.dir), 3)
        path.write_bytes(whole)


@pytest.mark.parametrize("damage", ["cut", "empty", "longer", "gone", "a folder"])
def test_a_file_of_a_release(place, good, damage):
    for path in files(good):
        whole = path.read_bytes()
        path.unlink()
        if damage == "a folder":
            path.mkdir()
        elif damage != "gone":
            path.write_bytes({"cut": whole[:len(whole) // 2], "empty": b"", "longer": whole + b" x"}[damage])
        done = place.verify(good.dir)
        assert done.status in (1, 3, 4), (path, done.status, done.lines)
        one_line(done, done.status, "", "muster verify: ")
        if path.is_dir():
            path.rmdir()
        path.write_bytes(whole)
    assert place.verify(good.dir).status == 0


def test_one_of_several_releases(place, good):
    """A layout with two of them: named by its digest, each can be verified."""
    both, other = place.dir / "both", place.pack("1.0.1")
    shutil.copytree(good.dir, both)
    shutil.copytree(other.dir / "blobs", both / "blobs", dirs_exist_ok=True)
    index, more = (json.loads((d / "index.json").read_text()) for d in (good.dir, other.dir))
    index["manifests"] += more["manifests"]
    (both / "index.json").write_text(json.dumps(index))
    one_line(place.verify(both), 3, "2 releases")
    for release in (good, other):
        done = place.verify(f"{both}@{release.digest}", "--json")
        assert done.status == 0 and done.json()["version"] == release.version, done.lines
    one_line(place.verify(f"{both}@sha256:12"), 2, "digest")
    one_line(place.verify(f"{both}@sha256:{'0' * 64}"), 4, "0000")


# ---- what the server does not take ----


@pytest.mark.parametrize("model, say", [("garbage.onnx", "model.onnx"), ("transposed.onnx", "output0")])
def test_a_model_that_is_not_what_release_json_says(place, server, model, say):
    release = place.with_model("2.0.0" if model[0] == "g" else "2.0.1", model)
    one_line(server.try_push(release), 3, say)
    one_line(place.verify(release.dir), 3, say)
    assert release.digest not in server.muster("rollout", "list", "--json").out
    assert all(r["digest"] != release.digest for r in call(server, "GET", "/api/v1/releases")[1]["releases"])


def test_what_the_offline_keys_do_not_name(place, server):
    """Another fleet's keys over the same server's; a release that nobody signed; one that was taken back."""
    release = place.pack("2.1.0", sign=None)
    place.found_fleet("strange")
    place.sign(release.dir, "strange")
    one_line(server.try_push(release, keys="strange"), 3, "[targets.")
    one_line(server.try_push(release), 3, "not signed")
    place.sign(release.dir)
    place.unsign(release)
    one_line(server.try_push(release), 3, "not signed")
    place.sign(release.dir)
    server.push(release)


def test_release_keys_change_while_the_server_runs(place, server):
    place.change_keys("rotate", "release")
    server.push(place.pack("2.2.0"))


def test_the_server_s_disk_is_full(place, tmp_path, good):
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "none", disk], capture_output=True).returncode != 0:
        pytest.skip("mounting is not permitted")
    server = Server(place, disk / "server")
    robot = Robot(server, "r1", tmp_path / "r1")
    try:
        server.push(good)
        robot.enroll()
        robot.start_program()
        robot.install(good)
        big = place.pack("3.0.0", extra_bytes=12 << 20)
        one_line(server.try_push(big), 1, "disk is full; free space")
        assert [r["digest"] for r in call(server, "GET", "/api/v1/releases")[1]["releases"]] == [good.digest]
        assert not server.blob(big.digest_of("extra.bin")).exists() and server.alive()
        robot.answers(good)
        assert robot.show()["release"]["digest"] == good.digest
        subprocess.run(["mount", "-o", "remount,size=64m", disk], check=True)
        server.push(big)
        robot.install(big)
    finally:
        robot.stop()
        server.stop()
        subprocess.run(["umount", "-l", disk], check=True)


# ---- who comes to the doors ----


def client_context(server, cert=None):
    context = ssl.create_default_context(cafile=server.dir / "ca.pem")
    if cert:
        context.load_cert_chain(cert / "device.pem", cert / "device.key")
    return context


def connect(server, port, cert=None):
    raw = socket.create_connection(("127.0.0.1", server.ports[port]), timeout=60)
    if port == "console":
        return raw
    return client_context(server, cert).wrap_socket(raw, server_hostname="127.0.0.1")


def call(server, method, path, body=None):
    to = http.client.HTTPSConnection("127.0.0.1", server.ports["operator"], context=client_context(server), timeout=60)
    to.request(method, path, body=body, headers={"Authorization": "Bearer " + server.env["MUSTER_TOKEN"]})
    reply = to.getresponse()
    return reply.status, json.loads(reply.read())


def whole(reply):
    head, found, body = reply.partition(b"\r\n\r\n")
    length = next((int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")), 0)
    return found and len(body) >= length


def answer(server, port, request, cert=None):
    """The reply; b"" if the connection was refused or closed without one."""
    got = b""
    try:
        with connect(server, port, cert) as tls:
            tls.sendall(request)
            while not whole(got) and (piece := tls.recv(65536)):
                got += piece
    except ConnectionError:
        pass
    except ssl.SSLError as error:
        assert "timed out" not in str(error)
    return got


def openssl(*args):
    subprocess.run(["openssl", *map(str, args)], check=True, capture_output=True)


def make_certificate(dir, name, ca=None, days=9):
    """A self-signed one, or one signed by `ca`, a folder with device.pem and device.key."""
    dir.mkdir()
    key, request, cert = dir / "device.key", dir / "request.pem", dir / "device.pem"
    if not ca:
        openssl("req", "-x509", "-newkey", "ed25519", "-nodes", "-subj", name, "-days", days, "-keyout", key, "-out", cert)
        return dir
    openssl("req", "-newkey", "ed25519", "-nodes", "-subj", name, "-keyout", key, "-out", request)
    openssl("x509", "-req", "-in", request, "-CA", ca / "device.pem", "-CAkey", ca / "device.key", "-CAcreateserial", "-days",
            days, "-out", cert)
    return dir


GET = b"GET /api/v1/tuf/timestamp.json HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


def test_no_word_with_strangers(server, visitor, tmp_path):
    """No certificate, a self-signed one with a robot's name, one by a CA with our CA's name, one by another robot."""
    assert answer(server, "robot", GET, visitor.state).startswith(b"HTTP/1.1 20")
    issuer = subprocess.run(["openssl", "x509", "-in", server.dir / "ca.pem", "-noout", "-subject", "-nameopt", "compat"],
                            check=True, capture_output=True, text=True).stdout.split("=", 1)[1].strip()
    ca = make_certificate(tmp_path / "ca", issuer if issuer.startswith("/") else "/" + issuer)
    strangers = [None, make_certificate(tmp_path / "self", "/CN=r2"), make_certificate(tmp_path / "false", "/CN=r2", ca),
                 make_certificate(tmp_path / "robot", "/CN=r1", visitor.state)]
    for stranger in strangers:
        assert answer(server, "robot", GET, stranger) == b"", stranger
    assert answer(server, "robot", GET, visitor.state).startswith(b"HTTP/1.1 20")


def test_a_robot_cannot_use_the_operators_door(server, visitor):
    reply = answer(server, "operator", b"GET /api/v1/robots HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", visitor.state)
    assert reply.startswith(b"HTTP/1.1 401"), reply


# ---- malformed requests ----

HEAD = "{} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{}\r\n"
DIGEST = "sha256:" + "0" * 64
MALFORMED = {
    "two lengths": HEAD.format("POST /api/v1/reports", "Content-Length: 2\r\nContent-Length: 3\r\n") + "{}",
    "length and chunks": HEAD.format("POST /api/v1/reports", "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n") + "0\r\n\r\n",
    "negative length": HEAD.format("POST /api/v1/reports", "Content-Length: -1\r\n"),
    "enormous length": HEAD.format("POST /api/v1/reports", f"Content-Length: {1 << 62}\r\n") + "{",
    "length that is no number": HEAD.format("POST /api/v1/reports", "Content-Length: 0x10\r\n") + "x" * 16,
    "bad chunk": HEAD.format("POST /api/v1/reports", "Transfer-Encoding: chunked\r\n") + "zz\r\n",
    "huge header": HEAD.format("GET /healthz", "X: " + "y" * 300000 + "\r\n"),
    "many headers": HEAD.format("GET /healthz", "".join(f"X{i}: y\r\n" for i in range(5000))),
    "huge path": HEAD.format("GET /" + "a" * 100000, ""),
    "space in a header's name": HEAD.format("GET /healthz", "Content-Length : 0\r\n"),
    "bare newline in the path": HEAD.format("GET /api/v1/blobs/\n" + DIGEST, ""),
    "zero byte": HEAD.format("GET /api/v1/blobs/\0" + DIGEST, ""),
    "no JSON": HEAD.format("POST /api/v1/reports", "Content-Length: 9\r\n") + "{\"a\": nan",
    "deep JSON": HEAD.format("POST /api/v1/reports", "Content-Length: 200000\r\n") + "[" * 200000,
    "no host": "GET /api/v1/director HTTP/1.1\r\nConnection: close\r\n\r\n",
    "old protocol": "GET /api/v1/director HTTP/0.9\r\n\r\n",
    "unknown method": HEAD.format("BREW /api/v1/director", ""),
    **{f"traversal {i}": HEAD.format("GET /api/v1/blobs/" + path, "") for i, path in enumerate([
        "../../ca.key", "..%2f..%2fca.key", "sha256:../../../ca.key", "sha256:..%2f..%2f..%2fca.key", "sha256:" + "/" * 64,
        "sha256:" + "../" * 21 + "a", DIGEST + "/../../../ca.key", DIGEST + "%00", "/etc/passwd"])},
}


@pytest.mark.parametrize("what", MALFORMED)
def test_a_malformed_request(server, visitor, what):
    """On every door: an answer of 4xx in our own form, and nothing else."""
    request = MALFORMED[what].encode()
    token = f"Authorization: Bearer {server.env['MUSTER_TOKEN']}\r\n".encode()
    for port in ("robot", "operator", "console"):
        mine = request if port == "robot" else request.replace(b"Host: x\r\n", b"Host: x\r\n" + token)
        reply = answer(server, port, mine, visitor.state if port == "robot" else None)
        assert b"PRIVATE KEY" not in reply and b"root:" not in reply
        assert reply.startswith(b"HTTP/1.1 4") and b'{"error":' in reply, (port, reply[:300])
    assert call(server, "GET", "/healthz")[0] == 200


def test_bytes_at_random(server, visitor):
    dice = random.Random(7)
    for port in ("robot", "operator", "console"):
        for _ in range(25):
            reply = answer(server, port, dice.randbytes(dice.randrange(1, 3000)) + b"\r\n\r\n",
                           visitor.state if port == "robot" else None)
            assert reply == b"" or reply.startswith(b"HTTP/1.1 4"), reply[:300]
    assert call(server, "GET", "/healthz")[0] == 200
    assert answer(server, "robot", GET, visitor.state).startswith(b"HTTP/1.1 20")


# ---- a server that talks nonsense to the command line ----


@pytest.fixture
def liar(server):
    """Answers every request with the bytes that it is given, under the real server's name."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(server.dir / "server.pem", server.dir / "server.key")
    listener = socket.create_server(("127.0.0.1", 0))
    said = {}

    def serve():
        while True:
            try:
                raw, _ = listener.accept()
                with context.wrap_socket(raw, server_side=True) as tls:
                    tls.recv(65536)
                    tls.sendall(said["bytes"])
                    while said.get("endless"):
                        tls.sendall(b"[" * 65536)
            except OSError:
                if listener.fileno() < 0:
                    return
    threading.Thread(target=serve, daemon=True).start()

    def ask(data, endless=False):
        said.update(bytes=data, endless=endless)
        env = {**server.env, "MUSTER_SERVER": f"https://127.0.0.1:{listener.getsockname()[1]}"}
        return run("muster", "robot", "list", env=env)
    yield ask
    listener.close()


@pytest.mark.parametrize("data, endless, status, say", [
    (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"robots\":[", False, 5, "broke the connection off"),
    (b"HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n{\"robots\":[", False, 3, "answer of the server"),
    (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", False, 3, "robots"),
    (b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n[", True, 3, "more than"),
    (b"HTTP/1.1 500 Oh\r\nContent-Length: 5\r\n\r\n<htm>", False, 1, "500"),
    (b"SSH-2.0-other\r\n\r\n", False, 3, "not HTTP"),
    (b"", False, 5, "broke the connection off"),
])
def test_a_server_that_lies(liar, data, endless, status, say):
    one_line(liar(data, endless), status, say)


# ---- daemons that cannot start ----


def test_musterd_says_why_it_does_not_start(server, tmp_path):
    def serve(dir, *more):
        done = run("musterd", "serve", "--dir", dir, "--robot-listen", "127.0.0.1:0", "--operator-listen", "127.0.0.1:0", *more,
                   timeout=60)
        lines = [line for line in done.lines if " info " not in line and " warn " not in line]
        assert done.status != 0 and len(lines) == 1, (done.status, done.lines)
        return done.status, lines[0]
    assert serve(tmp_path / "none")[0] == 4
    assert "in use" in serve(server.dir)[1] or "another" in serve(server.dir)[1]
    done = run("musterd", "init", "--dir", tmp_path / "mine", "--hosts", "127.0.0.1", "--token-file", tmp_path / "token")
    assert done.status == 0
    status, line = serve(tmp_path / "mine", "--console-listen", f"127.0.0.1:{server.ports['operator']}")
    assert status == 1 and "in use" in line, line
    (tmp_path / "mine/muster.db").write_bytes(os.urandom(8192))
    assert "muster.db" in serve(tmp_path / "mine")[1]
    one_line(run("musterd", "init", "--dir", server.dir), 1, "", "musterd")  # it would overwrite a CA


def test_an_agent_says_why_it_does_not_start(robot, tmp_path):
    """Nobody to trust; a second one on the same store; a wrong word on its command line. The first goes on."""
    done = run("muster-agent", "--state-dir", tmp_path / "state", "--run-dir", tmp_path / "run", "--server", robot.url, "--robot", "r9")
    assert done.status == 2 and "--root" in done.lines[0], done.lines
    done = subprocess.run(robot.command(), capture_output=True, text=True, timeout=60)
    lines = done.stderr.splitlines()
    assert done.returncode == 1 and len(lines) == 1 and "another" in lines[0], done
    done = subprocess.run(robot.command("--alpha", "7"), capture_output=True, text=True, timeout=60)
    assert done.returncode == 2 and "alpha" in done.stderr.splitlines()[0], done
    assert robot.agent.poll() is None
    wait_for(lambda: robot.show()["presence"] == "live", "the first agent")
