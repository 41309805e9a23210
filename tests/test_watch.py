"""muster-watch on a robot: it comes with the agent and outlives it, tells windows, explains what the guard did, chooses frames for people, and its
numbers go where they should. The agent is killed for most of it, so that what it would take away stays in the mailbox. And what people acknowledge at
the server reaches the watcher that raised the alarm."""
import json
import os
import re
import signal
import socket
import struct
import subprocess
import urllib.request

import pytest

from conftest import BIN, run
from fleet import Place, Robot, Server, ok, wait_for

if not (BIN / "muster-watch").exists():
    pytest.skip("muster-watch is not built", allow_module_level=True)

QUICK = "--window-s 0.5 --block-s 0.5 --audit 1 --samples 1000"


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    class Site:
        pass
    site = Site()
    site.dir = tmp_path_factory.mktemp("watch")
    site.place = Place(site.dir)
    site.server = Server(site.place)
    site.release = site.place.pack("1.0.0")
    site.server.push(site.release)
    site.robot = Robot(site.server, "r1", site.dir / "r1", flags=["--watch-options", QUICK])
    site.robot.enroll()
    site.robot.install(site.release)
    site.robot.start_program()
    site.robot.answers(site.release)
    yield site
    site.robot.stop()
    wait_for(lambda: not alive(watcher(site)), "the end of the watcher")
    site.server.stop()


def watcher(site):
    return int((site.robot.run_dir / "watch.lock").read_text())


def alive(pid):
    try:
        os.kill(pid, 0)
        return True
    except ProcessLookupError:
        return False


def of_robot(robot, pid):
    """Within its walls a runner knows its folders by other names; what is mounted there tells."""
    try:
        mounts = open(f"/proc/{pid}/mountinfo").read()
    except OSError:
        return False
    return str(robot.run_dir) in cmdline(pid) or str(robot.dir)[1:] in mounts


def log(site):
    return (site.robot.run_dir / "watch.log").read_text()


def mail(site, kind):
    return sorted((site.robot.run_dir / "watch").glob(f"*.{kind}"))


def parse_sample(data):
    magic, head, picture = struct.unpack("<8sII", data[:16])
    assert magic == b"MSAMPLE1" and len(data) == 16 + head + picture
    return json.loads(data[16:16 + head]), data[16 + head:]


def empty(site):
    for path in (site.robot.run_dir / "watch").iterdir():
        path.unlink(missing_ok=True)  # what was half written has its own name by now


@pytest.fixture(scope="module")
def alone(site):
    """Guard, runner, program and watcher go on without their agent."""
    first = watcher(site)
    site.robot.stop_agent(signal.SIGKILL)
    assert alive(first) and watcher(site) == first
    empty(site)
    return first


def test_windows_come(site, alone):
    def told():
        # OTLP: texts lie in it as they are.
        text = b"".join(p.read_bytes() for p in mail(site, "metric"))
        return b"muster.watch.verdicts" in text and b"muster.system.cpu.utilization" in text
    wait_for(told, lambda: f"windows of frames and of the machine: {log(site)}")


COLLECTOR = """
receivers: {otlp: {protocols: {http: {endpoint: "127.0.0.1:%d"}}}}
exporters: {debug: {verbosity: detailed}}
service:
  telemetry: {metrics: {level: none}}
  pipelines: {metrics: {receivers: [otlp], exporters: [debug]}}
"""


def logged_windows(robot):
    """What of the agent's own lies in the robot's log (robot/forward/segment.h): class METRIC, as it goes to the server."""
    for path in (robot.state / "forward").glob("*.seg"):
        data, at = path.read_bytes(), 56
        while at + 32 <= len(data):
            size, _, kind = struct.unpack("<IIH", data[at:at + 10])
            if kind == 0x0101:  # u8 class METRIC, u8 kind: the agent's own
                yield data[at + 32:at + 32 + size]
            at += 32 + size


@pytest.mark.skipif("MUSTER_OTELCOL" not in os.environ, reason="no stock collector: tests/otelcol/main.go")
def test_a_stock_collector_takes_them(site, alone):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    (site.dir / "collector.yaml").write_text(COLLECTOR % port)
    printed = site.dir / "collector.log"
    wait_for(lambda: len(mail(site, "metric")) >= 5, "five windows")
    with open(printed, "w") as out:
        collector = subprocess.Popen([os.environ["MUSTER_OTELCOL"], "--config", site.dir / "collector.yaml"], stdout=out, stderr=out)
    try:
        wait_for(lambda: "Everything is ready" in printed.read_text(), printed.read_text)
        bodies = [path.read_bytes() for path in mail(site, "metric")] + list(logged_windows(site.robot))  # nobody takes them away
        for body in bodies:
            request = urllib.request.Request(f"http://127.0.0.1:{port}/v1/metrics", body, {"Content-Type": "application/x-protobuf"})
            with urllib.request.urlopen(request, timeout=10) as response:
                assert response.status == 200 and response.read() in (b"", b"\x0a\x00")  # all of it: no partial success, or one of nothing
        wait_for(lambda: printed.read_text().count('"resource metrics"') >= len(bodies), "what it says of them")
    finally:
        collector.terminate()
        collector.wait()
    text = printed.read_text()
    assert {"muster.watch.verdicts", "muster.system.cpu.utilization"} <= set(re.findall(r"-> Name: (\S+)", text))
    assert "service.name: Str(muster-agent)" in text and "muster.robot: Str(" in text
    histograms = text.split("ExponentialHistogramDataPoints #")[1:]
    assert histograms
    for one in histograms:  # ends where anything else begins
        one = re.split(r"NumberDataPoints|Metric #|Resource", one)[0]
        counts = [int(n) for n in re.findall(r"^Bucket .*Count: (\d+)", one, re.M)]
        assert sum(counts) == int(re.search(r"^Count: (\d+)", one, re.M)[1]), one


def test_frames_for_people(site, alone):
    empty(site)
    assert run("muster-watch", "--run-dir", site.robot.run_dir, "--look").status == 0
    samples = wait_for(lambda: mail(site, "sample"), lambda: f"a sample: {log(site)}")
    head, picture = parse_sample(samples[0].read_bytes())
    assert head["release"] == site.release.digest and head["reason"] in ("audit", "operator")
    assert 0 < head["probability"] <= 1 and head["width"] == 160 and head["height"] == 128
    assert picture[:2] == b"\xff\xd8" and picture[-2:] == b"\xff\xd9"
    assert isinstance(head["detections"], list) and 0 < head["signals"]["luma"] < 1


def test_the_guard_steps_in_and_it_is_explained(site, alone):
    """A program that wants its answers sooner than they can come."""
    runner = next(pid for pid in pids("muster-runner") if of_robot(site.robot, pid))
    empty(site)
    os.kill(runner, signal.SIGSTOP)
    try:
        wait_for(lambda: mail(site, "event"), lambda: f"a decision: {log(site)}")
    finally:
        os.kill(runner, signal.SIGCONT)
    event = json.loads(mail(site, "event")[0].read_text())
    assert event["who"] == "guard" and event["count"] >= 1 and event["because"]
    assert event["rule"] in ("deadline", "runner_lost", "stale"), event
    if event["rule"] == "deadline":
        assert event["value"] >= event["limit"] > 0 and event["margin"] <= 0 and event["unit"] == "ms", event
        assert event["otherwise"] and event["subject"].startswith("frame ")


def test_one_that_dies_is_started_again(site, alone):
    """By an agent that did not start it."""
    site.robot.start_agent()
    first = watcher(site)
    os.kill(first, signal.SIGKILL)
    wait_for(lambda: watcher(site) != first and alive(watcher(site)), lambda: f"the next one: {site.robot.tail()}")
    assert run("muster-watch", "--run-dir", site.robot.run_dir, "--acknowledge").status == 0


# ---- acknowledged at the server ----

# Blocks of half a second, learned from for three seconds; a false alarm in some 15,000 of them.
ALARMING = "--window-s 0.5 --block-s 0.5 --contexts 1 --burn-in 6 --fleet-robots 1 --false-alarms 1000"


class Drifting:
    """A robot with a profile whose camera goes dark when it is told to."""

    def __init__(self, site):
        self.server, dir = site.server, site.dir / "drifting"
        dir.mkdir()
        for name, light in (("day", "1"), ("dusk", "0.3")):
            ok("muster-sim", "frames", "--site", "1", "--count", "120", "--light", light, "-o", dir / name)
        self.frames = dir
        self.release = site.place.pack("2.0.0", more=f"profile: {{calib: {dir / 'day'}, save: {dir / 'profile.bin'}}}\n")
        self.server.push(self.release)
        self.robot = Robot(self.server, "r2", site.dir / "r2", flags=["--watch-options", ALARMING])
        self.robot.enroll()
        self.robot.install(self.release)
        self.see("day")
        self.robot.answers(self.release)

    def see(self, name):
        robot = self.robot
        if robot.program:
            robot.program.kill()
            robot.program.wait()
        robot.program = subprocess.Popen(
            [BIN / "muster-sim", "robot", "--run-dir", robot.run_dir, "--fps", "30", "--deadline-ms", "4000", "--camera",
             f"images:{self.frames / name}", "--log", robot.frames], stderr=subprocess.DEVNULL)

    def log(self):
        return (self.robot.run_dir / "watch.log").read_text()

    def alarms(self):
        return self.log().count("drift, cause ")

    def cleared(self):
        return self.log().count("acknowledged at the fleet")

    def known(self):
        """What the agent has heard of acknowledgements."""
        try:
            return json.loads((self.robot.run_dir / "watch.seen").read_text())["seen"]
        except FileNotFoundError:
            return []

    def findings(self, *args):
        return [f for f in self.server.json("drift", "list", *args)["drift"] if f["release"]["version"] == "2.0.0"]

    def acknowledge(self):
        """All that is open, until the robot's alarm goes: what it took for something else meanwhile is to be seen as that, too."""
        before = self.cleared()

        def gone():
            for finding in self.findings():
                done = self.server.muster("drift", "acknowledge", str(finding["id"]), "--note", "dusk")
                assert done.status == 0, done.lines
            return self.cleared() > before
        wait_for(gone, lambda: f"the robot's alarm to go: {self.log()} {self.robot.tail()}")


@pytest.fixture(scope="module")
def drifting(site):
    drifting = Drifting(site)
    yield drifting
    drifting.robot.stop()


def test_what_is_acknowledged_at_the_server_reaches_the_robot(drifting):
    wait_for(lambda: list((drifting.robot.state / "watch").glob("*.drift")) or "watching" in drifting.log(), "a watcher")
    drifting.see("dusk")
    found = wait_for(drifting.findings, lambda: f"a finding: {drifting.log()} {drifting.robot.tail()}")
    assert found[0]["robots"] == ["r2"]
    told = drifting.alarms()
    assert told >= 1 and drifting.cleared() == 0 and drifting.known() == []
    drifting.acknowledge()
    assert drifting.known()[-1]["release"] == drifting.release.digest
    # The detectors begin anew: it is still dark, so that is news.
    wait_for(lambda: drifting.alarms() > told, lambda: f"another alarm: {drifting.log()}")
    wait_for(drifting.findings, "another finding")


def test_an_older_acknowledgement_clears_no_newer_alarm(drifting):
    """The robot loses what it knew, is told all again, and does nothing."""
    wait_for(drifting.findings, "an open finding")
    first = drifting.known()
    before, robot = drifting.cleared(), drifting.robot
    robot.stop_agent(signal.SIGKILL)
    (robot.run_dir / "watch.seen").unlink()
    robot.start_agent()
    wait_for(lambda: all(alarm in drifting.known() for alarm in first), lambda: f"it is told again: {robot.tail()}")
    mark = len(drifting.log().splitlines())
    watcher = int((robot.run_dir / "watch.lock").read_text())
    os.kill(watcher, signal.SIGKILL)  # the next one reads it from the beginning, and knows which alarm stands
    wait_for(lambda: any("watching" in line for line in drifting.log().splitlines()[mark:]), "the next watcher")
    robot.answers(drifting.release, frames=60)
    assert drifting.cleared() == before, drifting.log()
    drifting.acknowledge()


def test_usage():
    assert "--look" in run("muster-watch", "--help").out
    for wrong in (["--run-dir", "x"], ["--run-dir", "x", "--state-dir", "y", "--contexts", "7"], ["--window-s", "-1"], ["surplus"]):
        done = run("muster-watch", *wrong)
        assert done.status == 2 and len(done.lines) == 1 and done.lines[0].startswith("muster-watch: ")
    nobody = run("muster-watch", "--run-dir", "/nonexistent", "--look")
    assert nobody.status == 5 and "no muster-watch runs" in nobody.lines[0]


def pids(program):
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                if os.readlink(f"/proc/{entry}/exe").endswith("/" + program):
                    yield int(entry)
            except OSError:
                pass


def cmdline(pid):
    with open(f"/proc/{pid}/cmdline", "rb") as file:
        return file.read().replace(b"\0", b" ").decode()
