"""docs/tuf.md against the tests: every test that its tables name exists and is run, every test of src/trust/tuf/testing is named, and every
rule of src/trust/rules.def has a row with a test."""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]


def rows():
    for line in (ROOT / "docs/tuf.md").read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("|") and not set(line) <= set("|-"):
            yield cells


def tests_in(path):
    text = path.read_text()
    if path.suffix == ".py":
        return re.findall(r"^def (test_\w+)\(", text, re.M)
    defined = re.findall(r"^static void (\w+)\(void \*\*", text, re.M)
    return [name for name in defined if re.search(rf"\w\({name}[,)]", text)]  # and in the list of those that run


def main():
    wrong = []
    rules = set(re.findall(r'^TRUST_RULE\(\w+, "([a-z.]+)"', (ROOT / "src/trust/rules.def").read_text(), re.M))
    files = [*ROOT.glob("src/**/*_test.c"), *ROOT.glob("tests/test_*.py")]
    there = {name for path in files for name in tests_in(path)}
    named, proven = set(), set()
    for cells in rows():
        tests = re.findall(r"`(\w+)`", cells[-1])
        named.update(tests)
        said = {word for cell in cells[:-1] for word in re.findall(r"`([a-z.]+)`", cell)} & rules
        if tests:
            proven.update(said)
    wrong += [f"there is no test {name}" for name in sorted(named - there)]
    wrong += [f"rule {rule} has no test" for rule in sorted(rules - proven)]
    own = {name for path in (ROOT / "src/trust/tuf/testing").glob("*_test.c") for name in tests_in(path)}
    own |= set(tests_in(ROOT / "tests/test_tuf.py"))
    wrong += [f"test {name} is not named" for name in sorted(own - named)]
    for line in wrong:
        print("docs/tuf.md:", line)
    print(f"{len(rules)} rules, {len(named)} tests named")
    return bool(wrong) or not rules or not named


sys.exit(main())
