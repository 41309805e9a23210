"""The console on a real server, by keyboard: a verdict and an acknowledgement arrive. Skipped without a browser or without the built console."""
import json
import os
import shutil
import sqlite3
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from fleet import Place, Robot, Server

WEB = Path(__file__).resolve().parent.parent / "web"
CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    if not shutil.which("node") or not Path(CHROMIUM).exists() or not (WEB / "tools/node_modules/playwright-core").exists():
        pytest.skip("needs node, chromium and npm ci in web/tools")
    server = Server(Place(tmp_path_factory.mktemp("console")))
    yield server
    server.stop()


def put(table, db, **row):
    db.execute(f"INSERT INTO {table} ({', '.join(row)}) VALUES ({', '.join('?' * len(row))})", list(row.values()))


def test_verdict_and_acknowledgement_by_keyboard(server):
    robot = Robot(server, "r1", server.place.dir / "r1")
    robot.enroll()
    robot.stop()
    server.stop()
    now = int(time.time() * 1000)
    with sqlite3.connect(server.dir / "muster.db") as db:
        put("reviews", db, robot="r1", site="north", release=bytes(32), sample=bytes(32), bytes=0, time_ms=now, received_ms=now, from_ms=now,
            until_ms=now, reason=5, probability=1.0, score=0.8, count=1, seen_ms=0, verdict=0, missed=0, decided_by="", note="", decided_ms=0)
        put("drift", db, common=0, release=bytes(32), cause="sensor", opened_ms=now, updated_ms=now, closed_ms=0, acknowledged_ms=0,
            acknowledged_by="", log10_e=6.0, robots="r1", robot_count=1, text="less sharp than any picture before")
    db.close()
    server.start()
    console = f"http://127.0.0.1:{server.ports['console']}/"
    try:
        built = b"<script" in urllib.request.urlopen(console, timeout=10).read()
    except urllib.error.HTTPError:
        built = False
    if not built:
        pytest.skip("this musterd was built without the console")
    url = f"{console}#token={server.env['MUSTER_TOKEN']}"
    done = subprocess.run(["node", WEB / "scripts/server-check.mjs", url], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["problems"] == [] and said["axe"] == []
    assert "clean the lens" in said["drift"]
    review = server.json("review", "list", "--state", "decided")["reviews"][0]
    assert review["verdict"] == "false" and review["seen_ms"] > 0
    finding = server.json("drift", "list", "--all")["drift"][0]
    assert finding["closed_ms"] > 0 and finding["acknowledged_by"]
