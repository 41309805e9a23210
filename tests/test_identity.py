"""Who a robot is: the real agent renews through kills, comes back when its certificate is over, and is found if somebody copied its disk."""
import json
import os
import random
import shutil
import socket
import subprocess
import time

import pytest
from fleet import Place, Proxy, Robot, Server, wait_for


class Site:
    def __init__(self, dir):
        self.place = Place(dir)
        self.dir, self.servers, self.robots = dir, [], []

    def server(self, name, *flags):
        self.servers.append(Server(self.place, self.dir / name, flags=flags))
        return self.servers[-1]

    def robot(self, server, name, **kwargs):
        self.robots.append(Robot(server, name, self.dir / f"{server.dir.name}-{name}-{len(self.robots)}", **kwargs))
        return self.robots[-1]

    def close(self):
        for robot in self.robots:
            robot.stop()
        for server in self.servers:
            server.stop()


@pytest.fixture
def site(tmp_path):
    site = Site(tmp_path)
    yield site
    site.close()


def serial(robot):
    """Of the certificate on the robot's disk."""
    out = subprocess.run(["openssl", "x509", "-in", robot.state / "device.pem", "-noout", "-serial"], capture_output=True, text=True)
    assert out.returncode == 0, out.stderr
    return out.stdout.strip().partition("=")[2]


def key_fits(robot):
    """Certificate and key on the disk belong together."""
    def public(*args):
        return subprocess.run(["openssl", *args], capture_output=True, text=True, check=True).stdout
    return public("x509", "-in", robot.state / "device.pem", "-noout", "-pubkey") == \
        public("pkey", "-in", robot.state / "device.key", "-pubout")


def contact(robot):
    return robot.show()["last_seen_ms"] or 0


def is_heard(robot):
    before = contact(robot)
    wait_for(lambda: contact(robot) > before, lambda: f"{robot.name} to be heard: {robot.show()} {robot.tail()}")


def never_suspected(robot):
    assert robot.show()["quarantined"] is None, robot.show()


def test_certificates_are_renewed_through_kills(site):
    """Killed at any instant, again and again, while certificates live for four seconds."""
    server = site.server("srv", "--certificate-hours", "0.00112")
    robot = site.robot(server, "r1")
    robot.enroll()
    seen = {serial(robot)}
    dice = random.Random(7)
    while len(seen) < 12:
        time.sleep(dice.random() * 0.9)
        robot.stop_agent(9)
        assert key_fits(robot)
        robot.start_agent()
        wait_for(lambda: serial(robot) not in seen or dice.random() < 0.2, "a renewal, or the next kill")
        seen.add(serial(robot))
        never_suspected(robot)
    is_heard(robot)
    never_suspected(robot)
    assert "quarantined" not in robot.tail()


def test_a_robot_that_runs_on_renews_and_is_never_away(site):
    server = site.server("srv", "--certificate-hours", "0.00112")
    robot = site.robot(server, "r1")
    robot.enroll()
    seen = set()
    while len(seen) < 5:
        wait_for(lambda: serial(robot) not in seen, lambda: f"the next certificate: {robot.tail()}")
        seen.add(serial(robot))
        is_heard(robot)
        assert robot.show()["presence"] == "live"
    never_suspected(robot)
    assert robot.agent.poll() is None and "cannot be renewed" not in robot.tail()


def test_a_robot_that_was_off_comes_back(site):
    """Its certificate is over; it may do nothing but renew it, and does."""
    server = site.server("srv", "--certificate-hours", "0.00084")
    robot = site.robot(server, "r1")
    robot.enroll()
    robot.stop_agent()
    first = serial(robot)
    ends = ["openssl", "x509", "-in", robot.state / "device.pem", "-noout", "-checkend", "0"]
    wait_for(lambda: subprocess.run(ends, capture_output=True).returncode == 1, "the certificate's end")
    robot.start_agent()
    wait_for(lambda: serial(robot) != first, lambda: f"a renewal: {robot.tail()}")
    is_heard(robot)
    never_suspected(robot)


@pytest.mark.parametrize("fault", [("flip",), ("cut",), ("noise",), ("status", 500, "internal"), ("status", 200, "")])
def test_an_answer_that_is_none_changes_nothing(site, fault):
    server = site.server("srv", "--certificate-hours", "0.00112")
    proxy = Proxy(server)
    robot = proxy.robot = site.robot(server, "r1", url=proxy.url)
    proxy.faults["/api/v1/renew"] = fault
    robot.enroll()
    first = serial(robot)
    asked = [0]

    def again():
        asked[0] = sum(path == "/api/v1/renew" for _, path, _ in proxy.seen)
        return asked[0] >= 3
    wait_for(again, lambda: f"three questions: {asked} {robot.tail()}")
    assert serial(robot) == first and key_fits(robot)
    proxy.faults.clear()
    wait_for(lambda: serial(robot) != first, lambda: f"a renewal: {robot.tail()}")
    is_heard(robot)
    never_suspected(robot)
    proxy.close()


def certificate_of(server, robot, tmp_path, begin, end):
    """For what the robot asks, by the fleet's CA, valid whenever."""
    config = tmp_path / "ca.cnf"
    config.write_text(f"[ca]\ndefault_ca=d\n[d]\ndatabase={tmp_path}/index.txt\nnew_certs_dir={tmp_path}\ndefault_md=sha256\n"
                      "rand_serial=yes\npolicy=p\nx509_extensions=x\n[p]\ncommonName=supplied\n[x]\nextendedKeyUsage=clientAuth\n")
    (tmp_path / "index.txt").write_text("")
    out = tmp_path / "next.pem"
    subprocess.run(["openssl", "ca", "-batch", "-notext", "-config", config, "-in", robot.state / "device.csr", "-out", out,
                    "-cert", server.dir / "ca.pem", "-keyfile", server.dir / "ca.key", "-startdate", begin, "-enddate", end],
                   check=True, capture_output=True)
    return out.read_text()


def test_a_certificate_of_the_far_future_is_not_taken(site, tmp_path):
    """Its beginning would be the floor under the clock that servers are judged by, for good."""
    server = site.server("srv", "--certificate-hours", "0.00112")
    proxy = Proxy(server)
    robot = proxy.robot = site.robot(server, "r1", url=proxy.url)
    proxy.faults["/api/v1/renew"] = ("status", 500, "internal")
    robot.enroll()
    first, csr = serial(robot), robot.state / "device.csr"
    wait_for(lambda: csr.exists() and "cannot be renewed" in robot.tail(), lambda: f"a question, answered: {robot.tail()}")
    asked = []

    def far(path):
        if path != "/api/v1/renew":
            return None
        asked.append(path)
        certificate = certificate_of(server, robot, tmp_path, "20900101000000Z", "20910101000000Z")
        body = {"robot": "r1", "certificate": certificate, "ca": (server.dir / "ca.pem").read_text()}
        return 200, "application/json", {}, json.dumps(body).encode()
    proxy.offered = far
    proxy.faults.clear()
    wait_for(lambda: len(asked) >= 3, lambda: f"three questions: {asked} {robot.tail()}")
    assert serial(robot) == first and "too far ahead" in robot.tail()
    del proxy.offered
    wait_for(lambda: serial(robot) != first, lambda: f"a renewal: {robot.tail()}")
    is_heard(robot)
    proxy.close()


def test_a_copied_disk_is_found(site):
    server = site.server("srv")
    robot = site.robot(server, "r1")
    robot.enroll()
    is_heard(robot)
    robot.stop_agent()
    copy = site.robot(server, "r1")
    shutil.copytree(robot.state, copy.state)
    robot.start_agent()
    is_heard(robot)
    never_suspected(robot)  # one of them is nothing special
    copy.start_agent()
    wait_for(lambda: robot.show()["quarantined"], lambda: f"the quarantine: {robot.show()}")
    for one in (robot, copy):
        wait_for(lambda: "quarantined" in one.tail(), lambda: f"its agent to be told: {one.tail()}")
    listed = server.muster("robot", "list")
    assert "quarantined" in listed.out
    assert "quarantined" in server.muster("audit", "show", "--json").out

    # The one that is the robot gets a new key and a token; the other one stays out, and is not even noticed.
    robot.stop_agent()
    (robot.state / "device.key").unlink()
    (robot.state / "device.pem").unlink()
    robot.enroll()
    is_heard(robot)
    never_suspected(robot)
    assert copy.agent.poll() is None


def test_quarantine_is_released_when_the_copy_is_gone(site):
    server = site.server("srv")
    robot = site.robot(server, "r1")
    robot.enroll()
    is_heard(robot)
    robot.stop_agent()
    copy = site.robot(server, "r1")
    shutil.copytree(robot.state, copy.state)
    robot.start_agent()
    copy.start_agent()
    wait_for(lambda: robot.show()["quarantined"], "the quarantine")
    copy.stop_agent(9)
    done = server.muster("robot", "release-quarantine", "r1")
    assert done.status == 0, done.lines
    is_heard(robot)
    is_heard(robot)
    never_suspected(robot)


@pytest.fixture
def tpm(tmp_path, monkeypatch):
    """A TPM 2.0 in software; its clients want two ports in a row."""
    modules = subprocess.run(["openssl", "version", "-m"], capture_output=True, text=True).stdout.split('"')[1]
    if not shutil.which("swtpm") or not os.path.exists(f"{modules}/tpm2.so"):
        pytest.skip("swtpm and tpm2-openssl are not installed (scripts/deps verify)")
    (tmp_path / "tpm").mkdir()
    port = 40000 + os.getpid() % 20000
    process = subprocess.Popen(["swtpm", "socket", "--tpm2", "--tpmstate", f"dir={tmp_path / 'tpm'}", "--server", f"type=tcp,port={port}",
                                "--ctrl", f"type=tcp,port={port + 1}", "--flags", "not-need-init,startup-clear"])

    def listens():
        with socket.socket() as s:
            return s.connect_ex(("127.0.0.1", port + 1)) == 0
    wait_for(listens, "swtpm")
    monkeypatch.setenv("TPM2OPENSSL_TCTI", f"swtpm:host=127.0.0.1,port={port}")
    yield
    process.kill()
    process.wait()


def test_a_key_in_a_tpm(site, tpm):
    """Enrolled, heard and renewed with a key that no file holds."""
    server = site.server("srv", "--certificate-hours", "0.00112")
    robot = site.robot(server, "r1", flags=["--device-key", "tpm"])
    robot.enroll()
    assert "TSS2 PRIVATE KEY" in (robot.state / "device.key").read_text()
    seen = set()
    while len(seen) < 4:
        wait_for(lambda: serial(robot) not in seen, lambda: f"the next certificate: {robot.tail()}")
        seen.add(serial(robot))
        is_heard(robot)
    never_suspected(robot)
