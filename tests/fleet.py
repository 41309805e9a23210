"""A real fleet for the tests of errors: keys, releases, a musterd, robots, and a proxy before the server that can misbehave.

    Place      a workstation: the offline keys of a fleet, its operators, releases; and the directory of the server that they name
    Server     musterd: start, kill, its command line (`server.muster("robot", "list")`), rollouts
    Director   musterd's director key in other hands
    Robot      muster-agent with guard, runner and robot program; what it reports and what its program got
    Proxy      between agents and musterd, TLS with client certificates on both sides; see its faults

Nothing here sleeps for a fixed time and hopes: `wait_for` waits for a condition, with a generous limit.
"""
import hashlib
import http.client
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import threading
import time

from conftest import BIN, ROOT, run

LIMIT_S = int(os.environ.get("MUSTER_TEST_LIMIT_S", 120))

RECIPE = """
schema: 1
name: {name}
version: {version}
task: detection
targets: [{targets}]
model:
  path: {model}
  inputs: [{{name: images, dtype: float32, shape: [1, 3, 16, 16]}}]
  outputs: [{{name: output0, dtype: float32, shape: [1, 6, 4]}}]
postprocess: {{decoder: yolov8}}
labels: [red, green]
budgets: {{latency_p99_ms: 5000, deadline_ms: 5000, memory_mib: 128}}
safe_state: stop
golden: {{inputs: {golden}}}
recipe: {extra}
"""

ROLLOUT = """
name: go
release: {release}
select: {{who: {who}}}
waves: [{{name: all, percent: 100, bake_s: 0}}]
gates: {{max_failures: 0, min_frames: 0}}
on_failure: rollback
wave_timeout_s: 900
"""


def wait_for(condition, what, limit_s=LIMIT_S):
    """The first true value of condition()."""
    deadline = time.monotonic() + limit_s
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < deadline, f"waited {limit_s} s for: {what() if callable(what) else what}"
        time.sleep(0.1)


def one_line(result, status, say="", program="muster"):
    """The command failed with this status, in one clear line that holds `say`."""
    assert result.status == status, (result.status, result.out, result.lines)
    assert result.out == "" and len(result.lines) == 1, (result.out, result.lines)
    assert result.lines[0].startswith(program) and say in result.lines[0], result.lines
    return result.lines[0]


def no_sanitizer_complained(log):
    text = log.read_text() if log.exists() else ""
    assert "Sanitizer" not in text and "runtime error:" not in text, text[-5000:]


# ---- releases ----


class Release:
    """A release in a folder, and the parts of it that tests damage."""

    def __init__(self, dir):
        self.dir = dir
        index = json.loads((dir / "index.json").read_text())
        entry = next(m for m in index["manifests"] if m["artifactType"] == "application/vnd.cncf.model.manifest.v1+json")
        self.digest, self.size = entry["digest"], entry["size"]
        self.manifest = json.loads(self.blob(self.digest).read_bytes())
        config = json.loads(self.layer("release.json").read_bytes())
        self.name, self.version = config["name"], config["version"]

    def blob(self, digest):
        return self.dir / "blobs/sha256" / digest[7:]

    def digest_of(self, path):
        """The digest of the layer with this file name."""
        return next(layer["digest"] for layer in self.manifest["layers"]
                    if layer["annotations"]["org.cncf.model.filepath"] == path)

    def layer(self, path):
        return self.blob(self.digest_of(path))


def ok(*args, env=None):
    done = run(*args, env=env)
    assert done.status == 0, (args, done.status, done.out, done.lines)
    return done


class Place:
    """A workstation with the offline keys of a fleet, and a server's directory whose online keys its root names.

    operators: who may order robots and approve releases; the fleet's targets name their keys, which lie in DIR/operators.
    """

    def __init__(self, dir, operators=()):
        self.dir, self.keys, self.server_dir = dir, dir / "keys", dir / "server"
        self.operators, self.metadata = dir / "operators", dir / "keys/metadata"
        ok("musterd", "init", "--dir", self.server_dir, "--hosts", "127.0.0.1,localhost", "--token-file", dir / "token")
        self.found_fleet("keys")
        self.root = dir / "first-root.json"  # what robots and server get, once
        shutil.copy(self.keys / "root.json", self.root)
        for name in operators:
            ok("muster", "keys", "operator", name, "--dir", self.operators, "--keys", self.keys)

    def found_fleet(self, name):
        """Offline keys; whoever has made them, this server's online keys are what they name."""
        ok("muster", "keys", "init", "--dir", self.dir / name, "--fleet", "warehouse", "--online", self.server_dir / "online.json",
           "--no-passphrase")

    def change_keys(self, verb, *args):
        ok("muster", "keys", verb, *args, "--dir", self.keys, "--no-passphrase")

    def pack(self, version, *, targets="x86_64, aarch64", extra_bytes=300000, name="quadrants", sign="keys", more="",
             postprocess="{decoder: yolov8}"):
        """A release whose layer extra.bin no other release has."""
        out = self.dir / f"release-{name}-{version}"
        extra = self.dir / version / "extra.bin"
        extra.parent.mkdir()
        extra.write_bytes(os.urandom(extra_bytes))
        recipe = extra.parent / "release.yaml"
        recipe.write_text(RECIPE.format(name=name, version=version, targets=targets, extra=extra,
                                        golden=ROOT / "models/golden", model=ROOT / "tests/data/models/quadrants.onnx")
                          .replace("{decoder: yolov8}", postprocess) + more)
        done = run("muster", "pack", recipe, "-o", out)
        assert done.status == 0, done.lines
        if sign:
            self.sign(out, sign)
        return Release(out)

    def sign(self, out, keys="keys", *terms):
        ok("muster", "sign", out, "--keys", self.dir / keys, *terms)

    def unsign(self, release):
        """The fleet's targets name it no more."""
        ok("muster", "sign", "--remove", f"{release.name}/{release.version}", "--keys", self.keys)

    def verify(self, release, *args, root=None):
        return run("muster", "verify", release, "--root", root or self.root, "--metadata", self.metadata, *args)

    def with_model(self, version, model, **kwargs):
        """A signed release whose digests all hold, but with another model than the one it was packed and tested with."""
        good = self.pack(version, sign=None, **kwargs)
        data = (ROOT / "tests/data/models" / model).read_bytes()
        layer = next(x for x in good.manifest["layers"] if x["annotations"]["org.cncf.model.filepath"] == "model.onnx")
        good.layer("model.onnx").unlink()
        layer["digest"], layer["size"] = put_blob(good, data), len(data)
        manifest = json.dumps(good.manifest, sort_keys=True, separators=(",", ":")).encode()
        index = (good.dir / "index.json").read_text()
        good.blob(good.digest).unlink()
        index = index.replace(good.digest, put_blob(good, manifest)).replace(f'"size":{good.size}', f'"size":{len(manifest)}')
        (good.dir / "index.json").write_text(index)
        self.sign(good.dir)
        return Release(good.dir)


def put_blob(release, data):
    digest = "sha256:" + hashlib.sha256(data).hexdigest()
    release.blob(digest).write_bytes(data)
    return digest


# ---- the server ----


class Server:
    """The place's own, or, with another `dir`, one more with the same online keys."""

    def __init__(self, place, dir=None, flags=()):
        self.place, self.dir, self.flags = place, dir or place.server_dir, list(flags)
        self.beside = self.dir.parent / (self.dir.name + "-files")
        self.beside.mkdir()
        self.token, self.log = place.dir / "token", self.beside / "musterd.log"
        self.process, self.ports, self.listen = None, None, {name: 0 for name in ("robot", "operator", "console")}
        if self.dir != place.server_dir:
            self.token = self.beside / "token"
            ok("musterd", "init", "--dir", self.dir, "--hosts", "127.0.0.1,localhost", "--token-file", self.token)
            shutil.copytree(place.server_dir / "online", self.dir / "online", dirs_exist_ok=True)
        self.start()

    def start(self):
        """Again on the same ports, so that robots find it."""
        ports = self.beside / "ports.json"
        ports.unlink(missing_ok=True)
        listen = [x for name, port in self.listen.items() for x in (f"--{name}-listen", f"127.0.0.1:{port}")]
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen([BIN / "musterd", "serve", "--dir", self.dir, "--root", self.place.root,
                                             "--ports-file", ports, *self.flags, *listen], stderr=log)
        wait_for(lambda: ports.exists() or self.process.poll() is not None, "the server's ports")
        assert self.process.poll() is None, self.log.read_text()
        self.listen = self.ports = json.loads(ports.read_text())
        self.env = {"MUSTER_SERVER": f"https://127.0.0.1:{self.ports['operator']}", "MUSTER_CA": str(self.dir / "ca.pem"),
                    "MUSTER_TOKEN": self.token.read_text().strip()}

    def alive(self):
        return self.process.poll() is None

    def stop(self):
        self.process.kill()
        self.process.wait()
        no_sanitizer_complained(self.log)

    def muster(self, *args):
        return run("muster", *args, env=self.env)

    def json(self, *args):
        done = self.muster(*args, "--json")
        assert done.status == 0, done.lines
        return done.json()

    def try_push(self, release=None, keys="keys"):
        """A release, or only what the offline keys have signed."""
        return self.muster("push", release.dir if release else "--metadata-only", "--keys", self.place.dir / keys)

    def push(self, release=None):
        done = self.try_push(release)
        assert done.status == 0, done.lines

    def blob(self, digest):
        return self.dir / "layout/blobs/sha256" / digest[7:]

    def rollout(self, release, who="r1"):
        """Assigns a release to this robot; the rollout's number."""
        spec = self.beside / "rollout.yaml"
        spec.write_text(ROLLOUT.format(release=release.digest, who=who))
        return self.json("rollout", "start", spec)["id"]

    def rollout_state(self, id):
        return self.json("rollout", "status", str(id))["state"]

    def ended(self, id):
        """How the rollout ends."""
        over = ("done", "rolled_back", "stopped", "aborted")
        return wait_for(lambda: (s := self.rollout_state(id)) in over and s, f"the end of rollout {id}")


# ---- a robot ----


class Robot:
    """One robot with its own processes. `url` is where its agent finds the fleet: the server itself or a proxy. It has no black box, and nobody
    watches its model unless the flags say how (--watch-options)."""

    def __init__(self, server, name, dir, url=None, state=None, flags=()):
        self.server, self.name, self.dir, self.flags = server, name, dir, list(flags)
        self.state, self.run_dir = state or dir / "state", dir / "run"
        self.url = url or f"https://127.0.0.1:{server.ports['robot']}"
        self.agent = self.program = None
        dir.mkdir()
        self.root = dir / "root.json"
        shutil.copy(server.place.root, self.root)
        self.log, self.frames = dir / "agent.log", dir / "frames.jsonl"

    def enroll(self):
        token = self.dir / "token"
        done = self.server.muster("robot", "enroll-token", self.name, "--label", f"who={self.name}", "--output", token)
        assert done.status == 0, done.lines
        self.start_agent("--enroll-url", self.server.env["MUSTER_SERVER"], "--enroll-token-file", token, "--ca",
                         self.server.env["MUSTER_CA"])
        wait_for(lambda: (self.state / "device.pem").exists(), "the enrolment")

    def command(self, *args):
        unwatched = [] if "--watch-options" in self.flags else ["--no-watch"]
        return [str(x) for x in (BIN / "muster-agent", "--state-dir", self.state, "--run-dir", self.run_dir, "--server",
                                 self.url, "--robot", self.name, "--root", self.root, "--recorder-memory-mib", "0",
                                 *unwatched, *self.flags, *args)]

    def start_agent(self, *args):
        """Patient with a slow machine, impatient with the network."""
        patient = ["--probation-ms", "300", "--min-frames", "2", "--max-runner-losses", "50", "--max-over-budget-share",
                   "0.5", "--alpha", "1e-9", "--telemetry-ms", "500", "--poll-wait-s", "2"]
        with open(self.log, "ab") as log:
            self.agent = subprocess.Popen(self.command(*patient, *args), stderr=log)

    def stop_agent(self, number=signal.SIGTERM):
        self.agent.send_signal(number)
        self.agent.wait(LIMIT_S)

    def start_program(self):
        self.program = subprocess.Popen(
            [BIN / "muster-sim", "robot", "--run-dir", self.run_dir, "--fps", "8", "--deadline-ms", "4000", "--log",
             self.frames], stderr=subprocess.DEVNULL)

    def stop(self):
        if self.program:
            self.program.kill()
            self.program.wait()
        if self.agent:
            self.stop_agent(signal.SIGKILL if self.agent.poll() is None else 0)
        run("muster-agent", "--stop", "--run-dir", self.run_dir)
        no_sanitizer_complained(self.log)

    # What the server knows of it.

    def show(self):
        return self.server.json("robot", "show", self.name)

    def reports(self, kind=None, release=None, after=0):
        """Oldest first."""
        return [r for r in reversed(self.show()["reports"]) if r["seq"] > after and kind in (None, r["kind"]) and
                (release is None or r["release"] == release.digest)]

    def mark(self):
        return max((r["seq"] for r in self.reports()), default=0)

    def settled(self, release):
        """It runs the release and is asked for nothing else."""
        def there():
            now = self.show()
            return all((now[x] or {}).get("digest") == release.digest for x in ("release", "target")) and \
                now["phase"] in ("committed", "failed") and self.current() == release.digest and self.phase() == "idle"
        wait_for(there, lambda: f"{self.name} to run {release.version}: {self.show()} {self.tail()}")

    def install(self, release):
        id = self.server.rollout(release, self.name)
        assert self.server.ended(id) == "done", (self.reports(), self.tail())
        self.settled(release)

    # What it knows itself.

    def own_state(self):
        return json.loads((self.state / "state.json").read_text())

    def current(self):
        return self.own_state()["current"]["release"]

    def phase(self):
        return self.own_state()["phase"]

    def tail(self):
        return self.log.read_text()[-3000:]

    def verify(self):
        """What runs passes every check, byte for byte."""
        done = self.server.place.verify(f"{self.state / 'store'}@{self.current()}")
        assert done.status == 0, done.lines

    def bytes(self):
        return sum(p.stat().st_size for p in list(self.state.rglob("*")) if p.is_file() and p.exists())

    def partials(self):
        return [p.name for p in (self.state / "partial").iterdir()]

    def totals(self):
        """release → what its robot program got, over all its lives."""
        last = {}
        for line in self.frames.read_text().splitlines() if self.frames.exists() else []:
            if line.endswith("}") and '"totals"' in line:
                entry = json.loads(line)
                last[entry["run"], entry["release"]] = entry
        sums = {}
        for (_, release), entry in last.items():
            into = sums.setdefault(release, dict.fromkeys(("frames", "ok", "fallback", "safe", "lost", "unchecked"), 0))
            for key in into:
                into[key] += entry[key]
        return sums

    def answers(self, release, frames=4):
        """Its program goes on getting checked results of this release."""
        def good():
            return self.totals().get(release.digest, {}).get("ok", 0)
        before = good()
        wait_for(lambda: good() >= before + frames, lambda: f"{self.name} to answer with {release.version}: {self.totals()} "
                                                            f"{self.tail()}")
        assert all(t["unchecked"] == 0 for t in self.totals().values())


    def trusts(self, role):
        """What it holds of the fleet's metadata."""
        return json.loads((self.state / f"trust/{role}.json").read_text())["signed"]


# ---- between agent and server ----


class Director:
    """The director's key in other hands: says what musterd never said."""

    def __init__(self, server):
        self.key, root = server.dir / "online/director.key", json.loads(server.place.root.read_text())["signed"]
        self.fleet, self.keyid = root["x-muster"]["fleet"], root["x-muster"]["director"]["keyids"][0]

    def assign(self, robot, release, /, **lies):
        """The assignment of this release to the robot; its version is the next one that the robot accepts."""
        now = int(time.time())
        signed = {"_type": "assignment", "spec_version": "1.0", "fleet": self.fleet, "robot": robot.name,
                  "version": robot.own_state()["trust"]["accepted"] + 1, "issued": utc(now), "expires": utc(now + 3600),
                  "target": {"path": f"{release.name}/{release.version}", "length": release.size, "sha256": release.digest[7:]},
                  "rollback": False, "plan": None, **lies}
        text = json.dumps(signed, sort_keys=True, separators=(",", ":")).encode()  # canonical: ASCII, no fractions
        return {"signed": signed, "signatures": [{"keyid": self.keyid, "sig": ed25519(self.key, text).hex()}]}


def ed25519(key, data):
    """A signature by a private key in a file."""
    with tempfile.NamedTemporaryFile() as file:
        file.write(data)
        file.flush()
        return subprocess.run(["openssl", "pkeyutl", "-sign", "-rawin", "-inkey", key, "-in", file.name], check=True,
                              capture_output=True).stdout


def utc(seconds):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))



class Proxy:
    """Speaks for musterd to the agents (with its certificate), and for the robot to musterd (with the robot's).

    faults: part of a path → how the answer to it misbehaves, until the entry is removed:
        ("cut",)             the connection ends in the middle of the body
        ("stall",)           half of the body, then silence
        ("endless",)         the announced length is right, and more comes; ("endless", "chunked") says no length
        ("flip",)            one bit of the body is wrong
        ("status", 404, "not_found")   this status instead
        ("noise",)           bytes that are no HTTP
    offer: (assignment, Release): handed out as the newest assignment (Director), with its blobs, as a server would that has
        gone over to the enemy. A function instead of the assignment makes it at the robot's next question: what the robot was
        told before that is settled then.
    """

    def __init__(self, server):
        self.server, self.faults, self.offer, self.seen = server, {}, None, []
        self.robot = None  # whose certificate to use
        self.closed = threading.Event()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(server.dir / "server.pem", server.dir / "server.key")
        context.load_verify_locations(server.dir / "ca.pem")
        context.verify_mode = ssl.CERT_REQUIRED
        self.context = context
        self.socket = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.url = f"https://127.0.0.1:{self.socket.getsockname()[1]}"
        threading.Thread(target=self.accept, daemon=True).start()

    def close(self):
        self.closed.set()
        self.socket.close()

    def accept(self):
        while not self.closed.is_set():
            try:
                peer, _ = self.socket.accept()
            except OSError:
                return
            threading.Thread(target=self.talk, args=(peer,), daemon=True).start()

    def talk(self, peer):
        try:
            peer.settimeout(LIMIT_S)
            with self.context.wrap_socket(peer, server_side=True) as tls, tls.makefile("rb") as reader:
                while self.one(tls, reader):
                    pass
        except (OSError, ValueError, http.client.HTTPException):
            pass  # the agent sees a connection that ends

    def one(self, tls, reader):
        """One request and its answer. False: the connection is over."""
        first = reader.readline().decode().split()
        if len(first) != 3:
            return False
        headers = http.client.parse_headers(reader)
        body = reader.read(int(headers.get("Content-Length", 0)))
        method, path = first[0], first[1]
        self.seen.append((method, path, headers.get("Range")))
        status, kind, extra, data = self.offered(path) or self.forward(method, path, headers, body)
        fault = next((f for part, f in self.faults.items() if part in path), None)
        return self.answer(tls, path, status, kind, extra, data, fault)

    def forward(self, method, path, headers, body):
        context = ssl.create_default_context(cafile=self.server.dir / "ca.pem")
        context.load_cert_chain(self.robot.state / "device.pem", self.robot.state / "device.key")
        to = http.client.HTTPSConnection("127.0.0.1", self.server.ports["robot"], context=context, timeout=LIMIT_S)
        keep = {k: v for k, v in headers.items() if k.lower() in ("content-type", "range", "if-range", "muster-instance")}
        to.request(method, path, body=body or None, headers=keep)
        reply = to.getresponse()
        data = reply.read()
        to.close()
        extra = {k: v for k, v in reply.getheaders() if k.lower() in ("content-range", "etag", "accept-ranges")}
        return reply.status, reply.getheader("Content-Type", "application/octet-stream"), extra, data

    def offered(self, path):
        if not self.offer:
            return None
        assignment, release = self.offer
        if "/director?after=" in path:
            if callable(assignment):
                assignment = assignment()
                self.offer = assignment, release
            after = int(path.split("after=")[1].split("&")[0])
            if after < assignment["signed"]["version"]:
                return 200, "application/json", {}, json.dumps({"assignment": assignment, "approvals": []}).encode()
            time.sleep(0.2)
            return 204, "application/json", {}, b""  # the real server is not asked: it would want its own release again
        blob = release.blob(path.rsplit("/", 1)[1]) if "/blobs/sha256:" in path else None
        return (200, "application/octet-stream", {}, blob.read_bytes()) if blob and blob.exists() else None

    def answer(self, tls, path, status, kind, extra, data, fault):
        how = fault[0] if fault else None
        if how == "noise":
            tls.sendall(b"SSH-2.0-something else\r\n\r\n")
            return False
        if how == "status":
            status, extra, data = fault[1], {}, b'{"error":{"code":"%s","message":"played by the proxy"}}' % fault[2].encode()
        if how == "flip":
            data = data[:len(data) // 2] + bytes([data[len(data) // 2] ^ 1]) + data[len(data) // 2 + 1:]
        chunked = how == "endless" and "chunked" in fault
        length = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {len(data) if how != 'endless' else 1 << 40}"
        if status == 204:
            length = "X-Nothing: 1"
        head = [f"HTTP/1.1 {status} X", f"Content-Type: {kind}", length, *(f"{k}: {v}" for k, v in extra.items())]
        tls.sendall("\r\n".join(head).encode() + b"\r\n\r\n")
        if how in ("cut", "stall"):
            tls.sendall(data[:len(data) // 2])
            while how == "stall" and self.faults.get(next(p for p in [*self.faults, path] if p in path)) == fault:
                time.sleep(0.1)
            return False
        if how == "endless":
            return self.pour(tls, chunked)
        tls.sendall(data)
        return True

    def pour(self, tls, chunked):
        piece = b"x" * 65536
        while not self.closed.is_set():
            tls.sendall(b"%x\r\n%s\r\n" % (len(piece), piece) if chunked else piece)
        return False
