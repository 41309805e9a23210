"""Reviews end to end: a robot sends frames, a person looks at them on the command line, and accuracy follows."""
import json
import ssl
import struct
import urllib.request

import pytest

from fleet import Place, Robot, Server, one_line

PICTURE = b"\xff\xd8\xff\xe0 a picture \xff\xd9"
STREAM = "ab" * 16


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    class Site:
        pass
    site = Site()
    site.place = Place(tmp_path_factory.mktemp("review"))
    site.server = Server(site.place)
    site.robot = Robot(site.server, "r1", site.place.dir / "r1")
    site.robot.enroll()
    site.robot.stop()
    site.release = site.place.pack("1.0.0")
    site.server.push(site.release)
    for seq, (reason, probability) in enumerate([("audit", 0.0005), ("alarm", 1), ("unsure", 0.1)], 1):
        assert send(site, seq, reason, probability) == {"acked": seq}
    yield site
    site.server.stop()


def call(url, trust, body=None, headers=None, cert=None):
    context = ssl.create_default_context(cafile=trust)
    if cert:
        context.load_cert_chain(*cert)
    request = urllib.request.Request(url, data=body, headers=headers or {})
    with urllib.request.urlopen(request, context=context, timeout=30) as answer:
        return json.load(answer)


def send(site, seq, reason, probability):
    head = {"time_ms": 1700000000000 + seq, "release": site.release.digest, "seq": seq, "stream": 7, "reason": reason, "probability": probability,
            "width": 64, "height": 48, "rate_hz": 0, "detections": [[1, 0.625, 1, 2, 30, 40]], "signals": {}, "from_ms": 0, "until_ms": 0}
    text = json.dumps(head).encode()
    state, server = site.robot.state, site.server
    return call(f"https://127.0.0.1:{server.ports['robot']}/api/v1/samples?stream={STREAM}&seq={seq}", server.env["MUSTER_CA"],
                b"MSAMPLE1" + struct.pack("<II", len(text), len(PICTURE)) + text + PICTURE, cert=(state / "device.pem", state / "device.key"))


def accuracy(site):
    server = site.server
    found = call(f"{server.env['MUSTER_SERVER']}/api/v1/accuracy?release={site.release.digest}", server.env["MUSTER_CA"],
                 headers={"Authorization": f"Bearer {server.env['MUSTER_TOKEN']}"})
    return found["groups"][0]


def test_the_queue_is_listed_alarms_first(site):
    found = site.server.json("review", "list")["reviews"]
    assert [review["reason"] for review in found] == ["alarm", "unsure", "audit"]
    assert "alarm" in site.server.muster("review", "list").out
    one_line(site.server.muster("review", "list", "--state", "closed"), 2, "state")
    one_line(site.server.muster("review", "show", "99"), 4, "99")


def test_one_is_shown_with_its_picture_or_blind(site, tmp_path):
    file = tmp_path / "2.jpg"
    shown = site.server.muster("review", "show", "2", "-o", file)
    assert shown.status == 0 and "score 0.625" in shown.out
    assert file.read_bytes() == PICTURE
    assert site.server.json("review", "show", "2")["labels"]
    assert "score 0.625" not in site.server.muster("review", "show", "2", "--blind").out
    assert site.server.json("review", "show", "2")["seen_ms"] > 0


def test_words_become_accuracy(site):
    before = accuracy(site)
    assert before["alarms"]["precision"]["value"] is None and before["alarms"]["open"] == 1
    assert site.server.muster("review", "label", "2", "true", "--note", "seen on site").status == 0
    assert site.server.muster("review", "label", "1", "true", "--missed", "1").status == 0
    missed = site.server.muster("review", "missed", "r1", "--label", "crate", "--from", "2026-01-02T03:04:05Z", "--release", site.release.digest)
    assert missed.status == 0, missed.lines
    after = accuracy(site)
    assert after["alarms"]["precision"]["value"] == 1 and after["alarms"]["recall"]["value"] == 0.5
    assert after["frames"]["precision"]["value"] == 1 and after["frames"]["recall"]["value"] == 0
    for estimate in (after["alarms"]["recall"], after["frames"]["precision"]):
        assert estimate["low"] < estimate["high"] and estimate["evidence"] > 0
    assert after["unlabelled"]["valid"] is False and after["unlabelled"]["because"]
    one_line(site.server.muster("review", "label", "2", "perhaps"), 2, "perhaps")


def test_what_counts_survives_a_kill(site):
    before = accuracy(site)
    site.server.stop()
    site.server.start()
    assert accuracy(site) == before
