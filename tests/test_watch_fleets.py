"""Drift is watched on the models of all fleets: an ordinary life of a humanoid and of a drone raises nothing, an accelerometer that is stuck and a lens
that is fogged do, with their cause."""
import subprocess
import time

import pytest

from conftest import BIN, ROOT, run
from fleet import Place, Release, Robot, Server, ok, wait_for

if not (BIN / "muster-watch").exists():
    pytest.skip("muster-watch is not built", allow_module_level=True)

# Four seconds are a minute of a humanoid at sixteen times its pace, five of its acts, and two rounds of a drone at twenty times its own. A false alarm in
# some 100,000 blocks.
OPTIONS = "--window-s 1 --block-s 4 --contexts 1 --burn-in 8 --fleet-robots 1 --false-alarms 20"
ORDINARY_S = 48


class Fleet:
    def __init__(self, dir):
        self.dir = dir
        self.place = Place(dir)
        self.server = Server(self.place)

    def robot(self, name, model):
        """One that does not run its program yet."""
        out = self.dir / model
        ok("muster", "pack", ROOT / "models" / model / "release.yaml", "-o", out)
        self.place.sign(out)
        release = Release(out)
        self.server.push(release)
        robot = Robot(self.server, name, self.dir / name, flags=["--watch-options", OPTIONS])
        robot.enroll()
        robot.install(release)
        return robot, release


@pytest.fixture(scope="module")
def fleet(tmp_path_factory):
    fleet = Fleet(tmp_path_factory.mktemp("fleet"))
    yield fleet
    fleet.server.stop()


@pytest.fixture
def humanoid(fleet):
    robot, release = fleet.robot("h1", "fall-2.0.0")
    live(robot)
    robot.answers(release)
    yield robot
    robot.stop()


@pytest.fixture
def drone(fleet):
    """Two rounds of a flight, over and over; and what a fogged lens makes of them."""
    Image = pytest.importorskip("PIL.Image")
    from PIL import ImageFilter
    flight, fogged = fleet.dir / "flight", fleet.dir / "fogged"
    ok("muster-sim", "frames", "--world", "drone", "--sequence", "--seed", "301", "--every", "200", "--count", "400", "-o", flight)
    fogged.mkdir()
    for path in sorted(flight.glob("*.png")):
        Image.open(path).filter(ImageFilter.GaussianBlur(2)).save(fogged / path.name)
    robot, release = fleet.robot("d1", "drone-2.0.0")
    fly(robot, flight)
    robot.answers(release)
    yield robot
    robot.stop()


def start(robot, *args):
    if robot.program:
        robot.program.kill()
        robot.program.wait()
    robot.program = subprocess.Popen(
        [BIN / "muster-sim", "robot", "--run-dir", robot.run_dir, "--deadline-ms", "4000", "--log", robot.frames, *args], stderr=subprocess.DEVNULL)


def live(robot, *fault):
    start(robot, "--world", "fall", "--seed", "77", "--speed", "16", *fault)


def fly(robot, flight):
    start(robot, "--camera", f"images:{flight}", "--fps", "100")


def log(robot):
    return (robot.run_dir / "watch.log").read_text()


def test_every_release_has_a_profile(tmp_path):
    for name in ("drone-1.0.0", "drone-2.0.0", "fall-1.0.0", "fall-2.0.0", "fall-3.0.0"):
        out = tmp_path / name
        ok("muster", "pack", ROOT / f"models/{name}/release.yaml", "-o", out)
        assert "application/vnd.muster.profile.v1" in run("muster", "inspect", out, "--json").out


def expect(robot, go_wrong, cause):
    wait_for(lambda: "watching" in log(robot), lambda: f"a watcher: {log(robot)}")
    time.sleep(ORDINARY_S)
    assert "drift, cause " not in log(robot), log(robot)
    go_wrong()
    wait_for(lambda: "drift, cause " in log(robot), lambda: f"an alarm: {log(robot)} {robot.tail()}")
    assert f"drift, cause {cause}" in log(robot), log(robot)
    found = wait_for(lambda: [f for f in robot.server.json("drift", "list")["drift"] if f["robots"] == [robot.name]],
                     "a finding at the fleet")
    assert found[0]["cause"] == cause


def test_a_stuck_accelerometer_is_told_as_the_sensors_fault(humanoid):
    expect(humanoid, lambda: live(humanoid, "--imu", "stuck"), "sensor")


def test_a_fogged_lens_of_a_drone_is_told_as_the_sensors_fault(drone, fleet):
    expect(drone, lambda: fly(drone, fleet.dir / "fogged"), "sensor")
