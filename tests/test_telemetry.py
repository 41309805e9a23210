"""Telemetry as others read it: /metrics by promtool, remote write by a real VictoriaMetrics and a real Prometheus. What is not installed is skipped."""
import json
import shutil
import signal
import socket
import subprocess
import time
import urllib.parse
import urllib.request

import pytest

from fleet import Place, Robot, Server, wait_for


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Store:
    """A time-series database of somebody else."""

    def __init__(self, dir, command, path):
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}{path}"
        self.log = open(dir / "store.log", "wb")
        self.process = subprocess.Popen([part.format(dir=dir, port=self.port) for part in command], stdout=self.log,
                                        stderr=subprocess.STDOUT)

    def query(self, text):
        url = f"http://127.0.0.1:{self.port}/api/v1/query?" + urllib.parse.urlencode({"query": text})
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                return json.load(answer)["data"]["result"]
        except OSError:
            return []

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(30)
        self.log.close()


STORES = {
    "victoria-metrics": (["victoria-metrics", "-storageDataPath={dir}/data", "-httpListenAddr=127.0.0.1:{port}", "-search.latencyOffset=0s"],
                         "/api/v1/write"),
    "prometheus": (["prometheus", "--config.file={dir}/prometheus.yml", "--storage.tsdb.path={dir}/data", "--web.listen-address=127.0.0.1:{port}",
                    "--web.enable-remote-write-receiver"], "/api/v1/write"),
}


@pytest.fixture(scope="module", params=STORES)
def site(request, tmp_path_factory):
    if not shutil.which(request.param):
        pytest.skip(f"{request.param} is not installed")

    class Site:
        pass
    site = Site()
    site.dir = tmp_path_factory.mktemp(request.param)
    (site.dir / "prometheus.yml").write_text("global: {scrape_interval: 15s}\n")
    site.store = Store(site.dir, *STORES[request.param])
    site.place = Place(site.dir)
    site.server = Server(site.place, flags=["--remote-write", site.store.url])
    site.robot = Robot(site.server, "r1", site.dir / "r1", flags=["--watch-options", "--window-s 2"])
    site.robot.enroll()
    site.robot.start_program()
    yield site
    site.robot.stop()
    site.server.stop()
    site.store.stop()


def metrics(site):
    request = urllib.request.Request(f"http://127.0.0.1:{site.server.ports['console']}/metrics",
                                     headers={"Authorization": f"Bearer {site.server.env['MUSTER_TOKEN']}"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        return answer.read().decode()


def value(text, name):
    return next((float(line.split()[-1]) for line in text.splitlines() if line.startswith(name + " ")), None)


def sent(site):
    return value(metrics(site), 'muster_remote_write_samples_total{outcome="sent"}')


def test_samples_arrive(site):
    release = site.place.pack("1.0.0")
    site.server.push(release)
    site.robot.install(release)
    got = wait_for(lambda: site.store.query('muster_robot_frames_total{robot="r1"} > 10'), lambda: metrics(site)[-2000:])
    assert got[0]["metric"]["release"] == release.digest
    got = wait_for(lambda: site.store.query('muster_robot_system_memory_limit_bytes{robot="r1"}'), lambda: metrics(site)[-2000:])
    assert float(got[0]["value"][1]) > 1e8
    text = metrics(site)
    assert 'muster_robot_system_memory_limit_bytes{robot="r1"} ' in text
    assert value(text, 'muster_remote_write_samples_total{outcome="refused"}') == 0
    assert value(text, 'muster_remote_write_samples_total{outcome="dropped"}') == 0


def test_a_store_that_was_away_gets_what_it_missed(site):
    before = sent(site)
    site.store.process.send_signal(signal.SIGSTOP)
    time.sleep(2)
    site.store.process.send_signal(signal.SIGCONT)
    wait_for(lambda: sent(site) > before, lambda: metrics(site)[-2000:])
    assert value(metrics(site), 'muster_remote_write_samples_total{outcome="dropped"}') == 0


def test_metrics_are_what_promtool_takes(site):
    if not shutil.which("promtool"):
        pytest.skip("promtool is not installed")
    wait_for(lambda: "muster_release_latency_seconds_bucket" in metrics(site), "a histogram")
    done = subprocess.run(["promtool", "check", "metrics"], input=metrics(site), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
