"""A human is always obeyed: signed commands from afar, a lease, a local word, stops that outlive a reboot, and an audit log."""
import base64
import hashlib
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import time

import pytest

from conftest import BIN, run
from fleet import Place, Proxy, Robot, Server, ed25519, wait_for

for program in ("musterd", "muster-agent", "muster-guard", "muster-runner", "muster-sim"):
    if not (BIN / program).exists():
        pytest.skip(f"{program} is not built", allow_module_level=True)


class Courier(Proxy):
    """Keeps every command that it carries, and can hand out others."""

    def __init__(self, server):
        super().__init__(server)
        self.carried, self.slip_in = [], []

    def offered(self, path):
        if "/api/v1/commands" in path and self.slip_in:
            orders, self.slip_in = self.slip_in, []
            return 200, "application/json", {}, json.dumps({"commands": orders}).encode()
        return super().offered(path)

    def forward(self, method, path, headers, body):
        reply = super().forward(method, path, headers, body)
        if "/api/v1/commands" in path and reply[0] == 200:
            self.carried += json.loads(reply[3])["commands"]
        return reply


class Site:
    """Two operators, a stranger, one robot with two releases behind a courier."""

    def __init__(self, dir):
        self.place, self.dir = Place(dir, operators=("alice", "bob")), dir
        self.ops = self.place.operators
        assert run("muster", "keys", "operator", "mallory", "--dir", dir / "elsewhere").status == 0
        self.server = Server(self.place)
        self.courier = Courier(self.server)
        self.robot = Robot(self.server, "r1", dir / "r1", self.courier.url)
        self.courier.robot = self.robot
        self.old, self.new = self.place.pack("1.0.0"), self.place.pack("2.0.0")
        self.robot.enroll()
        self.robot.start_program()
        for release in (self.old, self.new):
            self.server.push(release)
            self.robot.install(release)
        self.robot.answers(self.new)

    def close(self):
        self.robot.stop()
        self.courier.close()
        self.server.stop()

    def key(self, who):
        return (self.dir / "elsewhere" if who == "mallory" else self.ops) / f"{who}.key"

    def order(self, verb, *args, who="alice", robot="r1"):
        return self.server.muster(verb, robot, "--key", self.key(who), "--reason", f"{verb} in a test", "--yes", *args)

    def obeyed(self, verb, *args, **kwargs):
        done = self.order(verb, *args, **kwargs)
        assert done.status == 0, (done.out, done.lines, self.robot.tail())
        return done

    def refused(self, verb, say, *args, **kwargs):
        done = self.order(verb, *args, **kwargs)
        assert done.status == 3 and say in done.out, (done.status, done.out, done.lines)
        return done

    def here(self):
        done = run("muster", "robot", "here", "--run-dir", self.robot.run_dir, "--json")
        return done.json() if done.status == 0 else {"state": "gone"}

    def reaches(self, *states):
        return wait_for(lambda: (s := self.here()["state"]) in states and s, lambda: f"{states}: {self.here()} {self.robot.tail()}")

    def local(self, verb, *args, who="shift lead"):
        return run("muster", verb, "--local", "--run-dir", self.robot.run_dir, "--as", who, "--reason", "by hand", *args)

    def audit(self, **want):
        done = self.server.json("audit", "show")
        return [e for e in done["entries"] if all(e.get(k) == v for k, v in want.items())]

    def frames(self, answer):
        """How many verdicts of this kind its robot program got."""
        return sum(t[answer] for t in self.robot.totals().values())

    def back_to_work(self):
        """Whatever a test left."""
        state = self.here()["state"]
        if state in ("hold", "forced"):
            self.local("release")
        if state == "override":
            self.local("stop")
        if self.here()["state"] in ("safe_stop", "service"):
            assert self.local("reset").status == 0
        if self.here()["state"] == "ack_wait":
            assert self.local("restart").status == 0
        self.reaches("auto", "degraded")


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    site = Site(tmp_path_factory.mktemp("oversight"))
    yield site
    site.close()


@pytest.fixture(autouse=True)
def at_work(site):
    site.courier.faults.clear()
    site.back_to_work()
    yield


# ---- what people order ----


def test_hold_and_release(site):
    site.obeyed("hold")
    assert site.here()["state"] == "hold" and site.here()["who"] == "alice"
    good, safe = site.frames("ok"), site.frames("safe")
    wait_for(lambda: site.frames("safe") > safe + 4, "safe answers while held")
    assert site.frames("ok") <= good + 8  # the log of the robot program may be late, no model's answer is
    site.obeyed("release", who="bob")  # a hold is nobody's alone
    site.reaches("auto", "degraded")
    site.robot.answers(site.new)


def test_fallback_and_release(site):
    site.obeyed("fallback")
    assert site.here()["state"] == "forced"
    site.obeyed("release")
    site.reaches("auto", "degraded")


def test_a_stop_wants_two_acts(site):
    site.obeyed("stop", who="bob")
    now = site.here()
    assert (now["state"], now["latched"], now["who"]) == ("safe_stop", True, "bob"), now
    site.refused("release", "reset")
    site.refused("restart", "reset")
    site.refused("override", "reset")
    site.obeyed("reset")
    assert site.here()["state"] == "ack_wait"  # nothing moves yet
    site.obeyed("restart")
    site.reaches("auto", "degraded")


def test_service(site):
    site.obeyed("hold")
    site.obeyed("service")
    site.refused("release", "reset")
    site.obeyed("reset")
    site.obeyed("restart")
    site.reaches("auto", "degraded")


# ---- leases ----


class HeldOpen:
    """muster override --hold-open in the background."""

    def __init__(self, site, ttl, who="alice"):
        self.site = site
        self.process = subprocess.Popen(
            [BIN / "muster", "override", "r1", "--key", site.key(who), "--ttl", str(ttl), "--hold-open", "--reason", "steering"],
            env=dict(os.environ, **site.server.env), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def release(self):
        self.process.send_signal(signal.SIGINT)
        return self.end()

    def end(self):
        out, err = self.process.communicate(timeout=60)
        return self.process.returncode, out + err


def test_an_override_is_renewed_and_given_back(site):
    held = HeldOpen(site, ttl=3)  # renewed each second: a busy machine may be late twice
    site.reaches("override")
    over = time.monotonic() + 4  # longer than a lease
    while time.monotonic() < over:
        now = site.here()
        assert now["state"] == "override" and now["who"] == "alice", now
        time.sleep(0.1)
    good = site.frames("ok")
    site.refused("override", "lease", who="bob")  # one holder at a time
    site.refused("hold", "lease", who="bob")
    status, said = held.release()
    assert status == 0 and "released" in said, said
    site.reaches("ack_wait")  # giving it back starts nothing
    assert site.frames("ok") <= good + 8
    site.obeyed("restart")
    site.reaches("auto", "degraded")


def test_release_finds_the_lease_of_its_operator(site):
    site.obeyed("override", "--ttl", "30")
    site.refused("release", "lease", who="bob")
    site.obeyed("release")
    assert site.here()["state"] == "ack_wait"
    site.obeyed("restart")


def test_a_lost_link_ends_in_the_safe_stop(site):
    held = HeldOpen(site, ttl=2)
    site.reaches("override")
    site.courier.faults["/api"] = ("status", 503, "unavailable")
    seen = []

    def stopped():
        seen.append(site.here()["state"])
        return seen[-1] == "safe_stop"

    wait_for(stopped, lambda: f"the safe stop: {seen}", 30)
    assert set(seen) <= {"override", "safe_stop"}, seen  # and never a model's answer in between
    assert "not renewed" in site.here()["reason"]
    status, said = held.end()
    assert status == 5 and "stops by itself" in said, (status, said)
    site.courier.faults.clear()
    assert site.here()["state"] == "safe_stop"
    site.refused("restart", "reset")


def test_the_local_operator_outranks(site):
    held = HeldOpen(site, ttl=20)
    site.reaches("override")
    first = site.here()["lease"]
    done = site.local("override", "--ttl", "30", "--json")
    assert done.status == 0 and done.json()["lease"] > first, done.lines
    assert site.here()["local"] is True
    status, said = held.end()
    assert status == 3 and "refused" in said, said
    site.refused("override", "local", who="bob")
    assert site.local("release").status == 0
    assert site.here()["state"] == "ack_wait"
    site.refused("restart", "local")  # his word is taken back at the robot
    assert site.local("restart").status == 0
    site.reaches("auto", "degraded")
    wait_for(lambda: site.audit(kind="local", what="override", who="shift lead", why="by hand"), "the local word in the audit log")
    stop = site.local("rollback")
    assert stop.status == 2 and "fallback" in stop.lines[0]


# ---- what is not obeyed ----


def slip_in(site, order, id):
    """The courier hands it to the robot; the report that comes of it."""
    mark = site.robot.mark()
    site.courier.slip_in = [{"id": id, "envelope": order["envelope"]}]
    reports = wait_for(lambda: [r for r in site.robot.reports("operator", after=mark) if f"command {id}," in r["text"]],
                       lambda: f"a report about {id}: {site.robot.reports()} {site.robot.tail()}")
    return reports[0]["text"]


def test_a_replay_is_refused(site):
    site.obeyed("hold")
    order = site.courier.carried[-1]
    site.obeyed("release")
    site.reaches("auto", "degraded")
    assert "refused" in slip_in(site, order, 9001)
    assert site.here()["state"] in ("auto", "degraded")
    site.robot.stop_agent(signal.SIGKILL)  # and also after kill -9
    site.robot.start_agent()
    assert "seen before" in slip_in(site, order, 9002)
    assert site.here()["state"] in ("auto", "degraded")


def test_nobody_speaks_for_another(site):
    """The server turns it away, and so does the robot if the server does not."""
    done = site.order("stop", who="mallory")
    assert done.status == 3 and "not in the operators' keyring" in done.lines[0], (done.out, done.lines)
    done = site.order("stop", "--as", "alice", who="mallory")
    assert done.status == 3 and "not signed by the key of operator alice" in done.lines[0], (done.out, done.lines)
    done = site.order("stop", robot="nobody")
    assert done.status == 4, done.lines
    site.obeyed("hold")
    order = json.loads(json.dumps(site.courier.carried[-1]))
    site.obeyed("release")
    order["envelope"]["signatures"] = [signed_by(site.key("mallory"), base64.b64decode(order["envelope"]["command"]))]
    assert "not signed by the key of operator alice" in slip_in(site, order, 9005)
    assert site.here()["state"] in ("auto", "degraded")


def signed_by(key, command):
    """A stranger's signature, well made."""
    public = subprocess.run(["openssl", "pkey", "-in", key, "-pubout", "-outform", "DER"], capture_output=True, check=True).stdout[-32:]
    return {"keyid": hashlib.sha256(public).hexdigest(), "sig": ed25519(key, b"muster-command-v1\n" + command).hex()}


def test_what_is_late_is_void(site):
    site.robot.stop_agent()
    done = site.order("stop", "--expires", "1")
    assert done.status == 1 and "r1" in done.out, done.out
    time.sleep(1)
    site.robot.start_agent()
    site.obeyed("hold")  # it hears again
    site.obeyed("release")
    site.reaches("auto", "degraded")
    wait_for(lambda: site.audit(kind="outcome", what="stop", text="expired: the robot did not answer in time"), "its end in the audit log")
    with sqlite3.connect(site.server.dir / "muster.db") as db:  # a server that held it back would hand it out now
        envelope = db.execute("SELECT envelope FROM commands WHERE verb = 'stop' ORDER BY id DESC LIMIT 1").fetchone()[0]
    text = slip_in(site, {"envelope": json.loads(envelope)}, 9003)
    assert "refused" in text and "expired" in text, text
    assert site.here()["state"] in ("auto", "degraded")


def test_a_changed_command_is_refused(site):
    site.obeyed("hold")
    order = json.loads(json.dumps(site.courier.carried[-1]))
    site.obeyed("release")
    sig = order["envelope"]["signatures"][0]["sig"]
    order["envelope"]["signatures"][0]["sig"] = ("0" if sig[0] != "0" else "1") + sig[1:]
    assert "does not fit" in slip_in(site, order, 9004)


def test_where_the_offline_keys_name_nobody_the_robot_s_own_list_counts(tmp_path):
    """And as long as it has none, nothing from afar."""
    place = Place(tmp_path)
    assert run("muster", "keys", "operator", "alice", "--dir", place.operators).status == 0
    ring = tmp_path / "ring.json"
    server = Server(place)
    robot = Robot(server, "r1", tmp_path / "r1", flags=["--operators", ring])

    def order(verb):
        return server.muster(verb, "r1", "--key", place.operators / "alice.key", "--reason", "a test", "--yes")
    try:
        robot.enroll()
        done = wait_for(lambda: (d := order("hold")).status == 3 and d, lambda: f"a refusal: {robot.tail()}")
        assert "no operators' keyring" in done.out, (done.out, done.lines)
        shutil.copy(place.operators / "operators.json", ring)
        done = order("stop")
        assert done.status == 0, (done.out, done.lines, robot.tail())
    finally:
        robot.stop()
        server.stop()


# ---- what outlives what ----


def test_a_stop_outlives_a_reboot(site):
    robot = site.robot
    site.obeyed("stop")
    robot.program.kill()
    robot.program.wait()
    robot.stop_agent(signal.SIGKILL)
    for line in subprocess.run(["ps", "-eo", "pid,args"], capture_output=True, text=True, check=True).stdout.splitlines():
        pid, args = line.split(None, 1)
        if str(robot.run_dir) in args and "muster-" in args:
            subprocess.run(["kill", "-9", pid], check=False)
    shutil.rmtree(robot.run_dir)  # a tmpfs
    robot.run_dir = robot.dir / "run-after-reboot"
    robot.start_agent()
    robot.start_program()
    site.reaches("safe_stop")
    assert site.here()["who"] == "alice" and site.here()["latched"]
    good = site.frames("ok")
    safe = site.frames("safe")
    wait_for(lambda: site.frames("safe") > safe + 4, "safe answers after the reboot")
    assert site.frames("ok") == good
    site.obeyed("reset")
    site.obeyed("restart")
    site.reaches("auto", "degraded")
    robot.answers(site.new)


def test_the_agent_may_die_while_a_human_holds(site):
    site.obeyed("hold")
    site.robot.stop_agent(signal.SIGKILL)
    assert site.here()["state"] == "hold"
    site.robot.start_agent()
    site.obeyed("release")
    site.reaches("auto", "degraded")


def test_roll_back_now(site):
    site.obeyed("rollback", who="bob")
    wait_for(lambda: site.robot.current() == site.old.digest, "the previous release to be current")
    site.reaches("auto", "degraded")
    site.robot.answers(site.old)
    outcome = site.audit(kind="outcome", what="rollback", who="bob")
    assert outcome and outcome[-1]["release"] == site.new.digest, outcome  # whose output was overridden
    site.refused("rollback", "")  # there is nothing further back


def test_roll_back_to_a_release_that_is_not_loaded(site):
    """Until it is, the fallback answers or the safe state, never the release that was left."""
    newest = site.place.pack("3.0.0", more="\nswitch: {hold_s: 1}\n")
    site.server.push(newest)
    site.robot.install(newest)
    site.robot.answers(newest)
    wait_for(lambda: site.here()["fallback"] is None, lambda: f"the previous release to leave: {site.here()}")
    site.obeyed("rollback")
    seen = []

    def there():
        now = site.here()
        seen.append((now["state"], (now["active"] or {}).get("release")))
        return seen[-1][0] in ("auto", "degraded") and seen[-1][1] == site.old.digest

    wait_for(there, lambda: f"the previous release: {seen} {site.robot.tail()}")
    assert not [s for s in seen if s[0] in ("auto", "degraded") and s[1] == newest.digest], seen
    assert site.robot.current() == site.old.digest
    site.robot.answers(site.old)


def test_whoever_orders_the_fallback_meanwhile_is_not_undone(site):
    """The end of a rollback takes back what bridged it, and no other person's word."""
    newest = site.place.pack("4.0.0", more="\nswitch: {hold_s: 1}\n")
    site.server.push(newest)
    site.robot.install(newest)
    site.robot.answers(newest)
    wait_for(lambda: site.here()["fallback"] is None, lambda: f"the previous release to leave: {site.here()}")
    site.obeyed("rollback")
    site.obeyed("fallback", who="bob")
    wait_for(
        lambda: (site.here()["active"] or {}).get("release") not in (None, newest.digest),
        lambda: f"the previous release: {site.here()} {site.robot.tail()}",
    )
    for _ in range(20):  # the agent has looked many times
        assert site.here()["state"] == "forced"
        time.sleep(0.1)
    site.obeyed("release", who="bob")
    site.reaches("auto", "degraded")


# ---- who is stopped ----


def fleet_says(site, *states):
    """What the list of the fleet says about the guard, as soon as it is one of these states."""
    guard = lambda: site.server.json("robot", "list")["robots"][0]["guard"] or {"state": None}
    return wait_for(lambda: (g := guard())["state"] in states and g, lambda: f"{states}: {guard()} {site.robot.tail()}")


def test_the_fleet_sees_who_is_stopped(site):
    fleet_says(site, "auto", "degraded")
    site.obeyed("stop")
    guard = fleet_says(site, "safe_stop")
    assert guard["who"] == "alice" and "stop in a test" in guard["text"] and guard["since_ms"] > 0
    shown = site.server.muster("robot", "show", "r1").out
    assert "guard: safe_stop since" in shown and "by alice" in shown and "over" not in shown.split("guard:")[1].splitlines()[0]
    site.robot.stop_agent()
    site.robot.start_agent()  # what stands is told anew
    wait_for(lambda: fleet_says(site, "safe_stop")["text"].startswith("start -> "), lambda: f"its word: {fleet_says(site, 'safe_stop')}")
    assert fleet_says(site, "safe_stop")["who"] == "alice"
    assert site.local("reset").status == 0
    assert fleet_says(site, "ack_wait")["who"] == "shift lead"
    assert site.local("restart").status == 0
    assert fleet_says(site, "auto", "degraded")["who"] == ""


def test_a_stop_is_not_lost_to_a_typo(site):
    done = site.server.muster("stop", "r1", "r99", "r 8", "--key", site.key("alice"), "--reason", "a typo in a test")
    assert done.status == 4 and "r99" in "".join(done.lines) and "r 8" in "".join(done.lines), (done.status, done.lines)
    assert "accepted" in done.out and site.here()["state"] == "safe_stop"
    site.back_to_work()
    done = site.server.muster("stop", "r98", "--key", site.key("alice"), "--reason", "a typo in a test")
    assert done.status == 4 and "nothing was ordered" in "".join(done.lines), done.lines
    done = site.server.muster("hold", "r1", "r99", "--key", site.key("alice"), "--reason", "a typo in a test")
    assert done.status == 4 and "nothing was ordered" in "".join(done.lines), done.lines
    assert site.here()["state"] in ("auto", "degraded")


# ---- the log ----


def test_the_audit_log_shows_it_all_and_shows_a_change(site, tmp_path):
    for e in (e for e in site.audit(kind="outcome", text="accepted") if e["what"] in ("hold", "stop")):
        assert e["who"] in ("alice", "bob") and e["why"].endswith("in a test"), e
    assert any(e.get("release") in (site.old.digest, site.new.digest) for e in site.audit(kind="outcome"))
    assert any(e["text"].startswith("auto -> hold") for e in site.audit(kind="guard")) and site.audit(kind="command")
    for e in site.audit(kind="guard"):
        assert e["text"].count(" -> ") <= 1, e  # a change of state is said once
    head = tmp_path / "head"
    done = site.server.muster("audit", "verify", "--remember", head)
    assert done.status == 0 and "sound" in done.out, done.lines
    assert site.server.muster("audit", "show", "--robot", "r1").status == 0
    db = sqlite3.connect(site.server.dir / "muster.db")
    with pytest.raises(sqlite3.Error):
        db.execute("UPDATE audit_log SET entry = '{}' WHERE seq = 3")
    db.execute("DROP TRIGGER audit_log_is_never_changed")
    db.execute("DROP TRIGGER audit_log_is_never_cut")
    entry = db.execute("SELECT entry FROM audit_log WHERE seq = 3").fetchone()[0]
    db.execute("UPDATE audit_log SET entry = ? WHERE seq = 3", (entry.replace("r1", "r2", 1),))
    db.commit()
    done = site.server.muster("audit", "verify")
    assert done.status == 3 and "entry 3 was changed" in done.lines[0], done.lines
    db.execute("UPDATE audit_log SET entry = ? WHERE seq = 3", (entry,))
    db.commit()
    assert site.server.muster("audit", "verify").status == 0
    last = db.execute("SELECT max(seq) FROM audit_log").fetchone()[0]
    db.execute("DELETE FROM audit_log WHERE seq = ?", (last - 1,))
    db.commit()
    done = site.server.muster("audit", "verify")
    assert done.status == 3 and f"entry {last - 1} is missing" in done.lines[0], done.lines
    db.execute("DELETE FROM audit_log WHERE seq > 5")
    db.commit()
    for args in ((), ("--remember", head)):  # who signed its end knows as well as who remembers it
        done = site.server.muster("audit", "verify", *args)
        assert done.status == 3 and "cut off" in done.lines[0], done.lines
    db.close()
