"""A robot that runs a good release is given something that goes wrong: it says so in one line and goes on as it was."""
import os
import shutil
import signal
import subprocess

import pytest

from conftest import BIN
from fleet import Director, Place, Proxy, Robot, Server, wait_for

for program in ("musterd", "muster-agent", "muster-guard", "muster-runner", "muster-sim"):
    if not (BIN / program).exists():
        pytest.skip(f"{program} is not built", allow_module_level=True)

EXTRA = 300000


class Site:
    """One server, one robot that runs `good`, and a proxy between them."""

    def __init__(self, dir):
        self.place = Place(dir)
        self.server = Server(self.place)
        self.director = Director(self.server)
        self.proxy = Proxy(self.server)
        self.robot = Robot(self.server, "r1", dir / "r1", self.proxy.url, flags=["--stall-s", "1"])
        self.proxy.robot = self.robot
        self.number = 0
        self.good = self.next()
        self.robot.enroll()
        self.robot.start_program()
        self.server.push(self.good)
        self.robot.install(self.good)
        self.robot.answers(self.good)

    def version(self):
        self.number += 1
        return f"1.{self.number}.0"

    def next(self, **kwargs):
        return self.place.pack(self.version(), **kwargs)

    def close(self):
        self.robot.stop()
        self.proxy.close()
        self.server.stop()

    def still_good(self):
        """All that is in use is as it was, and in use."""
        robot = self.robot
        assert robot.current() == self.good.digest
        assert robot.show()["release"]["digest"] == self.good.digest
        robot.verify()
        robot.answers(self.good)

    def refuses(self, release, *say):
        """Assigned, the release is refused: one report with one line that says why; nothing is left of it."""
        robot, mark, size = self.robot, self.robot.mark(), self.robot.bytes()
        before = {r for r, t in robot.totals().items() if t["ok"]} | {self.good.digest}  # its first line may be due
        id = self.server.rollout(release)
        assert self.server.ended(id) == "rolled_back"
        robot.settled(self.good)
        self.refused_once(release, mark, *say)
        self.still_good()
        assert {r for r, t in robot.totals().items() if t["ok"]} == before
        wait_for(lambda: not robot.partials() and robot.bytes() < size + 200000, lambda: f"tidying: {robot.partials()}")

    def refused_once(self, release, mark, *say):
        reports = self.robot.reports("failed", after=mark)
        assert [r["release"] for r in reports] == [release.digest], reports
        text = reports[0]["text"]
        assert all(part in text for part in say) and "\n" not in text and 10 < len(text) < 160, text
        assert not self.robot.reports("activated", release, after=mark)
        assert sum(1 for line in self.robot.log.read_text().splitlines() if release.version in line and " error " in line) == 1

    def restart_agent(self, *args):
        starts = len(self.robot.reports("started"))
        self.robot.stop_agent()
        self.robot.start_agent(*args)
        wait_for(lambda: len(self.robot.reports("started")) > starts, "the agent's return")


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    site = Site(tmp_path_factory.mktemp("site"))
    yield site
    site.close()


@pytest.fixture(autouse=True)
def as_before(site):
    """What a test broke is whole again for the next one."""
    yield
    site.proxy.faults.clear()
    site.proxy.offer = None
    for rollout in site.server.json("rollout", "list")["rollouts"]:
        if rollout["state"] == "running":  # the test failed
            site.server.muster("rollout", "abort", str(rollout["id"]))
            site.server.ended(rollout["id"])


# ---- damage behind the server's back ----


def flip(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def halve(path):
    os.truncate(path, path.stat().st_size // 2)


@pytest.mark.parametrize("damage, part, say", [
    (flip, "extra.bin", "do not fit its digest"),
    (flip, None, "do not fit its digest"),
    (os.unlink, "extra.bin", "does not have blob"),
])
def test_the_server_s_disk_rots_after_the_push(site, damage, part, say):
    release = site.next()
    site.server.push(release)
    digest = release.digest_of(part) if part else release.digest
    damage(site.server.blob(digest))
    site.refuses(release, say)


def test_the_server_s_blob_is_cut_short_and_then_whole_again(site):
    """What the server has is not what it promised: nothing is installed, and nothing grows, until it has."""
    release = site.next()
    site.server.push(release)
    blob = site.server.blob(release.digest_of("extra.bin"))
    whole = blob.read_bytes()
    halve(blob)
    size = site.robot.bytes()
    id = site.server.rollout(release)
    asked = f"/blobs/{release.digest_of('extra.bin')}"
    wait_for(lambda: sum(asked in path for _, path, _ in site.proxy.seen) >= 3 or site.robot.reports("failed", release),
             lambda: f"tries: {site.robot.tail()}")
    site.still_good()
    assert site.robot.bytes() < size + EXTRA + 300000
    if not site.robot.reports("failed", release):
        blob.write_bytes(whole)
    if site.server.ended(id) == "rolled_back":  # it had given up, perhaps only while the blob was being mended
        assert len(site.robot.reports("failed", release)) == 1
        site.robot.settled(site.good)
    else:
        assert not site.robot.reports("failed", release)
        site.robot.settled(release)
        site.good = release


# ---- downloads that go wrong on the way ----


@pytest.mark.parametrize("fault, say", [
    (("flip",), "do not fit its digest"),
    (("endless",), "more than the 300000 bytes"),
    (("endless", "chunked"), "sends more than the"),
    (("noise",), "malformed answer: the answer is not HTTP"),
    (("status", 404, "not_found"), "played by the proxy"),
])
def test_a_download_that_is_never_right(site, fault, say):
    release = site.next()
    site.server.push(release)
    site.proxy.faults[release.digest_of("extra.bin")] = fault
    site.refuses(release, say)


@pytest.mark.parametrize("fault, say", [
    (("stall",), "stalled: nothing moved for 1 s"),
    (("cut",), "broke the connection off"),
    (("status", 503, "busy"), "played by the proxy"),
])
def test_a_download_that_fails_for_a_while(site, fault, say):
    """It is tried again without end, the log says why, and it goes on where it was once that is possible."""
    release = site.next()
    site.server.push(release)
    extra = release.digest_of("extra.bin")
    site.proxy.faults[extra] = fault
    mark, size = site.robot.mark(), site.robot.bytes()
    id = site.server.rollout(release)
    asked = [None, None, None]

    def tries():
        asked[:] = [how for _, path, how in list(site.proxy.seen) if extra in path]
        return len(asked) >= 3
    wait_for(tries, lambda: f"three tries: {site.robot.tail()}")
    lines = [line for line in site.robot.log.read_text().splitlines() if "download: " in line and say in line]
    assert lines and all(" warn " in line and "trying again" in line for line in lines), site.robot.tail()
    assert site.server.rollout_state(id) == "running"
    site.still_good()
    assert site.robot.bytes() < size + EXTRA + 300000
    site.proxy.faults.clear()
    assert site.server.ended(id) == "done"
    site.good = release
    site.robot.settled(release)
    site.still_good()
    assert not site.robot.reports("failed", after=mark)
    if fault[0] in ("cut", "stall"):
        assert site.robot.reports("downloaded", release)[-1]["bytes"] < EXTRA + 100000  # no byte came twice
        assert asked[1] == f"bytes={EXTRA // 2}-"


# ---- two keys ----


def offered(site, release, /, change=lambda assignment: assignment, **lies):
    """A server that has gone over to the enemy, with the director's key: it assigns what it likes. The robot refuses; its report's text."""
    mark = site.robot.mark()
    site.proxy.offer = lambda: change(site.director.assign(site.robot, release, **lies)), release
    wait_for(lambda: site.robot.reports("failed", after=mark), lambda: f"a refusal: {site.robot.tail()}")
    site.proxy.offer = None
    wait_for(lambda: site.robot.show()["target"]["digest"] == site.good.digest and site.robot.phase() == "idle", lambda: site.robot.tail())
    texts = [r["text"] for r in site.robot.reports("failed", after=mark)]
    assert len(texts) == 1 and "\n" not in texts[0], texts
    assert not site.robot.reports("activated", release, after=mark)
    site.still_good()
    return texts[0]


def test_a_release_that_the_offline_keys_do_not_name(site):
    assert offered(site, site.next(sign=None)).startswith("[targets.unknown]")


def test_another_s_bytes_under_a_name_that_they_do(site):
    named, other = site.next(), site.next(sign=None)
    site.server.push(named)
    target = {"path": f"{named.name}/{named.version}", "length": other.size, "sha256": other.digest[7:]}
    assert offered(site, other, target=target).startswith("[assignment.target]")


@pytest.mark.parametrize("lies, rule", [
    ({"robot": "r2"}, "assignment.robot"),
    ({"fleet": "elsewhere-00000000"}, "assignment.fleet"),
    ({"issued": "2020-01-01T00:00:00Z", "expires": "2020-01-02T00:00:00Z"}, "assignment.expired"),
])
def test_an_assignment_for_others_or_of_the_past(site, lies, rule):
    assert offered(site, site.good, **lies).startswith(f"[{rule}]")


def test_an_assignment_that_the_director_did_not_sign(site):
    def forge(assignment):
        sig = assignment["signatures"][0]["sig"]
        assignment["signatures"][0]["sig"] = ("0" if sig[0] != "0" else "1") + sig[1:]
        return assignment
    assert offered(site, site.good, forge).startswith("[assignment.signatures]")


def test_an_older_release_that_was_good_once(site):
    """Everything about it is in order, but nobody has said that the robot is to go back."""
    old, new = site.next(), site.next()
    site.server.push(new)
    site.robot.install(new)
    site.good = new
    assert offered(site, old).startswith("[release.older]")


def test_metadata_without_an_end(site):
    """What is refused is not for ever: as soon as the chain is whole again the release is installed."""
    release = site.next()
    site.server.push(release)
    site.proxy.faults["/tuf/timestamp.json"] = ("endless", "chunked")
    mark = site.robot.mark()
    id = site.server.rollout(release)
    wait_for(lambda: site.robot.reports("failed", after=mark), lambda: f"a refusal: {site.robot.tail()}")
    site.still_good()
    site.proxy.faults.clear()
    assert site.server.ended(id) == "done"
    assert [r["text"].split("]")[0] for r in site.robot.reports("failed", after=mark)] == ["[metadata.size"]
    site.good = release
    site.robot.settled(release)
    site.still_good()


def test_the_robot_has_lost_its_root(site):
    """It trusts nobody then: nothing is installed, and what it has verified goes on. With the file it goes on where it was."""
    release = site.next()
    site.server.push(release)
    mark = site.robot.mark()
    site.robot.stop_agent()
    shelf, away = site.robot.state / "trust", site.robot.dir / "trust-away"
    shelf.rename(away)
    root = site.robot.root.read_bytes()
    site.robot.root.unlink()
    site.robot.start_agent()
    id = site.server.rollout(release)
    wait_for(lambda: site.robot.reports("failed", after=mark), lambda: f"a report: {site.robot.tail()}")
    site.still_good()
    site.robot.stop_agent()
    site.robot.root.write_bytes(root)
    site.robot.start_agent()
    assert site.server.ended(id) == "done"
    site.good = release
    site.robot.settled(release)
    site.still_good()
    shutil.rmtree(away)


# ---- the wrong release ----


def test_a_release_for_another_architecture(site):
    release = site.next(targets="riscv64")
    site.server.push(release)  # the server holds releases for all machines
    site.refuses(release, "riscv64", "x86_64" if os.uname().machine == "x86_64" else "aarch64")


@pytest.mark.parametrize("model, say", [("unknown_op.onnx", "Frobnicate"), ("nan.onnx", "golden")])
def test_a_model_that_does_not_load_or_compute(site, model, say):
    """Signed by the right key and with the right tensors: server and robot cannot see it before the self-test."""
    release = site.place.with_model(site.version(), model)
    site.server.push(release)
    site.refuses(release, say)


@pytest.mark.parametrize("model, say", [("garbage.onnx", "model.onnx"), ("transposed.onnx", "output0")])
def test_a_model_that_is_not_what_release_json_says(site, model, say):
    release = site.place.with_model(site.version(), model)
    done = site.server.try_push(release)
    assert done.status == 3 and len(done.lines) == 1 and say in done.lines[0], done.lines
    assert say in offered(site, release)


def test_a_refusal_is_remembered(site):
    """kill -9 of the agent right after it: not fetched again, not reported again."""
    release = site.next(targets="riscv64")
    site.server.push(release)
    mark = site.robot.mark()
    id = site.server.rollout(release)
    wait_for(lambda: site.robot.reports("failed", release), "the refusal")
    site.robot.stop_agent(signal.SIGKILL)
    site.robot.start_agent()
    assert site.server.ended(id) == "rolled_back"
    wait_for(lambda: site.robot.reports("started", after=mark), "the agent's return")
    site.robot.settled(site.good)
    site.refused_once(release, mark, "riscv64")
    site.still_good()


# ---- who the robot is ----


def in_the_log(robot, text, since):
    return any(text in line for line in robot.log.read_text()[since:].splitlines())


def direct(site):
    """The agent talks to musterd itself from now on."""
    site.robot.stop_agent()
    site.robot.url = f"https://127.0.0.1:{site.server.ports['robot']}"


@pytest.fixture
def certificate(site):
    kept = {name: (site.robot.state / name).read_bytes() for name in ("device.pem", "device.key")}
    yield
    site.robot.stop_agent()
    for name, data in kept.items():
        (site.robot.state / name).write_bytes(data)
    site.robot.url = site.proxy.url
    site.robot.start_agent()


def test_a_robot_with_a_stranger_s_certificate(site, certificate):
    """The same name, signed by somebody else: no word gets through, the robot goes on, and is back with its own."""
    direct(site)
    kept = [(site.robot.state / name).read_bytes() for name in ("device.pem", "device.key")]
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ed25519", "-nodes", "-subj", "/CN=r1", "-days", "9", "-keyout",
                    site.robot.state / "device.key", "-out", site.robot.state / "device.pem"], check=True, capture_output=True)
    mark, since = site.robot.mark(), len(site.robot.log.read_text())
    site.robot.start_agent()
    wait_for(lambda: in_the_log(site.robot, "certificate", since), lambda: f"a line about it: {site.robot.tail()}")
    assert site.robot.current() == site.good.digest
    site.robot.verify()
    site.robot.answers(site.good)
    assert not site.robot.reports(after=mark)
    site.robot.stop_agent()
    for name, data in zip(("device.pem", "device.key"), kept):
        (site.robot.state / name).write_bytes(data)
    site.robot.start_agent()
    wait_for(lambda: len(site.robot.reports("started", after=mark)) == 2, "both starts to be told")  # none was lost


def test_a_robot_without_a_certificate(site, certificate):
    """And without a token: the agent says what it lacks; the robot goes on."""
    direct(site)
    (site.robot.state / "device.pem").unlink()
    done = subprocess.run(site.robot.command(), capture_output=True, text=True, timeout=60)
    assert done.returncode == 2, done
    lines = [line for line in done.stderr.splitlines() if " error " in line]
    assert len(lines) == 1 and "--enroll" in lines[0], done.stderr
    site.robot.start_agent()
    site.robot.agent.wait(60)
    site.robot.answers(site.good)
    site.robot.verify()


def test_a_revoked_robot(site):
    """Its next request is refused, and it says so; it goes on with what it has. A new token takes it in again."""
    since = len(site.robot.log.read_text())
    direct(site)
    assert site.server.muster("robot", "revoke", "r1").status == 0
    mark = site.robot.mark()  # what came before the revocation may have come late
    site.robot.start_agent()
    wait_for(lambda: in_the_log(site.robot, "revoked", since), lambda: f"a line about it: {site.robot.tail()}")
    site.robot.answers(site.good)
    site.robot.verify()
    assert not site.robot.reports(after=mark)
    site.robot.stop_agent()
    (site.robot.state / "device.pem").unlink()
    (site.robot.dir / "token").unlink(missing_ok=True)
    site.robot.url = site.proxy.url
    site.robot.enroll()
    wait_for(lambda: site.robot.reports("started", after=mark), "its return")
    site.still_good()


# ---- a full disk ----


@pytest.fixture
def small(site, tmp_path):
    """Another robot, on a disk of 12 MiB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=12m", "none", disk], capture_output=True).returncode != 0:
        pytest.skip("mounting is not permitted")
    robot = Robot(site.server, f"small{site.number}", tmp_path / "small", state=disk / "state")
    robot.enroll()
    robot.start_program()
    first = site.next(name="small")
    site.server.push(first)
    robot.install(first)
    robot.answers(first)
    yield robot, first, disk / "filler"
    robot.stop()
    subprocess.run(["umount", "-l", disk], check=True)


def fill(path, leave):
    """Takes all room of the disk but so many bytes."""
    with open(path, "ab", buffering=0) as file:
        for piece in (1 << 16, 4096):
            while True:
                fs = os.statvfs(path)
                if fs.f_bavail * fs.f_frsize < leave + piece:
                    break
                file.write(b"x" * piece)


def second_try(site, robot, release):
    """With room on the disk the same release goes in."""
    robot.install(release)
    robot.answers(release)
    robot.verify()


def test_a_release_that_does_not_fit(site, small):
    robot, first, filler = small
    second = site.next(name="small")
    site.server.push(second)
    fill(filler, (4 << 20) + 100000)
    mark = robot.mark()
    assert site.server.ended(site.server.rollout(second, robot.name)) == "rolled_back"
    robot.settled(first)
    reports = robot.reports("failed", after=mark)
    assert len(reports) == 1 and reports[0]["text"].startswith("disk full: 5 MiB needed, 4 MiB free in "), reports
    robot.answers(first)
    robot.verify()
    filler.unlink()
    second_try(site, robot, second)


def test_a_disk_without_any_room(site, small):
    """Not even the assignment can be written down: the log says so, and all goes well as soon as there is room."""
    robot, first, filler = small
    second = site.next(name="small")
    site.server.push(second)
    fill(filler, 0)
    mark, state = robot.mark(), (robot.state / "state.json").read_bytes()
    id = site.server.rollout(second, robot.name)
    wait_for(lambda: "No space left on device" in robot.log.read_text(), lambda: f"a line about it: {robot.tail()}")
    robot.answers(first)
    robot.verify()
    assert (robot.state / "state.json").read_bytes() == state
    filler.unlink()
    assert site.server.ended(id) == "done"
    robot.settled(second)
    robot.answers(second)
    robot.verify()
    reports = robot.reports(release=second, after=mark)
    assert [r["kind"] for r in reports] == ["assigned", "downloaded", "verified", "self_tested", "activated", "committed"], \
        [(r["seq"], r["kind"], r["text"]) for r in robot.reports(after=mark)]


def test_a_disk_that_fills_up_during_the_download(site, small):
    robot, first, filler = small
    second = site.next(name="small", extra_bytes=3000000)
    site.server.push(second)
    robot.stop_agent()
    robot.start_agent("--rate-limit", "100000")
    mark, state = robot.mark(), robot.own_state()
    id = site.server.rollout(second, robot.name)
    wait_for(lambda: sum(p.stat().st_size for p in (robot.state / "partial").iterdir()) > 200000, "a part of it")
    fill(filler, 0)
    wait_for(lambda: "No space left on device" in robot.log.read_text() or "disk full" in robot.log.read_text(),
             lambda: f"a line about it: {robot.tail()}")
    robot.answers(first, 20)
    robot.verify()
    assert robot.own_state()["current"] == state["current"]
    filler.unlink()
    assert site.server.ended(id) == "rolled_back"
    robot.settled(first)
    reports = robot.reports("failed", after=mark)
    assert len(reports) == 1 and "No space left on device" in reports[0]["text"], reports
    wait_for(lambda: not robot.partials(), "tidying")
    robot.stop_agent()
    robot.start_agent()
    second_try(site, robot, second)
