"""A release with variants, from the packer to a robot: detector-2.0.0 with what muster optimize made of it (models/detector-2.0.0/optimized)."""
import hashlib
import json
import os
import platform
import shutil
import subprocess

import pytest

from conftest import BIN, ROOT, run
from fleet import Place, Release, Robot, Server, ok, put_blob

MODELS = ROOT / "models"
OWN = {"x86_64": "cpu-x86", "aarch64": "cpu-arm"}.get(platform.machine())
VARIANTS = ("cpu-x86", "cpu-arm", "trt")

if OWN is None:
    pytest.skip("there is no kind of variant for this machine", allow_module_level=True)
for program in ("musterd", "muster-agent", "muster-guard", "muster-runner", "muster-sim"):
    if not (BIN / program).exists():
        pytest.skip(f"{program} is not built", allow_module_level=True)


def pack(out, version="2.0.0", **replaced):
    """The recipe of detector-2.0.0, some lines of it replaced."""
    source = MODELS / "detector-2.0.0"
    text = (source / "release.yaml").read_text().replace("version: 2.0.0", f"version: {version}")
    for line, other in {"path: model.onnx": f"path: {source}/model.onnx", "../golden": str(MODELS / "golden"),
                        "recipe: recipe.json": "", "profile: profile.bin": f"profile: {source}/profile.bin",
                        "optimized: optimized": f"optimized: {source}/optimized", **replaced}.items():
        assert line in text, line
        text = text.replace(line, other)
    yaml = out.with_suffix(".yaml")
    yaml.write_text(text)
    ok("muster", "pack", yaml, "-o", out)
    return Release(out)


def self_test(release, *args):
    done = run("muster-runner", "--self-test", "--store", release.dir, "--release", release.digest, *args)
    assert done.status == 0, done.lines
    return done.out


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return Place(tmp_path_factory.mktemp("variants"))


@pytest.fixture(scope="module")
def packed(place):
    release = pack(place.dir / "release")
    place.sign(release.dir)
    return release


@pytest.fixture
def copy(packed, tmp_path):
    """One that may be damaged."""
    shutil.copytree(packed.dir, tmp_path / "release")
    return Release(tmp_path / "release")


def replace_layer(release, path, data):
    """A release whose digests all hold, with another file in the place of this one."""
    layer = next(x for x in release.manifest["layers"] if x["annotations"]["org.cncf.model.filepath"] == path)
    layer["digest"], layer["size"] = put_blob(release, data), len(data)
    manifest = json.dumps(release.manifest, sort_keys=True, separators=(",", ":")).encode()
    index = (release.dir / "index.json").read_text()
    index = index.replace(release.digest, put_blob(release, manifest)).replace(f'"size":{release.size}', f'"size":{len(manifest)}')
    (release.dir / "index.json").write_text(index)
    return Release(release.dir)


def test_a_release_says_what_its_variants_are(packed, place):
    shown = run("muster", "inspect", packed.dir, "--json").json()
    variants = {v["name"]: v for v in shown["release"]["variants"]}
    assert list(variants) == list(VARIANTS)
    assert all(0.8 < v["fidelity"] <= 0.95 and "int8" in v["precision"] for v in variants.values())
    layers = {layer["path"]: layer for layer in shown["layers"]}
    assert all(layers[f"{name}.onnx"]["variant"] == name and layers[f"{name}.onnx"]["bytes"] < layers["model.onnx"]["bytes"] for name in VARIANTS)
    assert {"report.json", "report.html"} <= layers.keys()
    sbom = json.loads(run("muster", "inspect", packed.dir, "--sbom").out)
    parts = {c["name"]: c["type"] for c in sbom["components"]}
    assert all(parts[f"{name}.onnx"] == "machine-learning-model" for name in VARIANTS)
    assert place.verify(packed.dir).status == 0
    assert pack(place.dir / "again").digest == packed.digest  # byte for byte


@pytest.mark.parametrize("path", ["cpu-x86.onnx", "cpu-arm.onnx", "trt.onnx", "report.json"])
def test_no_byte_of_a_variant_changes_unnoticed(copy, place, path):
    blob = copy.layer(path)
    data = blob.read_bytes()
    for at in (0, len(data) // 2, len(data) - 1):
        blob.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1:])
        assert place.verify(copy.dir).status == 3
    blob.unlink()
    assert place.verify(copy.dir).status == 3
    uses = path in (f"{OWN}.onnx", "report.json")
    assert place.verify(copy.dir, "--robot-store").status == (3 if uses else 0)


def test_the_variant_for_this_machine_runs(packed):
    said = self_test(packed)
    assert f", {OWN} int8 " in said and f"variant {OWN} serves: " in said
    plain = self_test(packed, "--cpu-only")
    assert OWN not in plain.splitlines()[0] and "--cpu-only" in plain


def test_the_robot_does_without_those_of_others(copy):
    for name in VARIANTS:
        if name != OWN:
            copy.layer(f"{name}.onnx").unlink()
    assert f"variant {OWN} serves: " in self_test(copy)


def test_without_gain_the_model_itself_serves(place, tmp_path):
    model = MODELS / "detector-2.0.0/model.onnx"
    same = pack(tmp_path / "same", **{"optimized: optimized": f"variants: {{{OWN}: {model}}}"})
    said = self_test(same)
    assert f", {OWN} refused: slower" in said and f"variant {OWN} does not serve" in said


@pytest.mark.parametrize("other, verdict", [("models/detector-3.0.0/model.onnx", "unfaithful"), ("README.md", "broken")])
def test_whatever_a_variant_is_the_model_itself_serves(tmp_path, other, verdict):
    same = pack(tmp_path / "same", **{"tap: /mix/mix.2/Relu_output_0": "", "profile: profile.bin": "",  # the other one has another tap
                                      "optimized: optimized": f"variants: {{{OWN}: {MODELS}/detector-2.0.0/model.onnx}}"})
    said = self_test(replace_layer(same, f"{OWN}.onnx", (ROOT / other).read_bytes()))
    assert "self-test passed" in said and f", {OWN} refused: {verdict}" in said


def test_sealed_variants_are_opened_by_the_runner_alone(packed, tmp_path, place):
    key = tmp_path / "content.key"
    ok("muster", "pack", place.dir / "release.yaml", "-o", tmp_path / "sealed", "--seal", key)
    sealed = Release(tmp_path / "sealed")
    paths = {x["annotations"]["org.cncf.model.filepath"] for x in sealed.manifest["layers"]}
    assert {f"{name}.onnx.sealed" for name in VARIANTS} | {"model.onnx.sealed"} <= paths
    clear = {hashlib.sha256(packed.layer(f"{name}.onnx").read_bytes()).hexdigest() for name in VARIANTS}
    assert not clear & {blob.name for blob in (sealed.dir / "blobs/sha256").iterdir()}
    out, into = os.pipe()
    os.write(into, bytes.fromhex(key.read_text().split()[1]))
    os.close(into)
    done = subprocess.run([BIN / "muster-runner", "--self-test", "--store", sealed.dir, "--release", sealed.digest, "--content-key-fd", str(out)],
                          pass_fds=(out,), capture_output=True, text=True, timeout=120, check=False)
    os.close(out)
    assert done.returncode == 0 and f"variant {OWN} serves: " in done.stdout, (done.stdout, done.stderr)


def test_a_robot_fetches_and_runs_its_own(packed, place, tmp_path):
    server = Server(place)
    robot = Robot(server, "r1", tmp_path / "r1")
    try:
        robot.enroll()
        robot.start_program()
        server.push(packed)
        robot.install(packed)
        robot.answers(packed)
        for kind in ("self_tested", "activated", "committed"):
            (report,) = robot.reports(kind, packed)
            assert f", {OWN} int8 " in report["text"], report
        store = robot.state / "store/blobs/sha256"
        for name in VARIANTS:
            there = (store / packed.digest_of(f"{name}.onnx")[7:]).exists()
            assert there == (name == OWN) or name == "trt"  # a machine with a GPU takes that, too
        done = place.verify(f"{robot.state / 'store'}@{packed.digest}", "--robot-store")
        assert done.status == 0, done.lines
    finally:
        robot.stop()
        server.stop()
