"""Two keys to install, with everything real: a workstation's offline keys, musterd's online ones, an agent with nothing but root.json."""
import signal

import pytest

from conftest import BIN
from fleet import Place, Robot, Server, ok, wait_for

if not (BIN / "musterd").exists():
    pytest.skip("musterd is not built", allow_module_level=True)


def approve(server, rollout, who):
    place = server.place
    return server.muster("rollout", "approve", rollout, "--key", place.operators / f"{who}.key", "--root", place.root, "--reason", "seen",
                         "--yes")


@pytest.fixture(scope="module")
def here(tmp_path_factory):
    place = Place(tmp_path_factory.mktemp("two-keys"), operators=("alice", "bob"))
    server = Server(place)
    robot = Robot(server, "r1", place.dir / "r1")
    robot.enroll()
    robot.start_program()
    yield place, server, robot
    robot.stop()
    server.stop()


def release(place, server, version, *terms):
    made = place.pack(version, sign=None)
    place.sign(made.dir, "keys", *terms)
    server.push(made)
    return made


def test_what_both_keys_want_is_installed(here):
    place, server, robot = here
    one = release(place, server, "1.0.0")
    robot.install(one)
    robot.answers(one)
    assert robot.trusts("root")["version"] >= 1 and "quadrants/1.0.0" in robot.trusts("targets")["targets"]
    assert robot.own_state()["trust"]["admitted"] == one.digest and robot.own_state()["trust"]["accepted"] > 0


def test_a_plan_waits_for_people_and_the_robot_looks_for_itself(here):
    place, server, robot = here
    two = release(place, server, "2.0.0", "--approvals", "2:alice,bob:plan", "--floor", "1.0.0")
    rollout = str(server.rollout(two))
    assert approve(server, rollout, "alice").status == 0
    assert server.rollout_state(rollout) == "waiting"
    assert approve(server, rollout, "bob").status == 0
    assert server.ended(rollout) == "done", (robot.reports(), robot.tail())
    robot.settled(two)
    assert (robot.state / "trust/operators.json").exists()
    assert robot.own_state()["trust"]["floors"] == [{"name": "quadrants", "version": "1.0.0"}]


def test_every_key_changes_while_the_robot_is_off(here):
    place, server, robot = here
    robot.stop_agent(signal.SIGKILL)
    before = robot.trusts("root")["version"]
    for role in ("root", "release"):
        place.change_keys("rotate", role)
    for role in ("timestamp", "snapshot", "director"):
        ok("musterd", "rotate", "--dir", place.server_dir, "--role", role)
        place.change_keys("rotate", role, "--online", place.server_dir / "online.json")
    server.push()
    three = release(place, server, "3.0.0")
    robot.start_agent()
    robot.install(three)
    assert robot.trusts("root")["version"] >= before + 5


def test_what_the_offline_keys_took_back_is_not_installed(here):
    place, server, robot = here
    runs, after = robot.current(), robot.mark()
    four = release(place, server, "4.0.0")
    robot.stop_agent()
    server.rollout(four)  # assigned, while the robot is off
    wait_for(lambda: (robot.show()["target"] or {}).get("digest") == four.digest, "the assignment")
    place.unsign(four)
    server.push()
    robot.start_agent()
    wait_for(lambda: [r for r in robot.reports("failed", four, after) if r["text"].startswith("[targets.unknown]")],
             lambda: f"the refusal: {robot.reports(after=after)} {robot.tail()}")
    assert robot.current() == runs
    assert not robot.reports("downloaded", four)


def test_the_chain_says_whose_orders_count(here):
    place, server, robot = here
    assert not (robot.state / "operators.json").exists()  # nobody gave it one

    def order(verb, who, *args):
        return server.muster(verb, "r1", "--key", place.operators / f"{who}.key", "--reason", "a test", "--yes", *args)

    wait_for(lambda: order("hold", "alice").status == 0, "the order to be obeyed")
    assert order("release", "alice").status == 0
    after = robot.mark()
    ok("muster", "keys", "revoke", "alice", "--operators", "--dir", place.operators, "--keys", place.keys)
    server.push()
    robot.stop_agent()
    robot.start_agent("--metadata-ms", "500")
    wait_for(lambda: "alice" in (robot.state / "trust/operators.json").read_text() and order("hold", "alice").status != 0,
             lambda: f"the revocation: {robot.reports(after=after)} {robot.tail()}")
    assert order("hold", "bob").status == 0
    assert order("release", "bob").status == 0
