"""muster push against a real musterd over real TLS: what is sent, what is refused, and how it says so."""
import os
import shutil

import pytest

from conftest import BIN, ROOT, run
from fleet import Place, Server, ok

if not (BIN / "musterd").exists():
    pytest.skip("musterd is not built", allow_module_level=True)

DETECTOR = ROOT / "models/detector-1.0.0/release.yaml"


def detector(place, name, version, more=""):
    """Like the detector's recipe, with another version and another file beside the model."""
    recipe, notes = place.dir / f"{name}.yaml", place.dir / f"{name}.bin"
    notes.write_bytes(b"notes" if not more else more)
    recipe.write_text(DETECTOR.read_text().replace("../golden", str(ROOT / "models/golden"))
                      .replace("path: model.onnx", f"path: {DETECTOR.parent}/model.onnx")
                      .replace("recipe: recipe.json", f"recipe: {notes}").replace("version: 1.0.0", f"version: {version}"))
    ok("muster", "pack", recipe, "-o", place.dir / name)
    return place.dir / name


@pytest.fixture(scope="module")
def here(tmp_path_factory):
    """A release, and a server that knows whose releases it takes."""
    place = Place(tmp_path_factory.mktemp("push"))
    ok("muster", "pack", DETECTOR, "-o", place.dir / "rel")
    place.sign(place.dir / "rel")
    server = Server(place)
    yield place, server
    server.stop()


def push(here, name, keys="keys", env=None, *args):
    place, server = here
    return run("muster", "push", place.dir / name, "--keys", place.dir / keys, "--json", *args, env=env or server.env)


def refused(result, status, say=""):
    assert result.status == status, (result.status, result.lines)
    assert result.out == "" and len(result.lines) == 1 and result.lines[0].startswith("muster push: "), result.lines
    assert say in result.lines[0], result.lines


def test_a_release_arrives_and_is_not_sent_twice(here):
    first = push(here, "rel")
    assert first.status == 0, first.lines
    assert first.json()["blobs_sent"] >= 5 and first.json()["bytes_sent"] > 100000
    again = push(here, "rel")
    assert again.status == 0 and again.json()["blobs_sent"] == 0 and again.json()["blobs_skipped"] >= 5


def test_flags_instead_of_the_environment(here):
    place, server = here
    clean = {name: "" for name in server.env}
    done = push(here, "rel", "keys", clean, "--server", server.env["MUSTER_SERVER"] + "/", "--token-file", server.token, "--ca",
                server.dir / "ca.pem")
    assert done.status == 0, done.lines


def test_what_the_server_does_not_take(here):
    place, server = here
    detector(place, "unsigned", "1.0.2")
    refused(push(here, "unsigned"), 3, "not signed")
    place.found_fleet("strange")
    place.sign(place.dir / "unsigned", "strange")
    refused(push(here, "unsigned", "strange"), 3, "[targets.")
    damaged = place.dir / "damaged"
    shutil.copytree(place.dir / "rel", damaged)
    blob = max((damaged / "blobs/sha256").iterdir(), key=lambda p: p.stat().st_size)
    data = bytearray(blob.read_bytes())
    data[1000] ^= 1
    blob.write_bytes(data)
    refused(push(here, "damaged"), 3, "damaged")


def test_who_may_not(here):
    place, server = here
    refused(push(here, "rel", env={**server.env, "MUSTER_TOKEN": "0" * 64}), 3, "token")
    refused(push(here, "rel", env={**server.env, "MUSTER_TOKEN": ""}), 3, "token")
    other = place.dir / "other-ca"
    ok("musterd", "init", "--dir", other, "--hosts", "127.0.0.1", "--token-file", place.dir / "other-token")
    refused(push(here, "rel", env={**server.env, "MUSTER_CA": str(other / "ca.pem")}), 3, "certificate")


def test_no_server(here):
    place, server = here
    refused(push(here, "rel", env={**server.env, "MUSTER_SERVER": "https://127.0.0.1:1"}), 5, "127.0.0.1:1")
    refused(push(here, "rel", env={**server.env, "MUSTER_SERVER": ""}), 2, "MUSTER_SERVER")
    refused(push(here, "nothing"), 4, "nothing")


def test_a_big_release_goes_in_parts(here):
    """A weight file of more than two parts; pushed again after the server was killed, it is there."""
    place, server = here
    place.sign(detector(place, "big", "1.0.1", os.urandom(20 << 20)))
    sent = push(here, "big")
    assert sent.status == 0, sent.lines
    assert sent.json()["bytes_sent"] >= 20 << 20
    server.stop()
    server.start()
    again = push(here, "big")
    assert again.status == 0 and again.json()["bytes_sent"] == 0
