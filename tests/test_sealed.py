"""Confidential models: sealed on the workstation, granted to one robot, opened there in memory only. Real programs, real TLS, real ONNX Runtime."""
import hashlib
import json
import signal
import ssl
import subprocess
import urllib.request

import pytest

from conftest import BIN, ROOT, run
from fleet import wait_for

if not (BIN / "musterd").exists() or not (BIN / "muster-agent").exists():
    pytest.skip("musterd or muster-agent is not built", allow_module_level=True)

MODEL = ROOT / "tests/data/models/quadrants.onnx"
RECIPE = """
schema: 1
name: detector
version: {version}
task: detection
targets: [x86_64, aarch64]
model:
  path: {model}
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


class Fleet:
    """A workstation with offline keys, a server and one robot."""

    def __init__(self, dir):
        self.dir, self.keys, self.server, self.state, self.run = dir, dir / "keys", dir / "server", dir / "state", dir / "run"
        self.env, self.processes, self.log = {}, [], dir / "agent.log"
        assert run("musterd", "init", "--dir", self.server, "--hosts", "127.0.0.1", "--token-file", dir / "token").status == 0
        self.muster("keys", "init", "--dir", self.keys, "--fleet", "warehouse", "--online", self.server / "online.json", "--no-passphrase")
        self.root = self.keys / "metadata/1.root.json"
        ports = dir / "ports.json"
        self.start("musterd", "serve", "--dir", self.server, "--root", self.root, "--ports-file", ports, "--robot-listen", "127.0.0.1:0",
                   "--operator-listen", "127.0.0.1:0")
        wait_for(ports.exists, "the server's ports")
        self.ports = json.loads(ports.read_text())
        self.env = {"MUSTER_SERVER": f"https://127.0.0.1:{self.ports['operator']}", "MUSTER_TOKEN": (dir / "token").read_text().strip(),
                    "MUSTER_CA": str(self.server / "ca.pem")}
        token = dir / "enroll"
        self.muster("robot", "enroll-token", "r1", "--output", token)
        self.start("muster-agent", "--state-dir", self.state, "--run-dir", self.run, "--robot", "r1", "--root", self.root,
                   "--server", f"https://127.0.0.1:{self.ports['robot']}", "--enroll-url", self.env["MUSTER_SERVER"],
                   "--enroll-token-file", token, "--ca", self.server / "ca.pem", "--recorder-memory-mib", "0", "--probation-ms", "200",
                   "--min-frames", "0", "--poll-wait-s", "2", "--telemetry-ms", "500", log=self.log)
        wait_for((self.state / "device.pem").exists, "the enrolment")

    def start(self, program, *args, log=None):
        with open(log or self.dir / f"{program}.log", "ab") as out:
            self.processes.append(subprocess.Popen([str(BIN / program), *map(str, args)], stderr=out, stdout=out))

    def stop(self):
        for process in reversed(self.processes):
            process.send_signal(signal.SIGTERM)
            process.wait(30)
        run("muster-agent", "--stop", "--run-dir", self.run)

    def muster(self, *args):
        done = run("muster", *args, env=self.env)
        assert done.status == 0, (args, done.status, done.out, done.lines)
        return done

    def pack(self, version):
        recipe, out = self.dir / f"release-{version}.yaml", self.dir / f"release-{version}"
        recipe.write_text(RECIPE.format(version=version, root=ROOT, model=MODEL))
        self.muster("pack", recipe, "--seal", self.dir / "content.key", "-o", out)
        return out

    def release(self, out):
        self.muster("sign", out, "--keys", self.keys)
        self.muster("push", out, "--keys", self.keys)

    def grant(self, out, *args):
        return run("muster", "grant", out, "--keys", self.keys, "--content-key", self.dir / "content.key", *args, env=self.env)

    def rollout(self, version):
        spec = self.dir / "rollout.yaml"
        spec.write_text(ROLLOUT.format(version=version))
        return self.muster("rollout", "start", spec, "--json").json()["id"]

    def ended(self, id):
        def over():
            state = self.muster("rollout", "status", str(id), "--json").json()["state"]
            return state in ("done", "rolled_back", "stopped", "aborted") and state
        return wait_for(over, lambda: f"the end of rollout {id}: {self.log.read_text()[-3000:]}")

    def reports(self):
        return self.muster("robot", "show", "r1", "--json").json()["reports"]

    def event(self, words):
        """The first event of the fleet that says this."""
        request = urllib.request.Request(self.env["MUSTER_SERVER"] + "/api/v1/events?after=0",
                                         headers={"Authorization": "Bearer " + self.env["MUSTER_TOKEN"]})
        with urllib.request.urlopen(request, timeout=60, context=ssl.create_default_context(cafile=self.env["MUSTER_CA"])) as stream:
            return next(line for line in (x.decode() for x in stream) if words in line)

    def fingerprint(self):
        der = subprocess.run(["openssl", "pkey", "-in", self.state / "device.key", "-pubout", "-outform", "DER"], check=True,
                             capture_output=True).stdout
        return "sha256:" + hashlib.sha256(der).hexdigest()


@pytest.fixture
def fleet(tmp_path):
    fleet = Fleet(tmp_path)
    yield fleet
    fleet.stop()


def holders_of(secret, *places):
    """Files in which these bytes lie in the clear."""
    files = [p for place in places for p in place.rglob("*") if p.is_file() and not p.is_symlink()]
    return [p for p in files if secret in p.read_bytes()]


def test_a_sealed_model_runs_where_it_was_granted(fleet):
    plain = MODEL.read_bytes()
    secret = plain[len(plain) // 2 - 32:len(plain) // 2 + 32]
    first = fleet.pack("1.0.0")
    assert holders_of(secret, first) == []
    content = bytes.fromhex((fleet.dir / "content.key").read_text().split()[1])

    # Whose key is that? A server alone cannot say.
    done = fleet.grant(first, "r1")
    assert done.status == 3 and "nobody here knows its key" in done.lines[0] and fleet.fingerprint() in done.lines[0]
    done = fleet.grant(first, "r1", "--pin", "r1=sha256:" + "0" * 64)
    assert done.status == 3 and "another key" in done.lines[0]
    done = fleet.grant(first, "r1", "--pin", f"r1={fleet.fingerprint()}")
    assert done.status == 0, done.lines
    assert fleet.grant(first, "r1").status == 0  # it is known now
    listed = fleet.muster("grant", first, "--keys", fleet.keys, "--json").json()
    assert [(x["robot"], x["key"]) for x in listed["robots"]] == [("r1", fleet.fingerprint())]

    fleet.release(first)
    assert fleet.ended(fleet.rollout("1.0.0")) == "done", fleet.reports()
    assert "its weights are sealed, so their tensors were not looked at" in fleet.event("was pushed")
    assert holders_of(secret, fleet.state, fleet.run, fleet.server) == []
    assert holders_of(content, fleet.state, fleet.run, fleet.server) == []
    assert holders_of(content.hex().encode(), fleet.state, fleet.run, fleet.server) == []

    # Another release that is not granted does not run, and what runs goes on.
    second = fleet.pack("2.0.0")
    fleet.release(second)
    assert fleet.ended(fleet.rollout("2.0.0")) != "done"
    assert any("sealed" in r["text"] and r["kind"] == "failed" for r in fleet.reports()), fleet.reports()
    assert json.loads((fleet.state / "state.json").read_text())["current"]["version"] == "1.0.0"

    # Granted, it does.
    assert fleet.grant(second, "r1").status == 0
    fleet.muster("push", "--metadata-only", "--keys", fleet.keys)
    assert fleet.ended(fleet.rollout("2.0.0")) == "done", fleet.reports()
    assert holders_of(secret, fleet.state, fleet.run, fleet.server) == []


def test_a_robots_key_may_come_in_a_file(fleet):
    out = fleet.pack("1.0.0")
    pem = fleet.dir / "r1.pub"
    subprocess.run(["openssl", "pkey", "-in", fleet.state / "device.key", "-pubout", "-out", pem], check=True)
    assert fleet.grant(out, f"r1={pem}").status == 0
    fleet.release(out)
    assert fleet.ended(fleet.rollout("1.0.0")) == "done", fleet.reports()


def test_what_is_not_sealed_or_sealed_otherwise_is_said(fleet):
    out = fleet.pack("1.0.0")
    (fleet.dir / "content.key").rename(fleet.dir / "first.key")
    fleet.pack("1.0.1")
    done = fleet.grant(out, "r1", "--first-use")
    assert done.status == 3 and "another content key" in done.lines[0]
    recipe = fleet.dir / "release-1.0.0.yaml"
    fleet.muster("pack", recipe, "-o", fleet.dir / "open")
    assert holders_of(MODEL.read_bytes()[100:164], fleet.dir / "open") != []  # there it is found, so that the other test can fail
    done = fleet.grant(fleet.dir / "open", "r1")
    assert done.status == 3 and "not sealed" in done.lines[0]
    done = run("muster", "bench", out)
    assert done.status == 3 and "sealed" in done.lines[0]
