"""muster optimize on real networks: what is not excluded becomes integers, little is excluded, and what comes out still sees what went in.

A few networks with few samples; `make corpus` takes all nine with many, at the fidelity that is asked for when nothing is said.
"""
import json
import os
import subprocess

import numpy
import pytest

from corpus import judge
from corpus.corpus import BIN, NETWORKS, ROOT

for program in ("forge-run", "forge-nets"):
    if not (BIN / program).exists():
        pytest.skip(f"{program} is not built", allow_module_level=True)

WHOLE = pytest.mark.skipif(not os.environ.get("CORPUS_WHOLE"), reason="minutes each: make corpus")
SOME = ["text-direction", "text-detector", "face-front"]
PROFILES = ["cpu-x86", "cpu-arm", "trt"]
QUICK = ["--rounds", "64"]  # the fewest pairs; how fast it is here is not asked
RENDER = ROOT / "tests/corpus/render.py"


def muster(*args):
    done = subprocess.run([BIN / "muster", *map(str, args), "--json"], capture_output=True, text=True)
    if "ONNX Runtime" in done.stderr:
        pytest.skip(done.stderr)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def fetched(network):
    if not network.file.exists():
        pytest.skip("the models of tests/corpus/packages.txt are not here: scripts/corpus fetches them")
    return network


def by_name(name):
    return fetched(next(n for n in NETWORKS if n.name == name))


def optimize(network, samples, out, *more):
    shapes = [word for shape in network.shapes for word in ("--shape", shape)]
    return muster("optimize", network.file, "--calib", samples, "-o", out, "--profile", "all", "--int8", *shapes, *more)


def made(out, profile):
    """The file of a profile, promoted or not: what it is worth is another question than how fast it is here."""
    return out / (profile["path"] if profile["promoted"] else profile["candidate"])


def fuses(profile):
    assert profile["unfused"] == 0, profile
    assert all(item["node"] and item["op"] and item["reason"] for item in profile["excluded"])
    assert profile["integer"] >= 1


@pytest.mark.parametrize("name", SOME)
def test_real_networks_become_integers(name, tmp_path):
    network = by_name(name)
    samples = network.render(tmp_path / "samples", 24, seed=11)
    report = optimize(network, samples, tmp_path / "out", "--max-drop", "0.99", *QUICK)  # so loose that the rules alone exclude
    assert [p["profile"] for p in report["profiles"]] == PROFILES
    for profile in report["profiles"]:
        fuses(profile)
        assert profile["integer"] >= 0.9 * profile["weighted"], profile["excluded"]


@WHOLE
@pytest.mark.parametrize("network", NETWORKS, ids=lambda n: n.name)
def test_real_networks_still_see(network, tmp_path):
    fetched(network)
    samples = network.render(tmp_path / "samples", 128, seed=11)
    report = optimize(network, samples, tmp_path / "out")
    fresh = network.render(tmp_path / "fresh", 200, seed=12)
    parent = network.answers(network.file, fresh, tmp_path / "parent", shaped=True)
    for profile in report["profiles"]:
        fuses(profile)
        answers = network.answers(made(tmp_path / "out", profile), fresh, tmp_path / profile["profile"])
        like, things = network.like(parent, answers, 200)
        print(f"{network.name} {profile['profile']}: {like:.4f} over {things}, {profile['integer']} of {profile['weighted']} are integers, "
              f"{profile['reason']}")
        # What was refused may be what it likes: the model itself stays (BlazeFace's larger model loses its faces in 8 bits).
        assert things >= 50 and (like >= 0.9 or not profile["promoted"])


# ---- releases ----

def release(path, model, task, shape, output, out_shape, **more):
    fields = {"schema": 1, "name": path.stem, "version": "1.0.0", "task": task, "targets": ["x86_64", "aarch64"],
              "model": {"path": str(model), "inputs": [{"name": "x", "dtype": "float32", "shape": shape}],
                        "outputs": [{"name": output, "dtype": "float32", "shape": out_shape}]},
              "budgets": {"latency_p99_ms": 400, "deadline_ms": 600, "memory_mib": 512}, "safe_state": "stop",
              "golden": {"inputs": "golden", "tolerance": 0.001}, **more}
    path.write_text(json.dumps(fields))  # which is YAML, too
    return path


def test_the_direction_classifier_keeps_its_accuracy(tmp_path):
    network = by_name("text-direction")
    samples = network.render(tmp_path / "samples", 128, seed=7)
    truth = network.render(tmp_path / "truth", 1500, seed=1)
    network.answers(network.file, network.render(tmp_path / "one", 1, seed=1), tmp_path / "fixed", shaped=True)

    def yaml(name, model):
        return release(tmp_path / f"{name}.yaml", model, "classification", [1, 3, 48, 192], "softmax_0.tmp_0", [1, 2],
                       labels=["0", "180"], frame="float32")

    def accuracy(name, model):
        return muster("eval", yaml(name, model), "--data", truth)["accuracy"]

    parent = tmp_path / "fixed/model.onnx"
    report = muster("optimize", yaml("parent", parent), "--calib", samples, "-o", tmp_path / "out", "--int8", *QUICK)
    assert report["fidelity_kind"] == "classes"
    scores = {p["profile"]: accuracy(p["profile"], made(tmp_path / "out", p)) for p in report["profiles"]}
    scores["fp32"] = accuracy("fp32", parent)
    print(scores)
    assert scores["fp32"] >= 0.885
    assert scores["cpu-x86"] >= 0.88 and scores["cpu-arm"] >= 0.875 and scores["trt"] >= 0.875
    for profile in report["profiles"]:
        fuses(profile)


# ---- boxes 0..640 beside scores 0..1 in one tensor ----

def cells(outputs, threshold=0.35):
    """Every (sample, class, cell) over the threshold, before overlaps are removed."""
    (maps,) = outputs.values()
    return maps.reshape(maps.shape[0], *maps.shape[-2:])[:, 4:] > threshold


def test_a_head_of_mixed_ranges_keeps_its_detections(tmp_path):
    subprocess.run([BIN / "forge-nets", "yolo", "-o", tmp_path / "model.onnx"], check=True)
    for folder, count, seed in (("samples", 64, 11), ("fresh", 32, 12)):
        subprocess.run(["/usr/bin/python3", RENDER, "tiles", tmp_path / folder, "--count", str(count), "--seed", str(seed)], check=True)

    def answers(model, out):
        subprocess.run([BIN / "forge-run", model, tmp_path / "fresh", tmp_path / out], check=True)
        return {"y": numpy.load(tmp_path / out / "y.npy")}

    yaml = release(tmp_path / "release.yaml", "model.onnx", "detection", [1, 3, 640, 640], "y", [1, 8, 1600], labels=["r", "g", "b", "w"])
    report = muster("optimize", yaml, "--calib", tmp_path / "samples", "-o", tmp_path / "out")  # no option
    parent = answers(tmp_path / "model.onnx", "parent")
    seen = cells(parent)
    assert seen.sum() >= 300
    for profile in report["profiles"]:
        fuses(profile)
        assert profile["fidelity"] >= 0.99, profile["reason"]
        if profile["profile"] == "trt":  # its float16 pairs need what muster optimize does to compute them here (optimize/rehearse.h)
            continue
        mine = answers(made(tmp_path / "out", profile), profile["profile"])
        kept = (seen & cells(mine)).sum() / seen.sum()
        like, things = judge.f1(parent, mine, judge.yolo_boxes, len(seen))  # after overlaps are removed, with boxes at IoU 0.5
        print(f"{profile['profile']}: {kept:.4f} of {seen.sum()} cells, F1 {like:.4f} over {things}")
        assert kept >= 0.99 and like >= 0.99
