"""A robot whose runners are behind walls works like any other: the release's own engine, switches, crashes of runner, guard and agent."""
import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from conftest import BIN, run
from fleet import Place, Release, Robot, Server, wait_for

for program in ("musterd", "muster-agent", "muster-guard", "muster-runner", "muster-jail", "muster-sim"):
    if not (BIN / program).exists():
        pytest.skip(f"{program} is not built", allow_module_level=True)

USER = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
if subprocess.run(["unshare", *USER, "--pid", "--mount", "--net", "--fork", "true"], capture_output=True).returncode != 0:
    pytest.skip("namespaces are not allowed here", allow_module_level=True)
HAS_RUNTIME = any(shutil.which(name, path="/usr/bin:/usr/sbin:/usr/local/bin:/usr/local/sbin") for name in ("crun", "runc"))


def with_engine(place, version):
    out = place.pack(version, sign=None).dir
    done = run("muster", "pack", place.dir / version / "release.yaml", "--engine", "-o", out)
    assert done.status == 0, done.lines
    place.sign(out)
    return Release(out)


@pytest.fixture(params=["sandbox", "oci"])
def site(request, tmp_path):
    if request.param == "oci" and not HAS_RUNTIME:
        pytest.skip("neither crun nor runc is installed")

    class Site:
        wall = request.param
        place = Place(tmp_path)
        server = Server(place)
        robot = Robot(server, "r1", tmp_path / "r1", flags=["--isolation", request.param, "--shadow-wait-ms", "1000"])

    site = Site()
    site.robot.enroll()
    site.robot.start_program()
    yield site
    site.robot.stop()
    site.server.stop()


def runners(robot):
    """The processes of its runners, by the word that they carry for people outside."""
    mark = f"MUSTER_RUN_DIR={robot.run_dir}".encode()
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if b"muster-runner" in (process / "cmdline").read_bytes().split(b"\0")[0] and \
                    mark in (process / "environ").read_bytes().split(b"\0"):
                found.append(process)
        except OSError:
            pass
    return found


def status_of(process):
    return dict(line.split(":\t", 1) for line in (process / "status").read_text().splitlines() if ":\t" in line)


def check_walls(process):
    status = status_of(process)
    assert status["NoNewPrivs"] == "1" and status["Seccomp"] == "2"
    assert {int(status[name], 16) for name in ("CapEff", "CapPrm", "CapBnd", "CapInh", "CapAmb")} == {0}
    for space in ("net", "mnt", "pid", "ipc", "uts"):
        assert os.readlink(process / "ns" / space) != os.readlink(f"/proc/self/ns/{space}"), space
    if os.geteuid() == 0:
        assert status["Uid"].split() == ["65534"] * 4


def guard_of(robot):
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if words[0].endswith(b"muster-guard") and os.fsencode(robot.run_dir) in words:
            return int(process.name)
    return None


def test_a_robot_behind_walls(site):
    robot = site.robot
    first = with_engine(site.place, "1.0.0")
    site.server.push(first)
    robot.install(first)
    robot.answers(first)
    assert len(runners(robot)) == 1
    check_walls(runners(robot)[0])
    engine = next(x["digest"] for x in first.manifest["layers"] if x["mediaType"].startswith("application/vnd.oci.image.manifest"))
    unpacked = robot.state / "engines" / engine[7:]
    assert (unpacked / "usr/bin/muster-runner").stat().st_mode & 0o222 == 0
    said = [r["text"] for r in robot.reports("started")][0]
    assert "isolation: " + {"sandbox": "sandbox", "oci": "container by "}[site.wall] in said

    # A release without an engine runs from the robot's own files, behind the same walls.
    second = site.place.pack("2.0.0")
    site.server.push(second)
    robot.install(second)
    robot.answers(second)
    wait_for(lambda: runners(robot), "a runner")
    for process in runners(robot):
        check_walls(process)

    # A killed runner comes back.
    for process in runners(robot):
        os.kill(int(process.name), signal.SIGKILL)
    robot.answers(second)

    # The next guard is found through the door.
    old = guard_of(robot)
    os.kill(old, signal.SIGKILL)
    wait_for(lambda: guard_of(robot) not in (None, old), "another guard")
    robot.answers(second)

    # Without the agent everything goes on, and the next agent takes it over.
    before = {process.name for process in runners(robot)}
    robot.stop_agent(signal.SIGKILL)
    robot.answers(second)
    robot.start_agent()
    robot.answers(second)
    assert before & {process.name for process in runners(robot)}
