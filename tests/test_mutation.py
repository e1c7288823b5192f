"""The tool that puts faults into the code: what it changes, what it leaves alone, and that it notices."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest
from mutation.changes import Change, changes_of
from mutation.covering_tests import Covering, by_file, from_json, joined, read_covering, write_covering
from mutation.equivalents import Equivalents, read_equivalents
from mutation.rooms import ROOMS, Mutant, mutants_of, sample
from needed_packages import imports_at_the_top


def made(source: str) -> list[tuple[str, str]]:
    return [(change.before, change.after) for change in changes_of(source.encode())]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("x = a < b", {("a < b", "a <= b"), ("a < b", "a >= b")}),
        ("x = a <= b < c", {("a <= b < c", "a < b < c"), ("a <= b < c", "a <= b <= c")}),
        ("x = a and b", {("a and b", "a or b"), ("a and b", "a"), ("a and b", "b")}),
        ("x = a - b", {("a - b", "a + b")}),
        ("x = -a", {("-a", "a")}),
        ("x = not a", {("not a", "a")}),
        ("x = 20", {("20", "21"), ("20", "19")}),
        ("x = 0.5", {("0.5", "1.5"), ("0.5", "0.55")}),
        ("x = True", {("True", "False")}),
        ("x = f(a, b)", {("f(a, b)", "f(b, a)")}),
        ("x = f(a, flag=b)", {("f(a, flag=b)", "f(a)")}),
        ("x = min(a, b)", {("min(a, b)", "max(a, b)")}),
        ("x = np.maximum(a, b)", set()),
        ("x = zip(a, strict=True)", set()),
        ("x = a[b:c]", {("a[b:c]", "a[:c]"), ("a[b:c]", "a[b:]")}),
        ("x = [a for a in b if a]", {("[a for a in b if a]", "[a for a in b]")}),
        ("x = a if b else c", {("b", "not b")}),
        ("f(a)", {("f(a)", "pass")}),
        ("a.b = c", {("a.b = c", "pass")}),
        ("a += b", {("a += b", "pass"), ("a += b", "a -= b")}),
        ("def f():\n    raise E", {("raise E", "pass")}),
        ("def f(x=False):\n    return x", {("False", "True"), ("return x", "return None")}),
        ("def f(x) -> bool:\n    return x", {("x", "not x")}),
        ("try:\n    f()\nexcept E:\n    g()", {("g()", "raise")}),
        ("for a in b:\n    continue", {("continue", "pass")}),
    ],
)
def test_each_kind_of_fault_is_made(source: str, expected: set[tuple[str, str]]) -> None:
    assert expected <= set(made(source))


@pytest.mark.parametrize(
    "source",
    [
        '"""A docstring with 3 < 4."""',
        "x: Literal[3]",
        "def f(x: Literal[3]) -> Literal[4]: ...",
        "@cache(maxsize=3)\ndef f(): ...",
        "assert a < b",
        "x = f'{a + b} of {c}'",
        "x = 'said' + a",
        "if TYPE_CHECKING:\n    x = 3",
        "__all__ = ['a'][0:1]",
        "from a import b",
        "raise E",
    ],
)
def test_what_no_test_should_pin_is_left_alone(source: str) -> None:
    assert [change for change in made(source) if change != ("raise E", "pass")] == []


SOURCE = '''
"""Módule."""
def f(a, b,
      c=3):
    """Say."""
    if (a <
            b) and c:  # — a comment
        return g(a,
                 b)
    raise ValueError("no")
class C:
    def m(self) -> bool:
        return self.x == "é" and not self.y
'''.encode()


def test_every_change_leaves_valid_code_with_the_same_lines() -> None:
    changes = changes_of(SOURCE)
    assert len(changes) > 15
    for change in changes:
        changed = change.applied(SOURCE)
        assert changed != SOURCE
        assert ast.dump(ast.parse(changed)) != ast.dump(ast.parse(SOURCE))
        assert "# — a comment".encode() in changed or change.before.startswith(("if", "a <"))
    kept = [change for change in changes if change.operator == "expression"]
    assert {change.applied(SOURCE).count(b"\n") for change in kept} == {SOURCE.count(b"\n")}


def test_a_change_knows_where_it_stands_and_when_it_runs() -> None:
    by_after = {(change.function, change.after): change for change in changes_of(SOURCE)}
    assert not by_after["f", "4"].deferred, "a default is computed when the module is imported"
    assert by_after["f", "g(b, a)"].deferred
    assert by_after["f", "g(b, a)"].line == 8
    assert by_after["C.m", "self.x != 'é'"].line == 13


def test_equal_changes_of_one_function_are_numbered() -> None:
    source = b"def f():\n    return 1 + 1\n"
    assert [(change.after, change.nth) for change in changes_of(source) if change.before == "1"] == [
        ("2", 0),
        ("0", 0),
        ("2", 1),
        ("0", 1),
    ]


def test_a_room_knows_every_test_file_of_the_statistics() -> None:
    importing = {
        path
        for path in (Path(__file__).parent).glob("test_*.py")
        if any(name.startswith("harness.stats") for name in imports_at_the_top(path))
    }
    assert importing
    assert importing <= set(ROOMS["stats"].test_files)


def test_a_sample_is_drawn_by_its_seed() -> None:
    room = ROOMS["engine"]
    first, again, other = (sample(room, 20, seed) for seed in (0, 0, 1))
    assert first == again
    assert first != other
    assert len({mutant.identity for mutant in first}) == 20
    everything = list(mutants_of(room))
    assert sample(room, None, 0) == everything
    assert len({mutant.identity for mutant in everything}) == len(everything)


def mutant(line: int, *, deferred: bool, before: str = "a") -> Mutant:
    return Mutant("r", "file.py", Change("f", line, "expression", before, "b", 0, (0, 1), deferred))


RECORDED = Covering(
    {"t.py::slow": 1.9, "t.py::quick": 0.1, "t.py::broken": 0.0, "u.py::endless": 60.0},
    {"file.py": {3: ["t.py::quick", "t.py::broken"], 4: ["t.py::slow", "u.py::endless"]}},
    ["t.py::broken"],
)


def test_a_mutant_meets_the_tests_that_run_its_line_the_quickest_first() -> None:
    assert RECORDED.tests_of(mutant(3, deferred=True)) == ["t.py::quick"]
    assert RECORDED.tests_of(mutant(4, deferred=True)) == ["t.py::slow"]
    assert RECORDED.tests_of(mutant(3, deferred=True, before="f(\na)")) == ["t.py::quick", "t.py::slow"]
    assert RECORDED.tests_of(mutant(9, deferred=True)) == []
    assert RECORDED.tests_of(mutant(9, deferred=False)) == ["t.py::quick", "t.py::slow"]


def test_what_was_recorded_is_kept_by_test_file(tmp_path: Path) -> None:
    parts = by_file(RECORDED, ["t.py", "u.py"])
    assert parts["u.py"].seconds == {"u.py::endless": 60.0}
    write_covering(parts, tmp_path / "covering.json")
    read = read_covering(tmp_path / "covering.json")
    assert read == parts
    whole = joined(read.values())
    assert (whole.seconds, whole.broken) == (RECORDED.seconds, RECORDED.broken)
    assert whole.tests_of(mutant(3, deferred=False)) == ["t.py::quick", "t.py::slow"]
    assert read_covering(tmp_path / "elsewhere.json") == {}
    assert from_json({"seconds": {}, "lines": {"f": {"3": ["t"]}}, "broken": []}).lines == {"f": {3: ["t"]}}


def test_every_equivalent_mutant_has_its_reason() -> None:
    for entry, reason in read_equivalents().reasons.items():
        assert len(reason.split()) > 2, entry


def test_an_entry_that_matches_nothing_is_told() -> None:
    there = mutant(3, deferred=True)
    entries = {("file.py", "f", "a", "b"): "the same", ("harness/r/file.py", "f", "a", "c"): "gone"}
    listed = Equivalents(entries)
    assert listed.reason(there) == "the same"
    assert listed.reason(mutant(3, deferred=True, before="z")) is None
    assert listed.stale({"r": [there]}) == [("harness/r/file.py", "f", "a", "c")]
    assert listed.stale({"other": []}) == []


@pytest.mark.slow
def test_faults_are_noticed_and_told() -> None:
    """A whole run in a process of its own, over the mutants of a small file."""
    root = Path(__file__).parents[1]
    command = [sys.executable, "tests/run_mutants.py", "engine", "--file=engine/dialogue.py", "--jobs=1"]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=900, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "engine: " in done.stdout
    assert ", 0 killed" not in done.stdout
