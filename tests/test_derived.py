"""muster-runner --cache: the graph optimized for this machine is made by the self-test, used when whole, and never needed."""
import hashlib
import json
import os
import pathlib

import pytest

from conftest import BIN, run

MODEL = pathlib.Path(__file__).resolve().parent.parent / "models/detector-1.0.0"


@pytest.fixture(scope="module")
def release(tmp_path_factory):
    folder = tmp_path_factory.mktemp("derived") / "release"
    packed = run("muster", "pack", MODEL / "release.yaml", "-o", folder)
    assert packed.status == 0, packed.lines
    return folder, run("muster", "inspect", folder, "--json").json()["digest"]


def self_test(release, cache):
    folder, digest = release
    done = run("muster-runner", "--self-test", "--store", folder, "--release", digest, "--cache", cache)
    assert done.status == 0, done.lines
    return done.out


def entry(cache, tail):
    (found,) = cache.glob(f"*{tail}")
    return found


def is_whole(cache):
    record = json.loads(entry(cache, ".json").read_text())
    return record["file"] == "sha256:" + hashlib.sha256(entry(cache, ".bin").read_bytes()).hexdigest()


def test_made_once_and_used_again(release, tmp_path):
    cache = tmp_path / "a" / "cache"
    assert ", optimized" in self_test(release, cache)
    first = entry(cache, ".bin").read_bytes()
    assert json.loads(entry(cache, ".json").read_text())["state"] == "built"
    made = entry(cache, ".bin").stat().st_ino
    assert ", optimized" in self_test(release, cache)
    assert entry(cache, ".bin").stat().st_ino == made
    assert entry(cache, ".bin").read_bytes() == first
    assert is_whole(cache) and not list(cache.glob("*.tmp"))


@pytest.mark.parametrize("spoil", [lambda path: path.write_bytes(path.read_bytes()[:-1] + b"!"),
                                   lambda path: path.write_bytes(b""), lambda path: path.unlink()])
def test_a_spoilt_file_is_made_anew(release, tmp_path, spoil):
    assert ", optimized" in self_test(release, tmp_path)
    spoil(entry(tmp_path, ".bin"))
    assert ", optimized" in self_test(release, tmp_path)
    assert is_whole(tmp_path)


def test_what_failed_is_not_tried_over_and_over(release, tmp_path):
    self_test(release, tmp_path)
    record = json.loads(entry(tmp_path, ".json").read_text())
    record.update(state="building")
    entry(tmp_path, ".json").write_text(json.dumps(record))
    entry(tmp_path, ".bin").unlink()
    for _ in range(2):
        said = self_test(release, tmp_path)
        assert ", optimized" not in said and "took its process or the machine down" in said
    record.update(state="failed", at_ms=0, why="long ago")
    entry(tmp_path, ".json").write_text(json.dumps(record))
    assert ", optimized" in self_test(release, tmp_path)


def test_without_a_folder_the_model_itself_runs(release, tmp_path):
    (tmp_path / "file").write_text("")
    said = self_test(release, tmp_path / "file")
    assert "self-test passed" in said and ", optimized" not in said and "not optimized: " in said


def test_behind_walls_it_is_seen_and_not_written(release, tmp_path):
    """What the agent does for a serving runner: the folder is shown, read-only."""
    cache, runs = tmp_path / "closed" / "cache", tmp_path / "run"
    runs.mkdir()
    self_test(release, cache)
    cache.parent.chmod(0o700)
    before = sorted((path.name, path.read_bytes()) for path in cache.iterdir())
    folder, digest = release
    if os.geteuid() != 0:
        pytest.skip("as root only")
    jailed = run("/usr/bin/unshare", "--pid", "--fork", BIN / "muster-jail", "--run-dir", runs, "--store", folder,
                 "--release", digest, "--runner", BIN / "muster-runner", "--show", cache, "--", "--cache", cache)
    if "mount namespace" in "".join(jailed.lines):
        pytest.skip("no namespaces here")
    assert jailed.status == 0 and ", optimized" in jailed.out
    assert sorted((path.name, path.read_bytes()) for path in cache.iterdir()) == before


def test_there_is_no_engine_to_build_without_an_accelerator(release, tmp_path):
    folder, digest = release
    done = run("muster-runner", "--build-engine", "--store", folder, "--release", digest, "--cache", tmp_path / "cache")
    if not pathlib.Path("/dev/nvidia0").exists():
        assert done.status == 1 and any("needs no engine on this machine" in line for line in done.lines), done.lines
    assert not (tmp_path / "cache" / "model.onnx").exists()
