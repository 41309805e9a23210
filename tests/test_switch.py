"""How one release takes over from another on a robot that works: beside it and looked at first, or after it where memory is short."""
import pytest

from conftest import BIN
from fleet import Place, Robot, Server

for program in ("musterd", "muster-agent", "muster-guard", "muster-runner", "muster-sim"):
    if not (BIN / program).exists():
        pytest.skip(f"{program} is not built", allow_module_level=True)

SHADOWED = "switch: {shadow_frames: 10, min_agreement: 0.9}\n"
MEMORY_FIRST = "switch: {policy: memory}\n"


@pytest.fixture
def site(tmp_path):
    class Site:
        place = Place(tmp_path)
        server = Server(place)
        robot = Robot(server, "r1", tmp_path / "r1", flags=["--shadow-wait-ms", "2000"])

        def publish(self, version, **kwargs):
            release = self.place.pack(version, **kwargs)
            self.server.push(release)
            return release

        def install(self, release):
            self.robot.install(release)
            self.robot.answers(release)

    site = Site()
    site.robot.enroll()
    site.robot.start_program()
    site.first = site.publish("1.0.0")
    site.install(site.first)
    yield site
    site.robot.stop()
    site.server.stop()


def only(reports):
    assert len(reports) == 1, reports
    return reports[0]["text"]


def without_result(robot):
    return sum(total["safe"] + total["fallback"] for total in robot.totals().values())


def test_a_release_is_looked_at_on_live_frames_before_it_answers(site):
    safe = without_result(site.robot)
    good = site.publish("2.0.0", more=SHADOWED)
    site.install(good)
    assert "10 live frames, agreed on 10" in only(site.robot.reports("shadowed", good))
    for kind in ("self_tested", "activated", "committed"):
        assert "onnxruntime" in only(site.robot.reports(kind, good)), kind  # what it computes on
    assert without_result(site.robot) == safe  # nobody noticed


def test_a_release_that_says_something_else_never_answers(site):
    blind = site.publish("2.0.0", more=SHADOWED, postprocess="{decoder: yolov8, score_threshold: 1.0}")
    id = site.server.rollout(blind)
    assert site.server.ended(id) != "done"
    assert "agreed with the release that answers" in only(site.robot.reports("failed", blind))
    assert site.robot.reports("activated", blind) == []
    site.robot.answers(site.first)
    assert site.robot.totals().get(blind.digest, {}).get("ok", 0) == 0


def test_without_live_frames_it_goes_on_and_says_so(site):
    site.robot.program.kill()
    site.robot.program.wait()
    good = site.publish("2.0.0", more=SHADOWED)
    site.robot.install(good)
    assert "not shadowed: 0 of 10 live frames" in only(site.robot.reports("shadowed", good))
    site.robot.start_program()
    site.robot.answers(good)


def test_where_memory_is_short_the_old_one_leaves_first_and_comes_back_if_need_be(site):
    thrifty = site.publish("2.0.0", more=MEMORY_FIRST)
    site.install(thrifty)
    said = only(site.robot.reports("guard", thrifty))
    assert "1.0.0 leaves before 2.0.0 is loaded" in said and "the safe state answers meanwhile" in said
    state = site.robot.own_state()
    assert state["gap"] and state["previous_cold"]
    broken = site.place.with_model("3.0.0", "nan.onnx", more=MEMORY_FIRST)
    site.server.push(broken)
    assert site.server.ended(site.server.rollout(broken)) != "done"
    assert "golden" in only(site.robot.reports("failed", broken))
    site.robot.answers(thrifty)
