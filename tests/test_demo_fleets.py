"""The other two fleets: drones behind links that break, humanoids whose alarms people judge."""
import os
import tempfile

from test_demo import leftovers


def play(muster, models, *args):
    with tempfile.TemporaryDirectory(prefix="mt-", dir="/tmp") as folder:  # short: sockets live below it
        result = muster("demo", *args, "--json", "--models", models, env={"TMPDIR": folder}, timeout=580)
        assert result.status == 0, (result.out, result.lines)
        assert leftovers(folder) == []
        assert os.listdir(folder) == []
    return result.json()


def test_drones_lose_nothing_and_change_on_the_pad(muster, models):
    report = play(muster, models, "drone", "--robots", "2")
    assert report["robots_on_final"] == report["robots"] == 2
    assert report["switches"] >= 2 and report["switches_in_flight"] == 0
    assert report["link_down_share"] > 0.05 and report["connections_cut"] > 5  # the links were bad indeed
    assert report["reports_missing"] == 0
    assert report["results_told"] >= report["results"] > 0


def test_peoples_verdicts_decide_about_falls(muster, models):
    report = play(muster, models, "fall", "--robots", "4")
    first, second, third = report["versions"]
    assert report["good"]
    assert "recall" in report["bad_release_reason"]
    assert report["judged_false"] >= 20 and report["judged_true"] > 0
    assert third["found"] < third["falls"]  # it does miss falls
    assert second["false_alarms"] * first["falls"] < first["false_alarms"] * second["falls"]  # fewer, for as much life
