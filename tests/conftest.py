"""What the system tests share: the real programs, run as a user would run them."""
import json
import os
import pathlib
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent
BIN = pathlib.Path(os.environ.get("MUSTER_BIN", ROOT / "build" / "bin"))


class Result:
    """A finished command: its exit status, stdout, and the lines of stderr."""

    def __init__(self, done):
        self.status = done.returncode
        self.out = done.stdout
        self.lines = done.stderr.splitlines()

    def json(self):
        return json.loads(self.out)


def run(program, *args, env=None, timeout=300):
    """Runs one of the programs to its end."""
    command = [str(BIN / program), *map(str, args)]
    full = dict(os.environ, **(env or {}))
    return Result(subprocess.run(command, capture_output=True, text=True, env=full, timeout=timeout, check=False))


@pytest.fixture
def muster():
    """The command line, as a function: muster("pack", yaml, "-o", dir)."""
    return lambda *args, **kwargs: run("muster", *args, **kwargs)


@pytest.fixture
def models():
    return ROOT / "models"
