"""The black box end to end: a robot records, seals, signs and sends; an operator lists, looks, exports and verifies."""
import os
import shutil
import signal
import subprocess

import pytest

from conftest import BIN, ROOT, run
from fleet import Place, Robot, Server, one_line, wait_for

if not (BIN / "muster-recorder").exists():
    pytest.skip("muster-recorder is not built", allow_module_level=True)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    class Site:
        pass
    site = Site()
    site.dir = tmp_path_factory.mktemp("incident")
    site.place = Place(site.dir)
    site.server = Server(site.place)
    site.robot = Robot(site.server, "r1", site.dir / "r1", flags=["--recorder-memory-mib", "8"])
    site.robot.enroll()
    site.robot.start_program()
    wait_for(lambda: "attached" in recorder_log(site), lambda: f"frames: {recorder_log(site)} {site.robot.tail()}")
    yield site
    site.robot.stop()
    wait_for(lambda: not alive(recorder(site)), "the end of the recorder")
    site.server.stop()


def recorder_log(site):
    log = site.robot.run_dir / "recorder.log"
    return log.read_text() if log.exists() else ""


def recorder(site):
    return int((site.robot.run_dir / "recorder.lock").read_text())


def alive(pid):
    try:
        os.kill(pid, 0)
        return True
    except ProcessLookupError:
        return False


@pytest.fixture(scope="module")
def sent(site):
    """An event by hand, with some frames before it; the recorder is ended, so that it is sealed at once, and the agent starts the next one."""
    wait_for(lambda: site.robot.frames.exists() and site.robot.frames.read_text().count("\n") > 20, "frames")
    wait_for(lambda: run("muster-recorder", "--run-dir", site.robot.run_dir, "--trigger", "it braked for nothing").status == 0,
             "a recorder that listens")
    first = recorder(site)
    os.kill(first, signal.SIGTERM)
    wait_for(lambda: site.server.json("incident", "list")["incidents"], lambda: f"the incident: {recorder_log(site)} "
                                                                                f"{site.robot.tail()}")
    wait_for(lambda: recorder(site) != first and alive(recorder(site)), "the next recorder")
    return site.server.json("incident", "list", "--robot", "r1")["incidents"][0]


def test_it_is_listed_and_shown(site, sent):
    assert sent["robot"] == "r1" and sent["cause"] == "operator" and sent["text"] == "it braked for nothing"
    assert sent["frames"] > 2 and sent["verdicts"] > 0 and sent["severity"] == 2
    shown = site.server.json("incident", "show", sent["id"])
    assert shown["signature"] == "trusted" and shown["signer"] == "r1" and shown["whole"]
    kinds = {line["kind"] for line in shown["timeline"]}
    assert {"verdicts", "log"} <= kinds
    assert any("safe" in line["text"] for line in shown["timeline"])
    people = site.server.muster("incident", "show", sent["id"])
    assert people.status == 0 and "signed by this robot" in people.out and "it braked for nothing" in people.out
    assert "it braked for nothing" in site.server.muster("incident", "list").out
    assert site.server.json("incident", "list", "--robot", "nobody")["incidents"] == []


def test_it_is_exported_and_verified(site, sent, tmp_path):
    file, frames = tmp_path / "out.mcap", tmp_path / "frames"
    done = site.server.muster("incident", "export", sent["id"], "-o", file, "--frames", frames)
    assert done.status == 0, done.lines
    pictures = sorted(frames.iterdir())
    assert len(pictures) == sent["frames"] and all(p.read_bytes()[:2] == b"\xff\xd8" for p in pictures)
    own = next((site.robot.state / "incidents").glob("*.mcap"))
    assert own.read_bytes() == file.read_bytes()
    assert wait_for(lambda: own.with_suffix(".sent").exists(), "the mark")
    assert run("muster", "incident", "verify", file).status == 0
    assert "was not checked" in run("muster", "incident", "verify", file).out
    assert run("muster", "incident", "verify", file, "--ca", site.server.dir / "ca.pem").status == 0
    changed = bytearray(file.read_bytes())
    changed[len(changed) // 2] ^= 4
    file.write_bytes(changed)
    one_line(run("muster", "incident", "verify", file), 3, "was changed")
    file.write_bytes(changed[:-20000] if len(changed) > 40000 else changed[:-100])
    one_line(run("muster", "incident", "verify", file), 3)
    file.write_text("nothing")
    one_line(run("muster", "incident", "verify", file), 3, "no MCAP file")


def test_its_last_frame_is_explained(site, sent, tmp_path):
    file, frames = tmp_path / "out.mcap", tmp_path / "frames"
    assert site.server.muster("incident", "export", sent["id"], "-o", file, "--frames", frames).status == 0
    numbers = [int(picture.stem) for picture in sorted(frames.iterdir())]
    release = ROOT / "models/detector-1.0.0/release.yaml"
    picture = tmp_path / "why.png"

    def explain(*args):
        """None: nothing stood in front of the camera then."""
        done = run("muster", "explain", release, file, "--passes", "20", "-o", picture, *args)
        assert done.status == 0 or (done.status == 4 and "sees nothing in this frame" in str(done.lines)), done.lines
        return done if done.status == 0 else None

    last = explain("--json")
    if last:
        why = last.json()["incident"]
        assert why["seq"] in numbers and why["at_s"] <= 0 and why["answer"]
    told = {number: explain("--frame", str(number)) for number in numbers[:20]}
    assert any(told.values())
    assert all(f"frame {number}, " in done.out and "answered" in done.out for number, done in told.items() if done)
    assert picture.read_bytes().startswith(b"\x89PNG")
    one_line(run("muster", "explain", release, file, "--frame", "99999999"), 4, "no picture of frame 99999999")
    one_line(run("muster", "explain", release, frames / f"{numbers[0]:06}.jpg", "--frame", "1"), 2, "for recordings")
    changed = bytearray(file.read_bytes())
    changed[len(changed) // 2] ^= 4
    file.write_bytes(changed)
    one_line(run("muster", "explain", release, file), 3, "was changed")


@pytest.mark.skipif(not shutil.which("node") or not (ROOT / "node_modules/@mcap/core").exists(), reason="no stock reader")
def test_a_stock_reader_reads_it(site, sent):
    own = next((site.robot.state / "incidents").glob("*.mcap"))
    done = subprocess.run(["node", ROOT / "tests/mcap_stock.mjs", own], capture_output=True, text=True, check=False)
    assert done.returncode == 0 and '"robot":"r1"' in done.stdout, done.stderr


def test_what_is_not_there(site):
    one_line(site.server.muster("incident", "show", "4711"), 4)
    one_line(run("muster", "incident", "verify", "/nonexistent"), 4)
    one_line(site.server.muster("incident", "export", "1"), 2)
