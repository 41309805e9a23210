"""The offline side of trust: muster keys, sign, verify, push and approve, with several people and a real musterd over real TLS."""
import json
import os
import pty
import select
import shutil
import ssl
import stat
import subprocess
import termios
import time
import urllib.request

import pytest

from conftest import BIN, ROOT, run

if not (BIN / "musterd").exists():
    pytest.skip("musterd is not built", allow_module_level=True)

RECIPE = """
schema: 1
name: detector
version: {version}
task: detection
targets: [x86_64, aarch64]
model:
  path: {root}/tests/data/models/quadrants.onnx
  inputs: [{{name: images, dtype: float32, shape: [1, 3, 16, 16]}}]
  outputs: [{{name: output0, dtype: float32, shape: [1, 6, 4]}}]
postprocess: {{decoder: yolov8}}
labels: [red, green]
budgets: {{latency_p99_ms: 5000, deadline_ms: 5000, memory_mib: 128}}
safe_state: stop
golden: {{inputs: {root}/models/golden}}
"""

ROLLOUT = """
name: go
release: detector:{version}
waves: [{{name: all, percent: 100, bake_s: 0}}]
gates: {{max_failures: 0, min_frames: 0}}
"""


def ok(*args, env=None):
    done = run(*args, env=env)
    assert done.status == 0, (args, done.status, done.out, done.lines)
    return done


def refused(done, status, say):
    assert done.status == status and len(done.lines) == 1 and say in done.lines[0], (done.status, done.out, done.lines)


def pack(place, version):
    recipe, out = place / f"release-{version}.yaml", place / f"release-{version}"
    recipe.write_text(RECIPE.format(version=version, root=ROOT))
    ok("muster", "pack", recipe, "-o", out)
    return out


class Fleet:
    """A workstation, and the directory of a server that can be started."""

    def __init__(self, dir, *, passphrase=None):
        self.dir, self.keys, self.server, self.process = dir, dir / "keys", dir / "server", None
        self.env = {"MUSTER_PASSPHRASE_FILE": ""}
        self.new_server("server")
        args = ["--no-passphrase"]
        if passphrase:
            (dir / "passphrase").write_text(passphrase + "\n")
            self.env, args = {"MUSTER_PASSPHRASE_FILE": str(dir / "passphrase")}, []
        self.muster("keys", "init", "--dir", self.keys, "--fleet", "warehouse", "--online", self.server / "online.json", *args)

    def new_server(self, name):
        self.server = self.dir / name
        ok("musterd", "init", "--dir", self.server, "--hosts", "127.0.0.1", "--token-file", self.dir / f"{name}.token")

    def muster(self, *args):
        return ok("muster", *args, env=self.env)

    def change(self, verb, *args):
        return self.muster("keys", verb, *args, "--dir", self.keys, *([] if verb in ("sign", "publish") else ["--no-passphrase"]))

    def list(self):
        return self.muster("keys", "list", "--dir", self.keys, "--json").json()

    def role(self, role):
        return next(x for x in self.list()["roles"] if x["role"] == role)

    def sign(self, release, *args):
        return self.muster("sign", release, "--keys", self.keys, "--json", *args).json()

    def verify(self, release, root=1, metadata=None):
        return run("muster", "verify", release, "--root", self.keys / f"metadata/{root}.root.json", "--metadata",
                   metadata or self.keys / "metadata", "--machine", "any", "--json")

    def start(self, root="metadata/1.root.json"):
        ports = self.dir / "ports.json"
        ports.unlink(missing_ok=True)
        self.process = subprocess.Popen([BIN / "musterd", "serve", "--dir", self.server, "--root", self.keys / root, "--ports-file", ports,
                                         "--robot-listen", "127.0.0.1:0", "--operator-listen", "127.0.0.1:0"], stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 60
        while not ports.exists():
            assert self.process.poll() is None and time.monotonic() < deadline
            time.sleep(0.05)
        self.url = f"https://127.0.0.1:{json.loads(ports.read_text())['operator']}"
        self.env |= {"MUSTER_SERVER": self.url, "MUSTER_TOKEN": (self.dir / f"{self.server.name}.token").read_text().strip(),
                     "MUSTER_CA": str(self.server / "ca.pem")}

    def stop(self):
        if self.process:
            self.process.terminate()
            self.process.wait()
            self.process = None

    def push(self, *args):
        return self.muster("push", *args, "--keys", self.keys, "--json").json()

    def enroll(self, robot):
        token = self.muster("robot", "enroll-token", robot).out.strip()
        key, csr = self.dir / f"{robot}.pem", self.dir / f"{robot}.csr"
        subprocess.run(["openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", key], check=True)
        subprocess.run(["openssl", "req", "-new", "-key", key, "-subj", f"/CN={robot}", "-out", csr], check=True)
        body = json.dumps({"token": token, "csr": csr.read_text()}).encode()
        request = urllib.request.Request(self.url + "/api/v1/enroll", body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, context=ssl.create_default_context(cafile=self.env["MUSTER_CA"])) as answer:
            assert answer.status in (200, 201)


@pytest.fixture(scope="module")
def releases(tmp_path_factory):
    place = tmp_path_factory.mktemp("releases")
    return {version: pack(place, version) for version in ("1.0.0", "2.0.0")}


@pytest.fixture
def fleet(tmp_path):
    fleet = Fleet(tmp_path)
    yield fleet
    fleet.stop()


# ---- keys at rest ----


def test_keys_are_kept_encrypted(tmp_path, releases):
    fleet = Fleet(tmp_path, passphrase="correct horse")
    for name in ("root.key", "release.key"):
        assert "BEGIN ENCRYPTED PRIVATE KEY" in (fleet.keys / name).read_text()
        assert stat.S_IMODE((fleet.keys / name).stat().st_mode) == 0o600
    fleet.sign(releases["1.0.0"])
    wrong = tmp_path / "wrong"
    wrong.write_text("incorrect horse")
    before = sorted((fleet.keys / "metadata").iterdir())
    refused(run("muster", "sign", "--renew", "--keys", fleet.keys, env={"MUSTER_PASSPHRASE_FILE": str(wrong)}), 3, "passphrase")
    assert sorted((fleet.keys / "metadata").iterdir()) == before
    with subprocess.Popen([BIN / "muster", "sign", "--renew", "--keys", fleet.keys], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, start_new_session=True,
                          env={k: v for k, v in os.environ.items() if k != "MUSTER_PASSPHRASE_FILE"}) as done:
        out, lines = done.communicate(timeout=60)
    assert done.returncode == 3 and out == "" and "MUSTER_PASSPHRASE_FILE" in lines
    (tmp_path / "short").write_text("short")
    refused(run("muster", "keys", "add", "root", "--new", "x", "--dir", fleet.keys, env={"MUSTER_PASSPHRASE_FILE": str(tmp_path / "short")}),
            3, "fewer than 8")


class Terminal:
    """The program at a terminal of its own."""

    def __init__(self, *args):
        env = {k: v for k, v in os.environ.items() if k != "MUSTER_PASSPHRASE_FILE"}
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execve(BIN / "muster", ["muster", *map(str, args)], env)
        self.seen = ""

    def expect(self, text, answer=""):
        deadline = time.monotonic() + 60
        while text not in self.seen:
            assert time.monotonic() < deadline and select.select([self.fd], [], [], 20)[0], self.seen
            self.seen += os.read(self.fd, 4096).decode()
        os.write(self.fd, answer.encode())

    def echoes(self):
        return bool(termios.tcgetattr(self.fd)[3] & termios.ECHO)

    def end(self):
        while True:
            try:
                data = os.read(self.fd, 4096)
            except OSError:
                break
            if not data:
                break
            self.seen += data.decode()
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


def test_a_passphrase_is_asked_for_at_the_terminal(tmp_path):
    new = ("keys", "new", "ann", "--dir", tmp_path)
    terminal = Terminal(*new)
    terminal.expect("passphrase for the new keys: ")
    assert not terminal.echoes()
    terminal.expect("", "correct horse\n")
    terminal.expect("the same again: ", "correct hose\n")
    assert terminal.end() == 3 and "differ" in terminal.seen and "horse" not in terminal.seen
    assert not (tmp_path / "ann.key").exists()
    terminal = Terminal(*new)
    terminal.expect("passphrase for the new keys: ", "\x03")
    assert terminal.end() == 3 and "no passphrase" in terminal.seen
    terminal = Terminal(*new)
    terminal.expect("passphrase for the new keys: ", "correct horse\n")
    terminal.expect("the same again: ", "correct horse\n")
    assert terminal.end() == 0 and "ann.pub.json" in terminal.seen
    assert "BEGIN ENCRYPTED PRIVATE KEY" in (tmp_path / "ann.key").read_text()


def test_a_fleet_is_founded_once(fleet):
    before = {p: p.read_bytes() for p in fleet.keys.rglob("*") if p.is_file()}
    done = run("muster", "keys", "init", "--dir", fleet.keys, "--fleet", "other", "--online", fleet.server / "online.json", "--no-passphrase")
    assert done.status != 0 and "exists" in done.lines[0]
    assert {p: p.read_bytes() for p in fleet.keys.rglob("*") if p.is_file()} == before
    done = run("muster", "keys", "init", "--dir", fleet.dir / "k", "--fleet", "other")
    assert done.status == 2 and "--online" in done.lines[0]


# ---- several people ----


def test_two_people_sign_on_machines_of_their_own(fleet, releases):
    """Bob's key never comes near the first machine: only his public half and the signed copy do."""
    bob = fleet.dir / "bob"
    ok("muster", "keys", "new", "bob", "--dir", bob, "--no-passphrase")
    fleet.change("add", "release", bob / "bob.pub.json")
    fleet.change("threshold", "release", "2")
    state = fleet.list()
    assert state["root"]["version"] == 3 and fleet.role("targets")["threshold"] == 2
    assert [p["role"] for p in state["pending"]] == ["targets"], "targets by one key do not hold any more"
    assert fleet.sign(releases["1.0.0"])["published"] is False
    pending = fleet.list()["pending"][0]
    assert (pending["signatures"], pending["needed"]) == (1, 2)
    done = run("muster", "keys", "publish", "--dir", fleet.keys)
    assert done.status != 0 and "1 of 2" in done.lines[0]
    assert fleet.verify(releases["1.0.0"]).status == 3
    copy = bob / "keys"
    shutil.copytree(fleet.keys, copy)
    fleet.muster("keys", "sign", "--dir", copy, "--key", bob / "bob.key")
    fleet.muster("keys", "sign", "--dir", fleet.keys, "--merge", copy)
    assert fleet.list()["pending"] == []
    assert fleet.verify(releases["1.0.0"]).status == 0


def test_a_strangers_key_counts_for_nothing(fleet, tmp_path):
    other = Fleet(tmp_path / "other") if (tmp_path / "other").mkdir() is None else None
    fleet.change("threshold", "release", "1")
    (fleet.keys / "release.key").rename(tmp_path / "release.key")
    assert "0 of 1" in fleet.muster("sign", "--renew", "--keys", fleet.keys).out
    done = run("muster", "keys", "sign", "--dir", fleet.keys, "--key", other.keys / "release.key")
    assert "does not speak for it" in done.out and fleet.list()["pending"][0]["signatures"] == 0
    fleet.muster("keys", "sign", "--dir", fleet.keys, "--key", tmp_path / "release.key")
    assert fleet.list()["pending"] == []


def test_what_would_lock_everybody_out_is_refused(fleet):
    version = fleet.list()["root"]["version"]
    refused(run("muster", "keys", "threshold", "root", "2", "--dir", fleet.keys), 3, "1 keys")
    refused(run("muster", "keys", "remove", "release", "release", "--dir", fleet.keys), 3, "0 keys")
    refused(run("muster", "keys", "threshold", "timestamp", "2", "--dir", fleet.keys), 2, "root or release")
    assert fleet.list()["root"]["version"] == version and fleet.list()["pending"] == []


# ---- rotation ----


def test_every_role_rotates_and_the_first_root_still_leads_there(fleet, releases):
    fleet.sign(releases["1.0.0"])
    before = {role["role"]: role["keys"][0]["keyid"] for role in fleet.list()["roles"]}
    fleet.change("rotate", "root")
    fleet.change("rotate", "release")
    for role in ("timestamp", "snapshot", "director", "audit"):
        ok("musterd", "rotate", "--dir", fleet.server, "--role", role)
        fleet.change("rotate", role, "--online", fleet.server / "online.json")
    after = {role["role"]: role["keys"][0]["keyid"] for role in fleet.list()["roles"]}
    assert all(before[role] != after[role] for role in before)
    assert fleet.list()["root"]["version"] == 7
    done = fleet.verify(releases["1.0.0"])
    assert done.status == 0, done.lines
    fleet.sign(releases["2.0.0"])
    assert fleet.verify(releases["2.0.0"]).status == 0


# ---- sign, verify ----


def test_a_release_is_bound_to_its_bytes_and_its_fleet(fleet, releases, tmp_path):
    refused(fleet.verify(releases["1.0.0"]), 3, "[targets.unknown]")
    fleet.sign(releases["1.0.0"])
    answer = fleet.verify(releases["1.0.0"]).json()
    assert answer["verified"] and answer["targets_version"] == 2 and answer["terms"]["fleet"].startswith("warehouse-")
    other = tmp_path / "same-version"
    other.mkdir()
    recipe = (releases["1.0.0"].parent / "release-1.0.0.yaml").read_text().replace("deadline_ms: 5000", "deadline_ms: 6000")
    (other / "release.yaml").write_text(recipe)
    ok("muster", "pack", other / "release.yaml", "-o", other / "rel")
    done = run("muster", "sign", other / "rel", "--keys", fleet.keys)
    assert done.status != 0 and "other bytes" in done.lines[0]
    refused(fleet.verify(other / "rel"), 3, "[target.hash]")
    (tmp_path / "strangers").mkdir()
    strangers = Fleet(tmp_path / "strangers")
    strangers.sign(releases["1.0.0"])
    done = run("muster", "verify", releases["1.0.0"], "--root", fleet.keys / "root.json", "--metadata", strangers.keys / "metadata")
    refused(done, 3, "[targets.signatures]")
    fleet.muster("sign", "--remove", "detector/1.0.0", "--keys", fleet.keys)
    refused(fleet.verify(releases["1.0.0"]), 3, "[targets.unknown]")


def test_every_flipped_byte_of_the_metadata_is_found(fleet, releases):
    fleet.sign(releases["1.0.0"])
    fleet.change("rotate", "root")
    for name in ("2.targets.json", "2.root.json"):
        path = fleet.keys / "metadata" / name
        good = path.read_bytes()
        begin = good.index(b'"signed"')
        for at in range(begin, len(good) - 2, max(1, (len(good) - begin) // 40)):
            path.write_bytes(good[:at] + bytes([good[at] ^ 1]) + good[at + 1:])
            done = fleet.verify(releases["1.0.0"])
            assert done.status in (1, 3) and done.out == "", (name, at, done.status)
        path.write_bytes(good)
    assert fleet.verify(releases["1.0.0"]).status == 0


def test_terms_name_operators_that_there_are(fleet, releases):
    refused(run("muster", "sign", releases["1.0.0"], "--keys", fleet.keys, "--approvals", "1:alice"), 4, "muster keys operator")
    ring = fleet.dir / "operators"
    for name in ("alice", "bob"):
        fleet.muster("keys", "operator", name, "--dir", ring, "--keys", fleet.keys)
    for spec, status in (("1:alice,zoe", 3), ("3:alice,bob", 2), ("0:alice", 2), ("alice", 2), ("1:alice,alice", 2), ("1:alice:all", 2)):
        assert run("muster", "sign", releases["1.0.0"], "--keys", fleet.keys, "--approvals", spec).status == status, spec
    assert run("muster", "sign", releases["1.0.0"], "--keys", fleet.keys, "--floor", "1.0.1").status == 2
    fleet.sign(releases["1.0.0"], "--approvals", "2:alice,bob:plan", "--floor", "1.0.0")
    terms = fleet.verify(releases["1.0.0"]).json()["terms"]
    assert terms["operators"] == ["alice", "bob"] and terms["approvals"] == 2 and terms["of"] == "plan" and terms["floor"] == "1.0.0"
    shown = run("muster", "inspect", releases["1.0.0"], "--metadata", fleet.keys / "metadata", "--json").json()
    assert shown["terms"] == terms
    fleet.muster("keys", "revoke", "bob", "--operators", "--dir", ring, "--keys", fleet.keys)
    assert (fleet.keys / "operators.json").read_text() == (ring / "operators.json").read_text()
    refused(run("muster", "sign", releases["2.0.0"], "--keys", fleet.keys, "--approvals", "1:bob"), 3, "revoked")


def test_what_soon_expires_is_said(tmp_path, releases):
    fleet = Fleet(tmp_path)
    fleet.change("renew", "--expires-days", "10")
    done = run("muster", "sign", releases["1.0.0"], "--keys", fleet.keys)
    assert done.status == 0 and len(done.lines) == 1 and "root expires in" in done.lines[0]
    fleet.change("renew")
    assert run("muster", "sign", "--renew", "--keys", fleet.keys).lines == []


# ---- with a server ----


def test_a_server_is_told_everything_once(fleet, releases):
    fleet.start()
    fleet.change("rotate", "root")
    fleet.muster("keys", "operator", "alice", "--dir", fleet.dir / "operators", "--keys", fleet.keys)
    refused(run("muster", "push", releases["1.0.0"], "--keys", fleet.keys, env=fleet.env), 3, "not signed")
    fleet.sign(releases["1.0.0"])
    first = fleet.push(releases["1.0.0"])
    assert first["metadata_sent"] == 2 and first["blobs_sent"] >= 5  # 2.root.json, targets
    again = fleet.push(releases["1.0.0"])
    assert again["metadata_sent"] == 0 and again["blobs_sent"] == 0
    fleet.change("rotate", "release")
    told = fleet.push("--metadata-only")
    assert told["metadata_sent"] == 2 and told["root_version"] == 3
    done = fleet.verify(releases["1.0.0"], metadata=fleet.server / "trust")
    assert done.status == 0, done.lines


def test_online_keys_rotate_while_the_server_runs(fleet, releases):
    fleet.start()
    fleet.sign(releases["1.0.0"])
    fleet.push(releases["1.0.0"])
    ok("musterd", "rotate", "--dir", fleet.server, "--role", "timestamp")
    fleet.stop()
    fleet.start()
    fleet.change("rotate", "timestamp", "--online", fleet.server / "online.json")
    fleet.push("--metadata-only")
    done = fleet.verify(releases["1.0.0"], metadata=fleet.server / "trust")
    assert done.status == 0, done.lines


def test_a_lost_server_is_made_anew(fleet, releases):
    """All its keys are gone: the offline keys name new ones, and a robot that knows the first root follows."""
    fleet.start()
    fleet.sign(releases["1.0.0"])
    fleet.push(releases["1.0.0"])
    fleet.stop()
    fleet.new_server("again")
    fleet.change("rotate", "online", "--online", fleet.server / "online.json")
    fleet.start(root="root.json")
    assert fleet.push(releases["1.0.0"])["metadata_sent"] == 2  # 1.root.json, for robots that were off; targets
    done = fleet.verify(releases["1.0.0"], metadata=fleet.server / "trust")
    assert done.status == 0, done.lines


def test_a_token_alone_publishes_nothing(fleet, releases, tmp_path):
    (tmp_path / "mallory").mkdir()
    mallory = Fleet(tmp_path / "mallory")
    fleet.start()
    fleet.sign(releases["1.0.0"])
    fleet.push(releases["1.0.0"])
    before = {p.name: p.read_bytes() for p in (fleet.server / "trust").iterdir() if p.is_file()}
    mallory.sign(releases["2.0.0"])
    mallory.sign(releases["1.0.0"])
    mallory.change("rotate", "root")
    refused(run("muster", "push", "--metadata-only", "--keys", mallory.keys, env=fleet.env), 3, "[root.signatures]")
    (mallory.keys / "metadata/2.root.json").unlink()
    refused(run("muster", "push", "--metadata-only", "--keys", mallory.keys, env=fleet.env), 3, "[targets.signatures]")
    assert {p.name: p.read_bytes() for p in (fleet.server / "trust").iterdir() if p.is_file()} == before


# ---- approvals ----


def test_a_rollout_waits_for_its_approvals(fleet, releases):
    ring = fleet.dir / "operators"
    for name in ("alice", "bob"):
        fleet.muster("keys", "operator", name, "--dir", ring, "--keys", fleet.keys)
    fleet.start()
    fleet.sign(releases["1.0.0"])
    fleet.sign(releases["2.0.0"], "--approvals", "2:alice,bob:plan")
    fleet.push(releases["1.0.0"])
    fleet.push(releases["2.0.0"])
    fleet.enroll("r1")
    fleet.enroll("r2")
    recipe = fleet.dir / "rollout.yaml"
    recipe.write_text(ROLLOUT.format(version="2.0.0"))
    rollout = str(fleet.muster("rollout", "start", recipe, "--json").json()["id"])
    status = fleet.muster("rollout", "status", rollout, "--json").json()
    assert status["state"] == "waiting" and status["approvals"]["needed"] == 2 and status["approvals"]["have"] == 0

    def approve(*args, who="alice", root="root.json"):
        return run("muster", *args, "--key", ring / f"{who}.key", "--root", fleet.keys / root, "--reason", "seen", env=fleet.env)

    refused(approve("approve", "detector:1.0.0"), 3, "needs no approval")
    refused(approve("approve", "detector:2.0.0"), 3, "muster rollout approve")
    refused(approve("approve", "detector:3.0.0"), 3, "[targets.unknown]")
    refused(approve("rollout", "approve", rollout, "--as", "carol"), 3, "carol")
    refused(approve("rollout", "approve", rollout, "--as", "bob"), 3, "[approvals.forged]")  # alice's key, bob's name
    first = approve("rollout", "approve", rollout)
    assert first.status == 0 and "2 robots: r1 r2" in first.out, (first.out, first.lines)
    assert fleet.muster("rollout", "status", rollout, "--json").json()["approvals"]["from"] == ["alice"]
    second = approve("rollout", "approve", rollout, "--json", who="bob")
    assert second.status == 0 and second.json()["plan"].startswith("sha256:")
    deadline = time.monotonic() + 60
    while fleet.muster("rollout", "status", rollout, "--json").json()["state"] == "waiting":
        assert time.monotonic() < deadline
        time.sleep(0.1)
