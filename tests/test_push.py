"""muster push against a real musterd over real TLS: what is sent, what is refused, and how it says so."""
import json
import os
import pathlib
import shutil
import subprocess
import time

import pytest

from conftest import BIN, ROOT, run

if not (BIN / "musterd").exists():
    pytest.skip("musterd is not built", allow_module_level=True)

DETECTOR = ROOT / "models/detector-1.0.0/release.yaml"


class Server:
    def __init__(self, dir, keyring):
        self.dir, self.keyring, self.process = dir, keyring, None

    def init(self):
        done = run("musterd", "init", "--dir", self.dir, "--hosts", "127.0.0.1,localhost", "--token-file", self.dir.parent / "token")
        assert done.status == 0, done.lines

    def start(self):
        ports = self.dir.parent / "ports.json"
        ports.unlink(missing_ok=True)
        self.process = subprocess.Popen(
            [BIN / "musterd", "serve", "--dir", self.dir, "--keyring", self.keyring, "--ports-file", ports,
             "--robot-listen", "127.0.0.1:0", "--operator-listen", "127.0.0.1:0", "--console-listen", "127.0.0.1:0"],
            stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 30
        while not ports.exists():
            assert self.process.poll() is None and time.monotonic() < deadline
            time.sleep(0.05)
        self.url = f"https://127.0.0.1:{json.loads(ports.read_text())['operator']}"
        self.env = {"MUSTER_SERVER": self.url, "MUSTER_TOKEN": (self.dir.parent / "token").read_text().strip(),
                    "MUSTER_CA": str(self.dir / "ca.pem")}

    def stop(self):
        self.process.kill()
        self.process.wait()


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Keys, two keys' worth of releases and a server that trusts the first."""
    place = tmp_path_factory.mktemp("push")
    for keys in ("keys", "strange"):
        assert run("muster", "keys", "init", "--dir", place / keys).status == 0
    assert run("muster", "pack", DETECTOR, "-o", place / "rel").status == 0
    shutil.copytree(place / "rel", place / "unsigned")
    shutil.copytree(place / "rel", place / "stranger")
    assert run("muster", "sign", place / "rel", "--keys", place / "keys").status == 0
    assert run("muster", "sign", place / "stranger", "--keys", place / "strange").status == 0
    server = Server(place / "server", place / "keys/keyring.json")
    server.init()
    server.start()
    yield place, server
    server.stop()


def push(release, env, *args):
    return run("muster", "push", release, "--json", *args, env=env)


def refused(result, status, say=""):
    assert result.status == status, (result.status, result.lines)
    assert result.out == "" and len(result.lines) == 1 and result.lines[0].startswith("muster push: "), result.lines
    assert say in result.lines[0], result.lines


def test_a_release_arrives_and_is_not_sent_twice(place):
    place, server = place
    first = push(place / "rel", server.env)
    assert first.status == 0, first.lines
    assert first.json()["blobs_sent"] >= 5 and first.json()["bytes_sent"] > 100000
    again = push(place / "rel", server.env)
    assert again.status == 0 and again.json()["blobs_sent"] == 0 and again.json()["blobs_skipped"] >= 5


def test_flags_instead_of_the_environment(place):
    place, server = place
    clean = {name: "" for name in server.env}
    assert push(place / "rel", clean, "--server", server.url + "/", "--token-file", place / "token", "--ca",
                place / "server/ca.pem").status == 0


def test_what_the_server_does_not_take(place):
    place, server = place
    refused(push(place / "unsigned", server.env), 3, "not signed")
    refused(push(place / "stranger", server.env), 3, "unknown")
    damaged = place / "damaged"
    shutil.copytree(place / "rel", damaged)
    blob = max((damaged / "blobs/sha256").iterdir(), key=lambda p: p.stat().st_size)
    data = bytearray(blob.read_bytes())
    data[1000] ^= 1
    blob.write_bytes(data)
    refused(push(damaged, server.env), 3, "damaged")


def test_who_may_not(place):
    place, server = place
    refused(push(place / "rel", {**server.env, "MUSTER_TOKEN": "0" * 64}), 3, "token")
    refused(push(place / "rel", {**server.env, "MUSTER_TOKEN": ""}), 3, "token")
    other = place / "other-ca"
    assert run("musterd", "init", "--dir", other, "--hosts", "127.0.0.1", "--token-file", place / "other-token").status == 0
    refused(push(place / "rel", {**server.env, "MUSTER_CA": str(other / "ca.pem")}), 3, "certificate")


def test_no_server(place):
    place, server = place
    refused(push(place / "rel", {**server.env, "MUSTER_SERVER": "https://127.0.0.1:1"}), 5, "127.0.0.1:1")
    refused(push(place / "rel", {**server.env, "MUSTER_SERVER": ""}), 2, "MUSTER_SERVER")
    refused(push(place / "nothing", server.env), 4, "nothing")


def test_a_big_release_goes_in_parts(place):
    """A weight file of more than two parts; pushed again after the server was killed, it is there."""
    place, server = place
    big = place / "big"
    (place / "notes.bin").write_bytes(os.urandom(20 << 20))
    yaml = DETECTOR.read_text().replace("../golden", str(ROOT / "models/golden")) \
        .replace("path: model.onnx", f"path: {DETECTOR.parent}/model.onnx") \
        .replace("recipe: recipe.json", f"recipe: {place}/notes.bin")
    (place / "big.yaml").write_text(yaml.replace("version: 1.0.0", "version: 1.0.1"))
    assert run("muster", "pack", place / "big.yaml", "-o", big).status == 0
    assert run("muster", "sign", big, "--keys", place / "keys").status == 0
    sent = push(big, server.env)
    assert sent.status == 0, sent.lines
    assert sent.json()["bytes_sent"] >= 20 << 20
    server.stop()
    server.start()
    again = push(big, server.env)
    assert again.status == 0 and again.json()["bytes_sent"] == 0
