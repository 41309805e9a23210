"""Model signatures for other tools, and bills of materials: the command line."""
import json
import shutil
import stat

import pytest

from conftest import BIN, ROOT, run
from fleet import Place, one_line

if not (BIN / "musterd").exists():
    pytest.skip("musterd is not built", allow_module_level=True)

DATA = ROOT / "tests/data/oms"
RECIPE = """
schema: 1
name: detector
version: 1.0.0
task: detection
targets: [x86_64, aarch64]
model:
  path: {root}/tests/data/models/quadrants.onnx{more}
  inputs: [{{name: images, dtype: float32, shape: [1, 3, 16, 16]}}]
  outputs: [{{name: output0, dtype: float32, shape: [1, 6, 4]}}]
postprocess: {{decoder: yolov8}}
labels: [red, green]
budgets: {{latency_p99_ms: 5000, deadline_ms: 5000, memory_mib: 128}}
safe_state: stop
golden: {{inputs: {root}/models/golden}}
"""


def ok(*args):
    done = run("muster", *args)
    assert done.status == 0, (args, done.status, done.lines)
    return done


@pytest.fixture
def key(tmp_path):
    ok("oms", "keygen", tmp_path / "vendor")
    assert stat.S_IMODE((tmp_path / "vendor.key").stat().st_mode) == 0o600
    one_line(run("muster", "oms", "keygen", tmp_path / "vendor"), 1, "exists already")
    return tmp_path / "vendor.key", tmp_path / "vendor.pub"


@pytest.fixture
def model(tmp_path):
    shutil.copytree(DATA / "model", tmp_path / "model")
    return tmp_path / "model"


def test_a_folder_is_signed_and_every_change_is_refused(model, key):
    ok("oms", "sign", model, "--key", key[0], "--ignore", "notes.txt")
    seen = ok("oms", "verify", model, "--key", key[1], "--json").json()
    assert seen["subject"] == "model" and seen["curve"] == "P-256"
    assert [x["path"] for x in seen["files"]] == ["config.json", "empty", "sub-a", "sub/adapter.bin", "sub/deep/模型.bin", "weights.bin"]
    (model / "notes.txt").write_text("changed, and ignored")
    ok("oms", "verify", model, "--key", key[1])
    (model / "more").write_text("x")
    one_line(run("muster", "oms", "verify", model, "--key", key[1]), 3, "more is there, but it is not signed")
    ok("oms", "verify", model, "--key", key[1], "--ignore-unsigned")
    (model / "weights.bin").write_text("x")
    one_line(run("muster", "oms", "verify", model, "--key", key[1], "--ignore-unsigned"), 3, "weights.bin was changed")
    one_line(run("muster", "oms", "verify", DATA / "model", "--signature", DATA / "p384.sig", "--key", key[1]), 3, "another key")
    one_line(run("muster", "oms", "sign", model), 2, "which key")


def test_signatures_of_the_reference_tool_hold():
    for curve in ("p256", "p384", "p521"):
        ok("oms", "verify", DATA / "model", "--signature", DATA / f"{curve}.sig", "--key", DATA / f"{curve}.pub")
    ok("oms", "verify", DATA / "model/weights.bin", "--signature", DATA / "file.p256.sig", "--key", DATA / "p256.pub")


def test_signatures_with_certificates_hold_under_the_authorities_that_are_given(model):
    chain = DATA / "certificate"
    seen = ok("oms", "verify", model, "-S", chain / "good.sig", "--certificate-chain", chain / "roots.pem", "--json").json()
    assert seen["method"] == "certificate" and seen["signer"] == "CN=vendor" and len(seen["certificate"]) == 64
    one_line(run("muster", "oms", "verify", model, "-S", chain / "good.sig", "--certificate-chain", chain / "other.pem"), 3, "not believed")
    one_line(run("muster", "oms", "verify", model, "-S", chain / "expired.sig", "--certificate-chain", chain / "roots.pem"), 3, "has expired")
    one_line(run("muster", "oms", "verify", model, "-S", chain / "good.sig", "--key", DATA / "p256.pub"), 3, "certificate of an authority")
    one_line(run("muster", "oms", "verify", model, "-S", DATA / "p256.sig", "--certificate-chain", chain / "roots.pem"), 3, "signed with a key")
    one_line(run("muster", "oms", "verify", model, "-S", chain / "good.sig"), 2, "whom do you believe")
    (model / "config.json").write_text("[]")
    one_line(run("muster", "oms", "verify", model, "-S", chain / "good.sig", "--certificate-chain", chain / "roots.pem"), 3, "config.json was changed")


def test_signatures_by_sigstore_hold_for_the_identity_that_is_given(model):
    sigstore = DATA / "sigstore"

    def verify(file, root="root.json", who="robin@example.org", provider="https://login.example.org", *more):
        return run("muster", "oms", "verify", model, "-S", sigstore / f"{file}.sig", "--sigstore-root", sigstore / root,
                   "--identity", who, "--identity-provider", provider, *more)

    seen = verify("good", "root.json", "robin@example.org", "https://login.example.org", "--json").json()
    assert (seen["method"], seen["signer"], seen["provider"]) == ("sigstore", "robin@example.org", "https://login.example.org")
    assert (seen["time"], seen["log_index"]) == ("2026-03-01T10:01:00.000Z", 1000006)
    one_line(verify("good", who="eve@example.org"), 3, "signed by robin@example.org, not by eve@example.org")
    one_line(verify("good", provider="https://login.example.com"), 3, "vouches for the signer")
    one_line(verify("good", "root.old-rekor.json"), 3, "not one that the trusted root knows")
    unknown = {"other-kind.sig", "version-changed.sig"}
    for path in sorted(sigstore.glob("*.sig")):
        if path.name != "good.sig":  # also those of another identity
            one_line(verify(path.stem), 1 if path.name in unknown else 3, "dsse 0.0.1" if path.name in unknown else "")
    one_line(run("muster", "oms", "verify", model, "-S", sigstore / "good.sig", "--sigstore-root", sigstore / "root.json"), 2, "anybody can sign")
    one_line(run("muster", "oms", "verify", model, "-S", sigstore / "good.sig", "--key", DATA / "p256.pub"), 3, "certificate of Sigstore")
    (model / "config.json").write_text("[]")
    one_line(verify("good"), 3, "config.json was changed")


def test_a_release_is_signed_exported_and_described(tmp_path, key):
    recipe, out, plain = tmp_path / "release.yaml", tmp_path / "release", tmp_path / "plain"
    recipe.write_text(RECIPE.format(root=ROOT, more=""))
    ok("pack", recipe, "-o", out)
    place = Place(tmp_path)
    before = ok("inspect", out, "--json").json()["digest"]
    one_line(run("muster", "oms", "verify", out, "--key", key[1]), 4, "no model signature")
    ok("sign", out, "--keys", place.keys, "--model-key", key[0])
    ok("sign", out, "--keys", place.keys, "--model-key", key[0])  # in place of the first
    assert ok("inspect", out, "--json").json()["digest"] == before
    assert place.verify(out).status == 0
    files = [x["path"] for x in ok("oms", "verify", out, "--key", key[1], "--json").json()["files"]]
    assert files == sorted(files) and {"model.onnx", "release.json", "golden.bin", "sbom.cdx.json"} <= set(files)
    ok("oms", "export", out, "-o", plain)
    ok("oms", "verify", plain, "--key", key[1])
    one_line(run("muster", "oms", "export", out, "-o", plain), 1, "exists")
    sbom = json.loads(ok("inspect", out, "--sbom").out)
    assert sbom == json.loads((plain / "sbom.cdx.json").read_text()) and sbom["bomFormat"] == "CycloneDX" and sbom["specVersion"] == "1.6"
    engine = next(x for x in sbom["components"] if x["name"] == "onnxruntime")
    assert engine["type"] == "framework" and engine["version"]


def test_a_vendors_model_is_taken_in_only_as_it_was_signed(tmp_path, key):
    recipe = tmp_path / "release.yaml"
    model = ROOT / "tests/data/models/quadrants.onnx"
    ok("oms", "sign", model, "--key", key[0], "-o", tmp_path / "model.sig")
    recipe.write_text(RECIPE.format(root=ROOT, more="\n  signature: model.sig\n  key: vendor.pub"))
    ok("pack", recipe, "-o", tmp_path / "out")
    signer = {x["name"]: x["value"] for x in json.loads(ok("inspect", tmp_path / "out", "--sbom").out)["metadata"]["component"]["properties"]}
    assert len(signer["muster:model-signer"]) == 64
    ok("oms", "keygen", tmp_path / "other")
    recipe.write_text(RECIPE.format(root=ROOT, more="\n  signature: model.sig\n  key: other.pub"))
    one_line(run("muster", "pack", recipe, "-o", tmp_path / "not"), 3, "another key")
    assert not (tmp_path / "not").exists()
