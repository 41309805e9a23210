"""muster explain, as a user runs it: on a release with a profile, on a variant, on a series, on decision records."""
import json
import struct

import pytest

from conftest import ROOT, run


@pytest.fixture(scope="module")
def release(tmp_path_factory):
    out = tmp_path_factory.mktemp("explain") / "release"
    done = run("muster", "pack", ROOT / "models/detector-2.0.0/release.yaml", "-o", out)
    assert done.status == 0, done.lines
    return out


@pytest.fixture
def frame(models):
    return models / "golden" / "dock.png"


def explain(muster, *args):
    done = muster("explain", *args, "--json")
    assert done.status == 0, done.lines
    return done.json()


def test_everything_is_there(muster, release, frame, tmp_path):
    why = explain(muster, release, frame, "-o", tmp_path / "why.png")
    assert why["release"].startswith("sha256:") and why["model"].startswith("sha256:")
    assert "onnxruntime" in why["engine"] and why["seed"] == 1 and why["passes"] == 100
    result, saliency, flip = why["result"], why["saliency"], why["counterfactual"]
    assert result["score"] >= result["limit"] and abs(result["score"] - result["limit"] - result["margin"]) < 1e-6
    assert saliency["passes"] <= 100
    assert len(saliency["map"]["values"]) == saliency["map"]["width"] * saliency["map"]["height"]
    assert 0 <= why["faithfulness"]["worth"] <= 1
    assert flip["score_before"] >= result["limit"] > flip["score_after"] and flip["cells"]
    known = why["known_cases"]
    assert len(known["nearest"]) == 5 and 0 < known["p"] <= 1
    assert [one["distance"] for one in known["nearest"]] == sorted(one["distance"] for one in known["nearest"])
    head = (tmp_path / "why.png").read_bytes()[:24]
    width, height = struct.unpack(">II", head[16:24])
    assert head.startswith(b"\x89PNG") and width >= 640 and width * 128 == height * 160


def test_the_same_seed_says_the_same(muster, release, frame):
    first, second = (explain(muster, release, frame, "--passes", 40, "--seed", 5) for _ in range(2))
    other = explain(muster, release, frame, "--passes", 40, "--seed", 6)
    assert first == second
    assert first["saliency"]["map"] != other["saliency"]["map"]


def test_a_variant_explains_itself(muster, release, frame):
    plain, variant = explain(muster, release, frame), explain(muster, f"{release}:cpu-x86", frame)
    assert plain["release"] == variant["release"] and plain["model"] != variant["model"]
    assert plain["result"]["score"] != variant["result"]["score"]


def test_words_for_people(muster, release, frame):
    done = muster("explain", release, frame)
    assert done.status == 0
    for words in ("over the threshold of 0.35", "changes when", "run again", "looks like", "faithfulness"):
        assert words in done.out, words


def test_a_series(muster, models, tmp_path):
    why = explain(muster, models / "fall-2.0.0/release.yaml", models / "golden-fall/forward.f32", "-o", tmp_path / "why.png")
    assert why["result"]["label"] == "fall" and why["counterfactual"]
    assert (why["saliency"]["map"]["width"], why["saliency"]["map"]["height"]) == (100, 6)
    assert (tmp_path / "why.png").exists()


def test_what_cannot_be_explained(muster, release, frame, models, tmp_path):
    for args, status, words in (
            ((release, frame, "--target", 99), 4, "there is no result 99"),
            ((release, models / "golden-fall/none.f32"), 3, "takes pictures"),
            ((release, tmp_path / "none.png"), 4, "none.png"),
            ((release, frame, "--passes", 1), 2, "passes"),
            ((f"{release}:none", frame), 4, "none"),
            ((release,), 2, "")):
        done = muster("explain", *args)
        assert done.status == status, (args, done.status, done.lines)
        assert len(done.lines) == 1 and words in done.lines[0], done.lines


def test_a_decision_in_words(muster, tmp_path):
    record = {"time_ms": 1700000000000, "who": "guard", "robot": "r7", "rule": "deadline", "value": 61.2, "limit": 60,
              "unit": "ms", "margin": -1.2, "count": 3, "because": "the result came 61.2 ms after its frame; 60 ms are allowed",
              "otherwise": "at most 60.0 ms, and it would have passed", "signals": {"luma": 0.25}}
    path = tmp_path / "decision.json"
    path.write_text(json.dumps(record))
    done = muster("explain", "decision", path)
    assert done.status == 0
    for words in ("guard of r7: deadline, 3 times", record["because"], record["otherwise"], "margin -1.2", "luma"):
        assert words in done.out, words
    assert json.loads(muster("explain", "decision", path, "--json").out)["margin"] == -1.2
    path.write_text("{}")
    assert muster("explain", "decision", path).status == 3
