"""Every fault of the campaign once, judged by answers and states only; and the table in the docs is the program's."""
import pytest

from conftest import BIN, ROOT, run

if not (BIN / "bench-faults").exists():
    pytest.skip("bench-faults is not built", allow_module_level=True)


def test_every_fault_ends_where_it_should():
    done = run("bench-faults", "--injections", 250, "--states-only", "--json")
    report = done.json()
    wrong = [f"{case['name']}: expected {case['expected']}, seen {case['seen']}" for case in report["case"] if case.get("wrong")]
    assert not wrong
    assert done.status == 0
    assert report["wrong_state"] == 0
    assert report["cases"] - report["cases_not_possible_here"] >= 60
    assert report["injections"] >= 60


def test_the_table_in_the_docs_is_the_programs():
    table = run("bench-faults", "--list", "--markdown").out
    text = (ROOT / "docs" / "faults.md").read_text()
    assert text.endswith("\n\n" + table), "docs/faults.md: make it again with bench-faults --list --markdown"


def test_an_unknown_case_is_said_to_be_one():
    done = run("bench-faults", "--only", "no_such_fault")
    assert done.status == 4
    assert "no case begins with" in done.lines[0]
