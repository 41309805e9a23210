"""The audit log as others see it: a verifier that shares no line with Muster reads what it exports, its proofs and its checkpoints.

MUSTER_TEST_FULL=1: proofs are tried without each of their lines, not without every third."""
import hashlib
import http.client
import json
import os
import pathlib
import shutil
import sqlite3
import ssl
import subprocess
import urllib.request

import pytest

from conftest import BIN, run
from fleet import Place, Server, wait_for

VERIFIER = pathlib.Path(__file__).with_name("audit_verify.mjs")

if not (BIN / "musterd").exists():
    pytest.skip("musterd is not built", allow_module_level=True)
if not shutil.which("node"):
    pytest.skip("no Node.js", allow_module_level=True)


def node(*args):
    return subprocess.run(["node", VERIFIER, *map(str, args)], capture_output=True, text=True, timeout=60, check=False)


def holds(*args):
    done = node(*args)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def get(server, path):
    context = ssl.create_default_context(cafile=server.env["MUSTER_CA"])
    request = urllib.request.Request(server.env["MUSTER_SERVER"] + path, headers={"Authorization": f"Bearer {server.env['MUSTER_TOKEN']}"})
    with urllib.request.urlopen(request, context=context, timeout=30) as reply:
        return reply.read()


def grow(server, count):
    for _ in range(count):
        assert server.muster("robot", "enroll-token").status == 0


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    """A server with 600 entries: full tiles, one that is not, and a tile of a higher level; its key."""
    dir = tmp_path_factory.mktemp("audit")
    server = Server(Place(dir))
    context = ssl.create_default_context(cafile=server.env["MUSTER_CA"])
    size = server.json("audit", "verify")["entries"]
    link = http.client.HTTPSConnection(server.env["MUSTER_SERVER"].removeprefix("https://"), context=context, timeout=30)
    for _ in range(600 - size):
        link.request("POST", "/api/v1/enroll-tokens", b"{}", {"Authorization": f"Bearer {server.env['MUSTER_TOKEN']}"})
        reply = link.getresponse()
        assert reply.status == 201, reply.read()
        reply.read()
    link.close()
    server.key = json.loads(get(server, "/api/v1/audit/checkpoint?since=0"))["key"]
    yield server
    server.stop()


def test_what_is_exported_is_a_log_of_tlog_tiles(log, tmp_path):
    out = tmp_path / "log"
    done = log.muster("audit", "verify", "--export", out, "--key", log.key)
    assert done.status == 0, done.lines
    assert holds("log", out, log.key) == "600 entries"
    files = sorted(p.relative_to(out).as_posix() for p in out.rglob("*") if p.is_file())
    assert files == ["checkpoint", "tile/0/000", "tile/0/001", "tile/0/002.p/88", "tile/1/000.p/2", "tile/entries/000", "tile/entries/001",
                     "tile/entries/002.p/88"]
    for name in files:  # and each of them is looked at
        kept = (out / name).read_bytes()
        for at in (0, len(kept) // 2, len(kept) - 2):
            (out / name).write_bytes(kept[:at] + bytes([kept[at] ^ 1]) + kept[at + 1:])
            assert node("log", out, log.key).returncode == 1, (name, at)
        (out / name).write_bytes(kept)
    holds("log", out, log.key)


def test_the_server_serves_the_same_files(log, tmp_path):
    out = tmp_path / "log"
    assert log.muster("audit", "verify", "--export", out).status == 0
    for name in ("checkpoint", "tile/0/001", "tile/0/002.p/88", "tile/1/000.p/2", "tile/entries/002.p/88"):
        assert get(log, f"/api/v1/audit/{name}") == (out / name).read_bytes(), name


@pytest.mark.parametrize("seq", [1, 2, 256, 257, 512, 600])
def test_an_entry_is_proved_to_others(log, tmp_path, seq):
    proof = tmp_path / "proof"
    assert log.muster("audit", "prove", seq, "-o", proof).status == 0
    entry = json.loads(holds("proof", proof, log.key))
    assert entry["seq"] == seq
    done = run("muster", "audit", "check", proof, "--key", log.key, "--json")
    assert done.status == 0 and done.json()["entry"] == holds("proof", proof, log.key), done.lines
    lines = proof.read_text().splitlines(keepends=True)
    step = 1 if os.environ.get("MUSTER_TEST_FULL") else 3
    for i in range(seq % step, len(lines), step):  # without any of its lines it proves nothing
        proof.write_text("".join(lines[:i] + lines[i + 1:]))
        assert node("proof", proof, log.key).returncode == 1 and run("muster", "audit", "check", proof, "--key", log.key).status in (1, 2, 3), i


def test_checkpoints_are_proved_to_extend_each_other(log, tmp_path):
    before = {}
    for i in range(4):
        answer = json.loads(get(log, "/api/v1/audit/checkpoint?since=0"))
        size = int(answer["checkpoint"].splitlines()[1])
        for old_size, old in before.items():
            proof = get(log, f"/api/v1/audit/checkpoint?since={old_size}")
            (tmp_path / "proof").write_bytes(proof)
            (tmp_path / "new").write_text(json.loads(proof)["checkpoint"])
            (tmp_path / "old").write_text(old)
            holds("consistency", tmp_path / "old", tmp_path / "new", tmp_path / "proof", log.key)
            if size != old_size:  # the other way round nothing is proved
                assert node("consistency", tmp_path / "new", tmp_path / "old", tmp_path / "proof", log.key).returncode == 1
        before[size] = answer["checkpoint"]
        grow(log, i + 1)


def test_another_key_is_told_apart(log, tmp_path):
    assert run("muster", "keys", "operator", "eve", "--dir", tmp_path).status == 0
    key = subprocess.run(["openssl", "pkey", "-in", tmp_path / "eve.key", "-pubout"], capture_output=True, check=True).stdout
    (tmp_path / "eve.pub").write_bytes(key)
    done = log.muster("audit", "verify", "--key", tmp_path / "eve.pub")
    assert done.status == 3 and "no key that is trusted" in done.lines[0], done.lines
    private = subprocess.run(["openssl", "pkey", "-in", log.dir / "online/audit.key", "-pubout"], capture_output=True, check=True).stdout
    (tmp_path / "audit.pub").write_bytes(private)
    assert log.muster("audit", "verify", "--key", tmp_path / "audit.pub").status == 0
    said = log.muster("audit", "verify")
    assert said.status == 0 and "only the server vouches for" in said.out


def test_the_key_is_replaced_under_a_log_that_goes_on(tmp_path):
    server = Server(Place(tmp_path))
    try:
        remembered = tmp_path / "remembered"
        grow(server, 2)
        assert server.muster("audit", "verify", "--remember", remembered).status == 0
        old = remembered.read_text().splitlines()[0]
        assert run("muster", "keys", "operator", "next", "--dir", tmp_path).status == 0
        shutil.move(tmp_path / "next.key", server.dir / "online/audit.key")
        grow(server, 2)
        new = json.loads(get(server, "/api/v1/audit/checkpoint?since=0"))["key"]
        assert new != old and new.split("+")[0] == old.split("+")[0]  # another key, the same log
        done = server.muster("audit", "verify", "--remember", remembered)
        assert done.status == 3 and "no key that is trusted" in done.lines[0], done.lines
        assert server.muster("audit", "verify", "--key", new).status == 3  # what was signed before is known by nobody
        for args in (("--key", old, "--key", new), ("--remember", remembered, "--key", new), ("--remember", remembered)):
            done = server.muster("audit", "verify", *args)
            assert done.status == 0, (args, done.lines)
    finally:
        server.stop()


# ---- robots as witnesses ----


class Site:
    """A fleet with a root of trust, its server, and one robot."""

    def __init__(self, dir):
        self.dir, self.state, self.run_dir, self.agent = dir, dir / "r1", dir / "run", None
        self.server = Server(Place(dir))
        self.root = self.server.place.root
        token = dir / "enroll"
        assert self.server.muster("robot", "enroll-token", "r1", "--output", token).status == 0
        with open(dir / "agent.log", "ab") as log:
            self.agent = subprocess.Popen([BIN / "muster-agent", "--state-dir", self.state, "--run-dir", self.run_dir, "--robot", "r1", "--root",
                                           self.root, "--server", f"https://127.0.0.1:{self.server.ports['robot']}", "--enroll-url",
                                           self.server.env["MUSTER_SERVER"], "--enroll-token-file", token, "--ca", self.server.dir / "ca.pem",
                                           "--recorder-memory-mib", "0", "--poll-wait-s", "2", "--telemetry-ms", "500"], stderr=log)

    def restart(self):
        self.server.process.kill()
        self.server.process.wait()
        self.server.start()

    def close(self):
        if self.agent:
            self.agent.terminate()
            self.agent.wait(30)
            run("muster-agent", "--stop", "--run-dir", self.run_dir)
        self.server.stop()

    def told(self):
        return [e for e in self.server.json("audit", "show")["entries"] if e["kind"] == "witness"]


def rewrite(database):
    """Another history, with everything that belongs to it: what somebody does who owns the server and its keys."""
    with sqlite3.connect(database) as db:
        for what in ("log", "hashes", "checkpoints"):
            name = "audit_log_is" if what == "log" else f"audit_{what}_are"
            db.execute(f"DROP TRIGGER {name}_never_changed")
            db.execute(f"DROP TRIGGER {name}_never_cut")
        db.execute("DELETE FROM audit_hashes")
        db.execute("DELETE FROM audit_checkpoints")
        for seq, entry in db.execute("SELECT seq, entry FROM audit_log").fetchall():
            entry = entry.replace("musterd token", "nobody at all")
            db.execute("UPDATE audit_log SET entry = ?, hash = ? WHERE seq = ?", (entry, hashlib.sha256(b"\0" + entry.encode()).digest(), seq))
    db.close()


def test_a_robot_finds_a_log_that_was_made_anew(tmp_path):
    site = Site(tmp_path)
    try:
        seen = site.state / "trust/checkpoint"
        wait_for(seen.exists, lambda: f"the robot's checkpoint: {(tmp_path / 'agent.log').read_text()[-2000:]}")
        shutil.copy(seen, tmp_path / "witness")
        done = site.server.muster("audit", "verify", "--witness", seen, "--root", site.root)
        assert done.status == 0, done.lines
        grow(site.server, 3)
        site.restart()  # an honest server that was away for a while
        wait_for(lambda: seen.read_text() != (tmp_path / "witness").read_text(), "the robot's next question")
        assert not site.told()
        shutil.copy(seen, tmp_path / "witness")
        site.server.process.kill()
        site.server.process.wait()
        rewrite(site.server.dir / "muster.db")
        site.server.start()
        done = site.server.muster("audit", "verify", "--root", site.root)
        assert done.status == 0, done.lines  # in itself it is sound
        done = site.server.muster("audit", "verify", "--root", site.root, "--witness", tmp_path / "witness")
        assert done.status == 3 and "this is not the log" in done.lines[0], done.lines
        told = wait_for(site.told, lambda: f"the robot's word: {(tmp_path / 'agent.log').read_text()[-2000:]}")
        assert len(told) == 1 and told[0]["text"].startswith("[audit.fork]") and told[0]["robots"] == ["r1"], told
        evidence = json.loads((site.state / "trust/audit-evidence-1.json").read_text())
        assert evidence["known"] == (tmp_path / "witness").read_text() and evidence["violation"].startswith("[audit.fork]")
        key = json.loads(get(site.server, "/api/v1/audit/checkpoint?since=0"))["key"]
        for note in ("known", "given"):  # both signed by the server, as anybody can see
            (tmp_path / note).write_text(evidence[note])
        (tmp_path / "proof").write_text(json.dumps({"consistency": evidence["consistency"]}))
        done = node("consistency", tmp_path / "known", tmp_path / "given", tmp_path / "proof", key)
        assert done.returncode == 1 and "signed" not in done.stderr, done.stderr
    finally:
        site.close()
