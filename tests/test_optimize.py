"""muster optimize: variants that were measured, refusals that say why and leave nothing behind, work that goes on where it was cut."""
import json
import os
import pathlib
import signal
import struct
import subprocess
import time

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent
BIN = pathlib.Path(os.environ.get("MUSTER_BIN", ROOT / "build/bin"))
MEMBERS = {"profile", "promoted", "reason", "unfused", "excluded", "size_bytes", "parent_size_bytes", "latency_p50_ms",
           "parent_latency_p50_ms", "latency_p99_ms", "parent_latency_p99_ms", "fidelity", "fidelity_lower", "path"}


def run(*args, cwd):
    return subprocess.run([BIN / "muster", *map(str, args)], cwd=cwd, capture_output=True, text=True, timeout=300)


def fails(status, *args, cwd, say):
    """Ends with this status and one line that contains `say`."""
    done = run(*args, cwd=cwd)
    assert done.returncode == status, (done.returncode, done.stderr)
    assert done.stdout == "" and done.stderr.count("\n") == 1, done.stderr
    assert done.stderr.startswith("muster optimize: ") and say in done.stderr, done.stderr


def net(folder, kind, *args, count=0):
    wish = ["--samples", "samples", "--count", str(count)] if count else []
    subprocess.run([BIN / "forge-nets", kind, "-o", "model.onnx", *map(str, args), *wish], cwd=folder, check=True)


@pytest.fixture(scope="module", autouse=True)
def runtime(tmp_path_factory):
    folder = tmp_path_factory.mktemp("probe")
    net(folder, "tiny", count=2)
    done = run("optimize", "model.onnx", "-c", "samples", "-o", "out", "-p", "cpu-x86", cwd=folder)
    if "ONNX Runtime" in done.stderr:
        pytest.skip(done.stderr)


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    """A residual net whose variants have been made once."""
    folder = tmp_path_factory.mktemp("good")
    net(folder, "residual", "--size", 24, "--channels", 32, "--blocks", 3, count=96)
    done = run("optimize", "model.onnx", "-c", "samples", "-o", "out", "--json", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""  # progress is for terminals
    return folder, json.loads(done.stdout)


def test_every_profile_is_told_in_full(good):
    folder, report = good
    assert [p["profile"] for p in report["profiles"]] == ["cpu-x86", "cpu-arm", "trt"]
    written = json.loads((folder / "out/report.json").read_text())
    assert [p.pop("path") for p in written["profiles"]] == ["cpu-x86.onnx", "cpu-arm.onnx", "trt.onnx"]  # of no machine
    assert str(folder) not in json.dumps(written)
    assert report["samples"] == 96 and report["fitting"] + report["held_out"] == 96 and report["pruning"] is None
    for profile in report["profiles"]:
        assert MEMBERS <= set(profile)
        assert profile["promoted"], profile["reason"]
        assert profile["path"] == str(folder / "out" / f"{profile['profile']}.onnx") and profile["candidate"] is None
        assert profile["size_bytes"] == (folder / "out" / profile["path"]).stat().st_size
        assert profile["parent_size_bytes"] == (folder / "model.onnx").stat().st_size > profile["size_bytes"]
        assert profile["unfused"] == 0
        assert 0.9 <= profile["fidelity_lower"] <= profile["fidelity"] <= 1
        here = profile["measured_here"]
        assert here == (profile["profile"] == {"x86_64": "cpu-x86", "aarch64": "cpu-arm"}[os.uname().machine])
        assert (profile["latency_p50_ms"] is not None) == here
        if here:
            assert profile["latency_p50_ms"] < profile["parent_latency_p50_ms"]
            assert profile["latency_p50_ms"] <= profile["latency_p99_ms"]
        else:
            assert "measured on the robot" in profile["reason"]


def test_nothing_but_whole_files_is_in_the_folder(good):
    folder, _ = good
    assert {p.name for p in (folder / "out").iterdir()} - {"refused"} == {".work", "cpu-x86.onnx", "cpu-arm.onnx", "trt.onnx",
                                                                          "report.json", "report.html"}
    assert not list((folder / "out").rglob("*.tmp-*"))


def test_the_page_is_one_file(good):
    page = (good[0] / "out/report.html").read_text()
    for outside in ("http:", "https:", "src=", "@import", "<script", "url("):
        assert outside not in page
    assert page.count("<svg") >= 4 and page.endswith("</html>\n")


def test_what_was_made_runs_and_is_no_model_to_optimize_again(good):
    folder, _ = good
    done = run("bench", "model.onnx", "out/cpu-x86.onnx", "--rounds", 20, "--json", cwd=folder)
    assert done.returncode == 0, done.stderr
    fails(1, "optimize", "out/cpu-x86.onnx", "-c", "samples", "-o", "twice", cwd=folder, say="quantized already")
    assert not (folder / "twice").exists()


def test_the_second_run_finds_everything_done(good):
    folder, report = good
    before = {p: p.stat().st_mtime_ns for p in (folder / "out").glob("*.onnx")}
    began = time.monotonic()
    done = run("optimize", "model.onnx", "-c", "samples", "-o", "out", "--json", cwd=folder)
    assert done.returncode == 0, done.stderr
    again = json.loads(done.stdout)
    assert again["profiles"] == report["profiles"]  # also the times: nothing was measured anew
    assert {p: p.stat().st_mtime_ns for p in (folder / "out").glob("*.onnx")} == before
    assert time.monotonic() - began < report["seconds"]


def test_a_file_that_was_changed_is_made_again(good):
    folder, _ = good
    whole = (folder / "out/cpu-arm.onnx").read_bytes()
    (folder / "out/cpu-arm.onnx").write_bytes(whole[:-1])
    done = run("optimize", folder / "model.onnx", "-c", folder / "samples", "-o", folder / "out", cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("\n  optimized: out\n")  # as it is to be written into the release.yaml beside the model
    assert (folder / "out/cpu-arm.onnx").read_bytes() == whole  # bit by bit: the same samples give the same model


def test_other_samples_are_other_work(good, tmp_path):
    folder, report = good
    net(tmp_path, "residual", "--size", 24, "--channels", 32, "--blocks", 3, count=96)
    first = run("optimize", "model.onnx", "-c", "samples", "-o", "out", "-p", "cpu-arm", "--json", cwd=tmp_path)
    assert first.returncode == 0, first.stderr
    sample = next((tmp_path / "samples").iterdir())
    sample.write_bytes(sample.read_bytes()[:-4] + b"\0\0\0\0")
    observed = (tmp_path / "out/.work/observed.bin").stat().st_mtime_ns
    again = run("optimize", "model.onnx", "-c", "samples", "-o", "out", "-p", "cpu-arm", "--json", cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    assert (tmp_path / "out/.work/observed.bin").stat().st_mtime_ns != observed


def test_a_slower_variant_is_refused_and_the_model_stays(tmp_path):
    net(tmp_path, "tiny", count=64)
    done = run("optimize", "model.onnx", "-c", "samples", "-o", "out", "--fp16", "-p", "cpu-x86", "-p", "cpu-arm", "--json",
               cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    written = json.loads((tmp_path / "out/report.json").read_text())["profiles"]
    here = [p for p in json.loads(done.stdout)["profiles"] if p["measured_here"]]
    assert [p["path"] for p in written if p["measured_here"]] == [None]
    assert len(here) == 1 and not here[0]["promoted"] and here[0]["reason"].startswith("not faster")
    assert here[0]["path"] == str(tmp_path / "model.onnx") and here[0]["precision"] == "fp32"
    assert (tmp_path / "out" / here[0]["candidate"]).exists() and not (tmp_path / "out" / f"{here[0]['profile']}.onnx").exists()


def test_too_few_samples_prove_nothing(tmp_path):
    net(tmp_path, "residual", "--size", 16, "--channels", 16, "--blocks", 1, count=12)
    done = run("optimize", "model.onnx", "-c", "samples", "-o", "out", "-p", "trt", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    profile = json.loads(done.stdout)["profiles"][0]
    assert not profile["promoted"] and "29 held-out samples" in profile["reason"]


# ---- interrupted ----

def start(folder):
    return subprocess.Popen([BIN / "muster", "optimize", "model.onnx", "-c", "samples", "-o", "out"], cwd=folder,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def await_file(path, process):
    while not path.exists():
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.01)


def leftovers(folder):
    """Processes that work in the folder."""
    found = []
    for entry in pathlib.Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and os.readlink(entry / "cwd") == str(folder):
                found.append(int(entry.name))
        except OSError:
            pass
    return found


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
@pytest.mark.parametrize("when", ["observed.bin", "cpu-x86.json"])
def test_interrupted_it_goes_on_where_it_was(good, tmp_path, how, when):
    folder, report = good
    net(tmp_path, "residual", "--size", 24, "--channels", 32, "--blocks", 3, count=96)
    process = start(tmp_path)
    await_file(tmp_path / "out/.work" / when, process)
    time.sleep(0.05)  # into the next step
    process.send_signal(how)
    _, words = process.communicate(timeout=60)
    if how != signal.SIGKILL:
        assert process.returncode == 1 and "goes on where this one was" in words and words.count("\n") == 1
    for _ in range(100):
        if not leftovers(tmp_path):
            break
        time.sleep(0.05)
    assert not leftovers(tmp_path)
    assert not (tmp_path / "out/report.json").exists()
    for model in (tmp_path / "out").glob("*.onnx"):  # whole, or not there
        assert model.read_bytes() == (folder / "out" / model.name).read_bytes()
    stamp = (tmp_path / "out/.work/prepared.onnx").stat().st_mtime_ns
    done = run("optimize", "model.onnx", "-c", "samples", "-o", "out", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out/.work/prepared.onnx").stat().st_mtime_ns == stamp
    for profile in json.loads(done.stdout)["profiles"]:
        assert profile["promoted"], profile["reason"]
        assert pathlib.Path(profile["path"]).read_bytes() == (folder / "out" / f"{profile['profile']}.onnx").read_bytes()


def test_two_at_once_do_not_share_a_folder(tmp_path):
    net(tmp_path, "residual", "--size", 24, "--channels", 32, "--blocks", 3, count=96)
    process = start(tmp_path)
    await_file(tmp_path / "out/.work/prepared.onnx", process)
    fails(1, "optimize", "model.onnx", "-c", "samples", "-o", "out", cwd=tmp_path, say="another optimize is at work")
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)


def test_the_program_is_small():
    if not BIN.samefile(ROOT / "build/bin"):
        pytest.skip("no release build")
    assert (BIN / "muster").stat().st_size <= 2_000_000


# ---- refused, and nothing written ----

def varint(n):
    out = b""
    while n > 127:
        out, n = out + bytes([n & 127 | 128]), n >> 7
    return out + bytes([n])


def field(number, payload):
    return varint(number << 3 | 2) + varint(len(payload)) + payload


def value(name, dims):
    shape = b"".join(field(1, b"\x08" + varint(d)) if d else field(1, field(2, b"N")) for d in dims)
    return field(1, name) + field(2, field(1, b"\x08\x01" + field(2, shape)))


def node(op, inputs, outputs, domain=b""):
    return field(1, b"".join(field(1, i) for i in inputs) + b"".join(field(2, o) for o in outputs) + field(4, op) +
                 (field(7, domain) if domain else b""))


def model(*graph, dims=(1, 3, 4, 4), opset=17):
    return (b"\x08\x08" + field(7, b"".join(graph) + field(2, b"g") + field(11, value(b"x", dims)) + field(12, value(b"y", dims))) +
            field(8, b"\x10" + varint(opset)))


WEIGHT = b"\x08\x03\x08\x03\x08\x01\x08\x01\x10\x01"  # dims 3, 3, 1, 1; float
CONV = node(b"Conv", [b"x", b"w"], [b"y"])
EXTERNAL = field(5, WEIGHT + field(8, b"w") + field(13, field(1, b"location") + field(2, b"../../../etc/passwd")) + b"\x70\x01")
WRONG = field(5, b"\x08\x03\x08\x02\x08\x01\x08\x01\x10\x01" + field(8, b"w") + field(9, b"\0" * 24))  # 2 channels, x has 3
HUGE = field(5, b"\x08" + varint(1 << 40) + b"\x08" + varint(1 << 20) + b"\x10\x01" + field(8, b"w") + field(9, b"\0" * 16))

REFUSED = {
    "empty": (b"", "no ONNX model"),
    "text": (b"hello\n" * 99, "no ONNX model"),
    "cyclic": (model(node(b"Add", [b"x", b"b"], [b"a"]), node(b"Relu", [b"a"], [b"b"]), node(b"Relu", [b"b"], [b"y"])), "cycle"),
    "dangling": (model(node(b"Add", [b"x", b"nowhere"], [b"y"])), "nowhere"),
    "huge": (model(CONV, HUGE), "w"),
    "escaping": (model(CONV, EXTERNAL), "passwd"),
    "unknown operator": (model(node(b"Frobnicate", [b"x"], [b"y"])), "No Op registered for Frobnicate (export it"),
    "unknown domain": (model(node(b"Frobnicate", [b"x"], [b"y"], b"com.acme")), "com.acme, which the model does not import"),
    "opset of tomorrow": (model(node(b"Relu", [b"x"], [b"y"]), opset=99), "does not run opset 99: export it"),
    "opset of yesterday": (model(node(b"Relu", [b"x"], [b"y"]), opset=3), "opset 3"),
    "never runs": (model(CONV, WRONG), "Conv"),
    "open": (model(node(b"Relu", [b"x"], [b"y"]), dims=(1, 3, 0, 0)), "--shape"),
}


def write_npy(path, shape, numbers):
    head = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"\x93NUMPY\x01\0" + struct.pack("<H", len(head)) + head.encode() + struct.pack(f"<{len(numbers)}f", *numbers))


@pytest.mark.parametrize("what", REFUSED)
def test_bad_models_are_one_line_and_nothing_written(tmp_path_factory, tmp_path, what):
    data, say = REFUSED[what]
    samples = tmp_path_factory.mktemp("samples") / "s"
    for i in range(8):
        write_npy(samples / f"{i}.npy", (1, 3, 4, 4), [i] * 48)
    (tmp_path / "bad.onnx").write_bytes(data)
    done = run("optimize", "bad.onnx", "-c", samples, "-o", "out", cwd=tmp_path)
    assert done.returncode in (1, 3) and done.stdout == "", (done.returncode, done.stdout)
    assert done.stderr.count("\n") == 1 and done.stderr.startswith("muster optimize: ") and say in done.stderr, done.stderr
    assert ".work" not in done.stderr, done.stderr
    assert {p.name for p in tmp_path.iterdir()} == {"bad.onnx"}


def test_a_bias_that_is_computed_stays_float(tmp_path):
    numbers = struct.pack("<256f", *(((i * 37) % 101 - 50) / 200 for i in range(256)))
    weight = field(5, b"\x08\x10\x08\x10\x10\x01" + field(8, b"w") + field(9, numbers))
    (tmp_path / "model.onnx").write_bytes(model(node(b"Relu", [b"x"], [b"r"]), node(b"Gemm", [b"x", b"w", b"r"], [b"y"]), weight,
                                                dims=(16, 16)))
    for i in range(40):
        write_npy(tmp_path / f"samples/{i}.npy", (16, 16), [((i * 256 + k) * 73 % 211 - 105) / 50 for k in range(256)])
    done = run("optimize", "model.onnx", "-c", "samples", "-o", "out", "-p", "trt", "--int8", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "its bias is computed" in [e["reason"] for e in json.loads(done.stdout)["profiles"][0]["excluded"]]


def test_bad_samples_are_named_and_nothing_written(tmp_path):
    (tmp_path / "model.onnx").write_bytes(model(node(b"Relu", [b"x"], [b"y"]), dims=(1, 3, 4, 5)))
    bad = tmp_path / "samples/3.npy"
    for i in range(40):
        write_npy(tmp_path / f"samples/{i}.npy", (1, 3, 4, 5), [i] * 60)

    def refused(say, status=3):
        fails(status, "optimize", "model.onnx", "-c", "samples", "-o", "out", cwd=tmp_path, say=say)
        assert not (tmp_path / "out").exists()
    for number in ("nan", "inf"):
        write_npy(bad, (1, 3, 4, 5), [0] * 59 + [float(number)])
        refused(f"3.npy: number 59 is {'NaN' if number == 'nan' else 'infinite'}")
    write_npy(bad, (1, 4, 5, 3), [0] * 60)  # as many numbers, the channels last
    refused("3.npy: its dimensions are in another order than input x's")
    bad.unlink()
    os.mkfifo(bad)
    refused("3.npy: not a regular file")  # nobody waits for a writer
    bad.unlink()
    for out in ("samples", "samples/out"):
        fails(2, "optimize", "model.onnx", "-c", "samples", "-o", out, cwd=tmp_path, say="lies in the folder of the samples")
    assert len(list((tmp_path / "samples").iterdir())) == 39


def test_a_model_cut_anywhere_is_refused(good, tmp_path):
    whole = (good[0] / "model.onnx").read_bytes()
    for share in (0.001, 0.3, 0.9, 0.9999):
        (tmp_path / "cut.onnx").write_bytes(whole[:int(len(whole) * share)])
        done = run("optimize", "cut.onnx", "-c", good[0] / "samples", "-o", "out", cwd=tmp_path)
        assert done.returncode in (1, 3) and done.stderr.count("\n") == 1, done.stderr
        assert not (tmp_path / "out").exists()


def test_a_folder_that_was_there_stays_as_it_was(good, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out/mine").write_text("mine")
    (tmp_path / "bad.onnx").write_bytes(REFUSED["unknown operator"][0])
    assert run("optimize", "bad.onnx", "-c", good[0] / "samples", "-o", "out", cwd=tmp_path).returncode in (1, 3)
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["mine"]


def test_wrong_words_are_told(good, tmp_path):
    folder, _ = good
    model = folder / "model.onnx"
    fails(2, "optimize", model, "-o", "out", cwd=tmp_path, say="--calib")
    fails(2, "optimize", model, "-c", folder / "samples", cwd=tmp_path, say="-o OUT")
    fails(2, "optimize", cwd=tmp_path, say="is missing")
    common = ["-c", folder / "samples", "-o", "out"]
    fails(2, "optimize", model, *common, "--profile", "gpu", cwd=tmp_path, say="cpu-x86, cpu-arm, trt or all")
    fails(2, "optimize", model, *common, "--max-drop", "0", cwd=tmp_path, say="--max-drop")
    fails(2, "optimize", model, *common, "--prune", "1", cwd=tmp_path, say="--prune")
    fails(2, "optimize", model, *common, "--shape", "x", cwd=tmp_path, say="images=1,3,224,224")
    fails(2, "optimize", model, *common, "--task", "dance", cwd=tmp_path, say="--task dance")
    fails(2, "optimize", model, *common, "--mean", "1,2", cwd=tmp_path, say="--mean 1,2")
    fails(4, "optimize", tmp_path / "none.onnx", *common, cwd=tmp_path, say="none.onnx")
    fails(4, "optimize", model, "-c", tmp_path / "none", "-o", "out", cwd=tmp_path, say="none")
    assert not (tmp_path / "out").exists()


# ---- release.yaml ----

def test_a_release_says_how_its_frames_are_made_and_takes_the_variants(tmp_path):
    folder = tmp_path / "detector"
    folder.mkdir()
    source = ROOT / "models/detector-2.0.0"
    (folder / "model.onnx").write_bytes((source / "model.onnx").read_bytes())
    yaml = (source / "release.yaml").read_text().replace("../golden", str(ROOT / "models/golden"))
    lines = [line for line in yaml.splitlines() if not line.startswith(("optimized:", "evaluation:", "recipe:", "variants:", "profile:"))]
    (folder / "release.yaml").write_text("\n".join(lines + ["optimized: optimized", ""]))
    subprocess.run([BIN / "muster-sim", "frames", "--seed", "5", "--count", "128", "-o", "frames"], cwd=tmp_path, check=True,
                   capture_output=True)
    done = run("optimize", "detector/release.yaml", "-c", "frames", "-o", "detector/optimized", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["fidelity_kind"] == "detections"
    assert all(p["promoted"] for p in report["profiles"] if not p["measured_here"])
    assert all(p["fidelity"] >= 0.97 for p in report["profiles"])
    packed = run("pack", "detector/release.yaml", "-o", "packed", cwd=tmp_path)
    assert packed.returncode == 0, packed.stderr
    shown = json.loads(run("inspect", "packed", "--json", cwd=tmp_path).stdout)
    assert "cpu-arm" in json.dumps(shown)
    assert shown["release"]["tap"] == shown["release"]["model"]["outputs"][-1]["name"]  # all of them have it
    fails(2, "optimize", "detector/release.yaml", "-c", "frames", "-o", "out", "--bgr", cwd=tmp_path, say="release.yaml")
