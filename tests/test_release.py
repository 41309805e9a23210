"""muster pack, sign, verify, inspect, eval, bench (keys: test_keys.py): the real program on real models, exit statuses and single lines."""
import json
import os
import pathlib
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent
BIN = pathlib.Path(os.environ.get("MUSTER_BIN", ROOT / "build/bin"))
MODEL = ROOT / "models/detector-2.0.0"

YAML = """
schema: 1
name: quadrants
version: 1.0.0
task: detection
targets: [{targets}]
model:
  path: {model}
  inputs: [{{name: images, dtype: float32, shape: [1, 3, 16, 16]}}]
  outputs: [{{name: output0, dtype: float32, shape: [1, 6, 4]}}]
postprocess: {{decoder: yolov8}}
labels: [red, green]
budgets: {{latency_p99_ms: 40, deadline_ms: 60, memory_mib: 128}}
safe_state: stop
golden: {{inputs: {golden}}}
"""


def muster(*args, cwd, env=None):
    return subprocess.run([BIN / "muster", *map(str, args)], cwd=cwd, capture_output=True, text=True,
                          env={**os.environ, **(env or {})}, timeout=120)


def ok(*args, cwd, env=None):
    done = muster(*args, cwd=cwd, env=env)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


def fails(status, *args, cwd, say=""):
    """The command ends with this status and says so in exactly one line, which contains `say`."""
    done = muster(*args, cwd=cwd)
    assert done.returncode == status, (done.returncode, done.stderr)
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1 and done.stderr.startswith(f"muster {args[0]}: "), done.stderr
    assert say in done.stderr, done.stderr
    return done.stderr


def write_yaml(tmp_path, model="quadrants.onnx", targets="x86_64, aarch64"):
    path = tmp_path / "release.yaml"
    path.write_text(YAML.format(model=ROOT / "tests/data/models" / model, targets=targets, golden=ROOT / "models/golden"))
    return path


def init_keys(tmp_path, dir="keys"):
    """The offline keys of a fleet."""
    if not (BIN / "musterd").exists():
        pytest.skip("musterd is not built")
    if not (tmp_path / "server").exists():
        subprocess.run([BIN / "musterd", "init", "--dir", tmp_path / "server", "--hosts", "127.0.0.1", "--token-file", tmp_path / "token"],
                       check=True, capture_output=True)
    ok("keys", "init", "--dir", dir, "--fleet", "warehouse", "--online", "server/online.json", "--no-passphrase", cwd=tmp_path)


VERIFY = ("verify", "rel", "--root", "keys/root.json")


@pytest.fixture
def signed(tmp_path):
    """A folder with keys and a small signed release."""
    init_keys(tmp_path)
    ok("pack", write_yaml(tmp_path), "-o", "rel", cwd=tmp_path)
    ok("sign", "rel", cwd=tmp_path)
    ok(*VERIFY, cwd=tmp_path)
    return tmp_path


def test_from_a_model_to_a_verified_release(tmp_path):
    init_keys(tmp_path)
    packed = json.loads(ok("pack", MODEL / "release.yaml", "-o", "rel", "--json", cwd=tmp_path))
    assert packed["name"] == "detector" and packed["version"] == "2.0.0" and packed["golden_cases"] >= 4
    signed = json.loads(ok("sign", "rel", "--json", cwd=tmp_path))
    assert signed["digest"] == packed["digest"]
    assert json.loads(ok(*VERIFY, "--json", cwd=tmp_path))["verified"] is True
    seen = json.loads(ok("inspect", "rel", "--json", cwd=tmp_path))
    assert seen["digest"] == packed["digest"]
    assert [layer["path"] for layer in seen["layers"]][:3] == ["model.onnx", "release.json", "golden.bin"]
    assert seen["release"]["labels"] == ["person", "pallet", "forklift", "cone", "crate"]
    assert seen["release"]["tap"] == seen["release"]["model"]["outputs"][-1]["name"]
    assert "profile.bin" in [layer["path"] for layer in seen["layers"]]


def test_without_a_tap_the_model_is_carried_as_it_is(tmp_path):
    model = ROOT / "models/detector-3.0.0"
    ok("pack", model / "release.yaml", "-o", "rel", cwd=tmp_path)
    seen = json.loads(ok("inspect", "rel", "--json", cwd=tmp_path))
    assert (tmp_path / "rel/blobs/sha256" / seen["layers"][0]["digest"][7:]).read_bytes() == (model / "model.onnx").read_bytes()
    assert "tap" not in seen["release"] and "profile.bin" not in [layer["path"] for layer in seen["layers"]]


def test_the_time_in_a_release_is_told_not_taken(tmp_path):
    yaml = write_yaml(tmp_path)
    digests = [json.loads(ok("pack", yaml, "-o", f"rel{i}", "--json", cwd=tmp_path, env=env))["digest"]
               for i, env in enumerate([{}, {}, {"SOURCE_DATE_EPOCH": "1700000000"}, {"SOURCE_DATE_EPOCH": "1700000000"}])]
    assert digests[0] == digests[1] and digests[2] == digests[3] and digests[0] != digests[2]


def test_a_flipped_byte_anywhere(signed):
    for path in sorted(p for p in (signed / "rel").rglob("*") if p.is_file()):
        good = path.read_bytes()
        for at in {0, len(good) // 2, len(good) - 1}:
            path.write_bytes(good[:at] + bytes([good[at] ^ 1]) + good[at + 1:])
            fails(3, *VERIFY, cwd=signed)
        path.write_bytes(good)
    ok(*VERIFY, cwd=signed)


def test_whose_word_counts(signed):
    """The release is what it is; which keys are believed is the root's word."""
    init_keys(signed, "other")
    fails(3, "verify", "rel", "--root", "other/root.json", "--metadata", "keys/metadata", cwd=signed)
    fails(3, "verify", "rel", "--root", "other/root.json", "--metadata", "other/metadata", cwd=signed, say="quadrants/1.0.0")
    fails(4, "verify", "rel", "--root", "none.json", cwd=signed, say="none.json")
    fails(4, "sign", "rel", "--keys", "nowhere", cwd=signed, say="nowhere")
    (signed / "bad.key").write_text("no key")
    fails(3, "sign", "rel", "--key", "bad.key", cwd=signed)
    ok("sign", "--remove", "quadrants/1.0.0", cwd=signed)
    fails(3, *VERIFY, cwd=signed, say="quadrants/1.0.0")


def test_a_release_that_nobody_signed(tmp_path):
    init_keys(tmp_path)
    ok("pack", write_yaml(tmp_path), "-o", "rel", cwd=tmp_path)
    fails(3, *VERIFY, cwd=tmp_path, say="quadrants/1.0.0")


def test_another_machine(tmp_path):
    init_keys(tmp_path)
    ok("pack", write_yaml(tmp_path, targets="riscv64"), "-o", "rel", cwd=tmp_path)
    ok("sign", "rel", cwd=tmp_path)
    fails(3, *VERIFY, cwd=tmp_path, say="riscv64")
    ok(*VERIFY, "--machine", "riscv64", cwd=tmp_path)
    ok(*VERIFY, "--machine", "any", cwd=tmp_path)


@pytest.mark.parametrize("model", ["garbage.onnx", "unknown_op.onnx", "transposed.onnx", "nan.onnx"])
def test_a_model_that_cannot_be_released(tmp_path, model):
    fails(3, "pack", write_yaml(tmp_path, model=model), "-o", "rel", cwd=tmp_path)
    assert not (tmp_path / "rel").exists()


def test_pack_leaves_alone_what_is_not_a_release(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/notes.txt").write_text("precious")
    fails(1, "pack", write_yaml(tmp_path), "-o", "mine", cwd=tmp_path, say="not empty")
    assert [p.name for p in (tmp_path / "mine").iterdir()] == ["notes.txt"]


def test_a_full_disk(signed):
    """Writing fails; the release that was there stays whole."""
    before = {p: p.read_bytes() for p in (signed / "rel").rglob("*") if p.is_file()}
    done = subprocess.run(["bash", "-c", f"ulimit -f 0; trap '' XFSZ; exec {BIN}/muster sign rel --keys keys"], cwd=signed,
                          capture_output=True, text=True)
    assert done.returncode == 1 or done.returncode == 3, done
    for path, content in before.items():
        assert path.read_bytes() == content
    ok(*VERIFY, cwd=signed)


def test_usage(tmp_path):
    fails(2, "pack", cwd=tmp_path)
    fails(2, "pack", "release.yaml", cwd=tmp_path, say="-o")
    fails(2, "verify", "a", "b", cwd=tmp_path)
    fails(2, "verify", "--frobnicate", "a", cwd=tmp_path, say="--frobnicate")
    fails(2, "vrify", cwd=tmp_path, say="verify")
    fails(4, "verify", "nowhere", "--root", ROOT / "none.json", cwd=tmp_path)
    fails(4, "inspect", "nowhere", cwd=tmp_path, say="nowhere")
    fails(4, "pack", "none.yaml", "-o", "x", cwd=tmp_path, say="none.yaml")
    assert muster(cwd=tmp_path).returncode == 2
    for verb in "keys pack inspect sign verify push eval bench".split():
        assert "examples:" in ok(verb, "--help", cwd=tmp_path)
    assert ok("--version", cwd=tmp_path).startswith("muster ")


def test_an_answer_that_does_not_arrive(signed):
    for args in ("inspect rel", "inspect rel --json"):
        done = subprocess.run(["sh", "-c", f"exec {BIN}/muster {args} > /dev/full"], cwd=signed, capture_output=True, text=True)
        assert done.returncode == 1 and "standard output" in done.stderr and done.stderr.count("\n") == 1, done


def test_no_runtime(tmp_path):
    fails(1, "pack", write_yaml(tmp_path), "-o", "rel", "--runtime", "/nonexistent.so", cwd=tmp_path, say="/nonexistent.so")


def test_push_needs_a_server(signed):
    fails(2, "push", "rel", cwd=signed, say="MUSTER_SERVER")
    fails(5, "push", "rel", "--server", "http://127.0.0.1:1", cwd=signed)


def test_the_second_model_is_better(tmp_path):
    """On scenes that no model was trained on."""
    if not (BIN / "muster-sim").exists():
        pytest.skip("muster-sim is not built")
    subprocess.run([BIN / "muster-sim", "frames", "--seed", "910001", "--site", "all", "--count", "60", "-o", "data"],
                   cwd=tmp_path, check=True, capture_output=True)
    score = {v: json.loads(ok("eval", ROOT / f"models/detector-{v}.0.0/release.yaml", "--data", "data", "--json",
                              cwd=tmp_path))["map50"] for v in (1, 2, 3)}
    assert score[2] >= score[1] + 0.05 and score[3] <= score[2] - 0.10


def test_bench(tmp_path):
    report = json.loads(ok("bench", ROOT / "models/detector-1.0.0/release.yaml", MODEL / "model.onnx", "-n", "5", "--json",
                           cwd=tmp_path))
    assert len(report["models"]) == 2 and all(m["total_p99_ms"] >= m["total_p50_ms"] > 0 for m in report["models"])
