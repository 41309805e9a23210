"""Store and forward, with real programs: the server is away, the agent is killed again and again, and in the end the fleet has everything once. Also what
the fleet says of who is there."""
import json
import os
import pathlib
import signal
import struct
import time

import pytest

from conftest import BIN
from fleet import Place, Robot, Server, wait_for

if not (BIN / "musterd").exists():
    pytest.skip("musterd is not built", allow_module_level=True)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    class Site:
        pass
    site = Site()
    site.dir = tmp_path_factory.mktemp("forward")
    site.place = Place(site.dir)
    site.server = Server(site.place)
    site.release = site.place.pack("1.0.0")
    site.server.push(site.release)
    site.robot = Robot(site.server, "r1", site.dir / "r1")
    site.robot.enroll()
    site.robot.install(site.release)
    site.robot.start_program()
    site.robot.answers(site.release)
    yield site
    site.robot.stop()
    site.server.stop()


def letter(site, number, kind, data):
    """As muster-watch leaves one."""
    box = site.robot.run_dir / "watch"
    box.mkdir(exist_ok=True)
    temporary = box / f"{number:020d}.{kind}.tmp-abcdef"
    temporary.write_bytes(data)
    temporary.rename(box / f"{number:020d}.{kind}")


def decision(number):
    return json.dumps({"time_ms": 1700000000000 + number, "who": "guard", "rule": "deadline", "because": f"letter {number}",
                       "count": 1}).encode()


def sample(site, number):
    head = json.dumps({"time_ms": 1700000000000 + number, "release": site.release.digest, "seq": number, "stream": 5,
                       "reason": "audit", "probability": 0.5, "width": 4, "height": 1, "rate_hz": 50, "values": [0.25]}).encode()
    picture = struct.pack("<4f", 0, 1, 2, 3)
    return struct.pack("<8sII", b"MSAMPLE1", len(head), len(picture)) + head + picture


def letters(site):
    return [r["text"] for r in site.robot.reports("decision")]


def marks(site):
    lines = (site.robot.state / "forward/marks").read_text().splitlines()
    return {words[0]: words[1:] for words in map(str.split, lines)}


def test_the_fleet_says_what_is_there(site):
    wait_for(lambda: site.robot.show()["facets"] == {"link": "up", "agent": "ok", "inference": "ok"},
             lambda: f"three good facets: {site.robot.show()['facets']}")
    assert site.robot.show()["expected_offline"] is False


def test_what_happens_without_a_server_arrives_once(site):
    site.server.stop()
    wanted = []
    for life in range(4):
        for number in range(3):
            letter(site, 1000 + 10 * life + number, "event", decision(10 * life + number))
            wanted.append(f"letter {10 * life + number}")
        letter(site, 2000 + life, "sample", sample(site, life))
        (site.robot.run_dir / "watch" / "rubbish").write_text("no letter")
        time.sleep(0.3 * life)
        site.robot.stop_agent(signal.SIGKILL)
        site.robot.start_agent()
    wait_for(lambda: not [p for p in (site.robot.run_dir / "watch").iterdir()], "the letters to be taken in")
    assert list((site.robot.state / "forward").glob("*.seg"))
    site.robot.stop_agent(signal.SIGKILL)
    site.server.start()
    site.robot.start_agent()
    wait_for(lambda: sorted(letters(site)) == sorted(wanted), lambda: f"each letter once: {letters(site)} {site.robot.tail()}")
    wait_for(lambda: len(site.server.json("review", "list")["reviews"]) == 4, lambda: f"{site.server.json('review', 'list')}")
    assert not site.robot.reports("gap"), site.robot.reports("gap")


def test_every_frame_is_counted_once(site):
    """Windows were cut while agents were killed and the server was away."""
    site.robot.program.terminate()
    site.robot.program.wait()
    site.robot.program = None
    frames = sum(t["frames"] for t in site.robot.totals().values())
    wait_for(lambda: site.robot.show()["frames"] >= frames, lambda: f"{frames} frames: {site.robot.show()['frames']}")
    time.sleep(1.5)
    assert site.robot.show()["frames"] == frames


def test_acknowledged_is_forgotten(site):
    def empty():
        now = marks(site)
        return now["event"][0] == str(max(r["seq"] for r in site.robot.reports()))
    wait_for(empty, lambda: f"everything acknowledged: {marks(site)}")


def test_a_model_that_stalls_is_seen(site):
    """Runners stop where they stand: the agent goes on talking, frames go in, nothing comes out."""
    site.robot.start_program()
    site.robot.answers(site.release)

    def runners(number):
        for process in pathlib.Path("/proc").glob("[0-9]*"):
            try:
                program = (process / "cmdline").read_bytes().split(b"\0")[0]
                of_this_robot = str(site.robot.dir)[1:] in (process / "mountinfo").read_text() + str((process / "cmdline").read_bytes())
                if program.endswith(b"muster-runner") and of_this_robot:
                    os.kill(int(process.name), number)
            except OSError:
                continue

    def stalled():
        runners(signal.SIGSTOP)
        return site.robot.show()["facets"]["inference"] == "stalled"
    wait_for(stalled, lambda: f"the facet: {site.robot.show()['facets']} {site.robot.tail()}")
    facets = site.robot.show()["facets"]
    runners(signal.SIGCONT)
    assert facets["link"] == "up" and facets["agent"] == "ok"
