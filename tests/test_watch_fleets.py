"""Drift is watched on the models of all fleets. A humanoid's inertial unit: an ordinary life raises nothing, an accelerometer that is stuck does, with its cause."""
import subprocess
import time

import pytest

from conftest import BIN, ROOT, run
from fleet import Place, Release, Robot, Server, ok, wait_for

if not (BIN / "muster-watch").exists():
    pytest.skip("muster-watch is not built", allow_module_level=True)

# Four seconds are 160 windows of a life at eightfold speed: two to three of its acts. A false alarm in some 80,000 blocks.
OPTIONS = "--window-s 1 --block-s 4 --contexts 1 --burn-in 6 --fleet-robots 1 --false-alarms 24"
ORDINARY_S = 48


@pytest.fixture(scope="module")
def humanoid(tmp_path_factory):
    dir = tmp_path_factory.mktemp("humanoid")
    place = Place(dir)
    server = Server(place)
    ok("muster", "pack", ROOT / "models/fall-2.0.0/release.yaml", "-o", dir / "fall")
    place.sign(dir / "fall")
    release = Release(dir / "fall")
    server.push(release)
    robot = Robot(server, "h1", dir / "h1", flags=["--watch-options", OPTIONS])
    robot.enroll()
    robot.install(release)
    live(robot)
    robot.answers(release)
    yield robot
    robot.stop()
    server.stop()


def live(robot, *fault):
    if robot.program:
        robot.program.kill()
        robot.program.wait()
    robot.program = subprocess.Popen(
        [BIN / "muster-sim", "robot", "--run-dir", robot.run_dir, "--world", "fall", "--seed", "77", "--speed", "8", "--deadline-ms", "4000", "--log",
         robot.frames, *fault], stderr=subprocess.DEVNULL)


def log(robot):
    return (robot.run_dir / "watch.log").read_text()


def test_every_release_has_a_profile(tmp_path):
    for name in ("drone-1.0.0", "drone-2.0.0", "fall-1.0.0", "fall-2.0.0", "fall-3.0.0"):
        out = tmp_path / name
        ok("muster", "pack", ROOT / f"models/{name}/release.yaml", "-o", out)
        assert "application/vnd.muster.profile.v1" in run("muster", "inspect", out, "--json").out


def test_a_stuck_accelerometer_is_told_as_the_sensors_fault(humanoid):
    wait_for(lambda: "watching" in log(humanoid), lambda: f"a watcher: {log(humanoid)}")
    time.sleep(ORDINARY_S)
    assert "drift, cause " not in log(humanoid), log(humanoid)
    live(humanoid, "--imu", "stuck")
    wait_for(lambda: "drift, cause " in log(humanoid), lambda: f"an alarm: {log(humanoid)} {humanoid.tail()}")
    assert "drift, cause sensor" in log(humanoid), log(humanoid)
    found = wait_for(lambda: humanoid.server.json("drift", "list")["drift"], "a finding at the fleet")
    assert found[0]["robots"] == ["h1"] and found[0]["cause"] == "sensor"
