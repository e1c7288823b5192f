"""A direct call and pytest's full protocol say the same of a test; what is special takes the full one."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from harness.plugins import direct_call

from .conftest import Project, right_except, sums

PLAIN = """
import logging
import sys
import threading
import warnings

import pytest
import harness

@pytest.mark.suite("sums", name="checks")
def test_checks(case, response):
    harness.check(case, response)

@pytest.mark.suite("sums", name="asserts")
def test_asserts(case, response):
    print("answer", response.text)
    logging.getLogger("own").warning("logged %s", case.id)
    assert response.text == case.target, f"{response.text} is not {case.target}"

@pytest.mark.suite("sums", name="scores")
def test_scores(case, response, record_score, checkpoint, baseline):
    record_score(0.25 if response.text == "no idea" else 0.75, answer=response.text, explanation="graded")
    assert str(checkpoint) in ("good", "base") and str(baseline) in ("base", "None"), "names"

@pytest.mark.suite("sums", name="odd")
def test_odd(case, response, harness_item):
    number = int(case.id[1:])
    assert harness_item.case is case
    if number == 1:
        pytest.skip("not today")
    if number == 2:
        raise RuntimeError("broken \\x1b[31m test")
    if number == 3:
        pytest.xfail("known")
    if number == 4:
        pytest.fail("said so")
    if number == 5:
        return number
    if number == 6:
        print("\\x1b[31mred\\x1b[0m", file=sys.stderr)
        assert "::error" == "", "::error title=x::y"
    if number == 7:
        warnings.warn("mind", stacklevel=1)
    if number == 8:
        harness.check(case, harness_item.case)
    if number == 9:
        thread = threading.Thread(target=lambda: 1 / 0, name="own")
        thread.start()
        thread.join()

@pytest.mark.suite("sums", name="samples")
def test_samples(case, responses, response):
    assert all(one.text == case.target for one in responses)

@pytest.mark.suite("sums", name="pairs")
def test_pairs(case, response, baseline_response):
    assert len(response.text) <= len(baseline_response.text)
"""
FULL = "--harness-full-protocol"


@pytest.fixture
def lanes(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The ids of the items that were called directly."""
    called: list[str] = []
    run = direct_call.DirectCall.run

    def counted(self: Any, item: Any, rounds: Any) -> Any:
        found = run(self, item, rounds)
        if found is not None:
            called.append(item.nodeid)
        return found

    monkeypatch.setattr(direct_call.DirectCall, "run", counted)
    return called


@pytest.fixture
def desk(project: Project) -> Project:
    cases = sums(24)
    cases[10]["must_pass"] = True
    cases[12]["must_pass"] = True
    project.golden("sums", cases)
    project.module(PLAIN)
    base, good = right_except(lambda i: i % 5 == 0, 24), right_except(lambda i: i in (3, 10), 24)
    project.outputs("base", {case: [str(answer), str(answer)] for case, answer in base.items()})
    project.outputs("good", {case: [str(answer), "24"] for case, answer in good.items()} | {"c11": None})
    return project


@dataclass(frozen=True)
class Said:
    """What a session said, without the time it took."""

    code: int
    record: dict[str, Any]
    junit: list[Any]
    terminal: list[str]


def said(project: Project, *arguments: str) -> Said:
    results, xml = project.path / "results.json", project.path / "junit.xml"
    done = project.run(*arguments, f"--harness-json={results}", f"--junitxml={xml}")
    record = json.loads(_without_addresses(results.read_text(encoding="utf-8")))
    run = record["run"]
    for name in ("created", "run", "environment"):
        record.pop(name)
    lines = [
        _without_addresses(re.sub(r"in \d+\.\d+s", "in …", line.replace(run, "RUN")))
        for line in done.outlines
    ]
    return Said(int(done.ret), record, junit(xml), lines)


def _without_addresses(text: str) -> str:
    return re.sub(r"\b0x[0-9a-f]+", "0x", text)


def junit(path: Path) -> list[Any]:
    def plain(node: ElementTree.Element) -> Any:
        named = {
            name: _without_addresses(value)
            for name, value in node.attrib.items()
            if name not in ("time", "timestamp", "hostname")
        }
        # What a thread raised is found by pytest itself: the frames below are its own, or ours.
        text = "" if "UnhandledThread" in named.get("message", "") else node.text or ""
        return (node.tag, named, _without_addresses(text).strip(), [plain(child) for child in node])

    return [plain(case) for case in ElementTree.parse(path).iter("testsuite")]


@pytest.mark.parametrize(
    "arguments",
    [
        ("--baseline=replay/base.jsonl",),
        (),
        ("--baseline=replay/base.jsonl", "--epochs=2"),
        ("--baseline=replay/base.jsonl", "-o", "junit_logging=all"),
        ("--baseline=replay/base.jsonl", "-Wignore::pytest.PytestUnhandledThreadExceptionWarning"),
        ("--baseline=replay/base.jsonl", "--maxfail=2"),
        ("--baseline=replay/base.jsonl", "-s"),
        ("--baseline=replay/base.jsonl", "--tb=no", "-v", "-rA"),
    ],
    ids=lambda arguments: " ".join(arguments[-1:]) or "alone",
)
def test_both_ways_store_and_report_the_same(
    desk: Project, lanes: list[str], arguments: tuple[str, ...]
) -> None:
    given = ("--model=replay/good.jsonl", *arguments)
    said(desk, *given)  # answers are in the cache for both
    del lanes[:]
    directly = said(desk, *given)
    assert len(lanes) > 5
    del lanes[:]
    fully = said(desk, *given, FULL)
    assert not lanes
    assert directly.code == fully.code
    for name, value in directly.record.items():
        for ours, theirs in zip(value, fully.record[name], strict=True) if isinstance(value, list) else ():
            assert ours == theirs
    assert directly.record == fully.record
    for ours, theirs in zip(directly.junit, fully.junit, strict=True):
        for one, other in zip(ours[3], theirs[3], strict=True):
            assert one == other
    assert directly.junit == fully.junit
    if "--tb=no" in arguments:  # a thread's traceback ends in frames of pytest, or in ours
        assert directly.terminal == fully.terminal


SPECIAL = {
    "request": "def test_it(case, response, request):\n    assert response.text == case.target\n",
    "tmp_path": "def test_it(case, response, tmp_path):\n    assert response.text == case.target\n",
    "capsys": "def test_it(case, response, capsys):\n    assert response.text == case.target\n",
    "skipif": (
        "@pytest.mark.skipif(False, reason='')\n"
        "def test_it(case, response):\n    assert response.text == case.target\n"
    ),
    "xfail": (
        "@pytest.mark.xfail(reason='known')\n"
        "def test_it(case, response):\n    assert response.text == case.target\n"
    ),
    "parametrized": (
        "@pytest.mark.parametrize('number', [1, 2])\n"
        "def test_it(case, response, number):\n    assert response.text == case.target\n"
    ),
    "wrapped": (
        "@unittest.mock.patch('os.sep', '/')\n"
        "def test_it(case, response):\n    assert response.text == case.target\n"
    ),
    "own": (
        "def test_it(case, response):\n    assert response.text == case.target\n"
        "@pytest.fixture\ndef response(response):\n    yield response\n"
    ),
    "autouse": (
        "def test_it(case, response):\n    assert response.text == case.target\n"
        "@pytest.fixture(autouse=True)\ndef around():\n    yield\n"
    ),
    "setup_function": (
        "def test_it(case, response):\n    assert response.text == case.target\n"
        "def setup_function():\n    pass\n"
    ),
}
HOOKS = (
    "def pytest_runtest_setup(item): pass",
    "def pytest_runtest_call(item): pass",
    "def pytest_runtest_teardown(item): pass",
    "def pytest_runtest_makereport(item, call): pass",
    "def pytest_pyfunc_call(pyfuncitem): pass",
    "def pytest_fixture_setup(fixturedef, request): pass",
)
MARKED = 'import unittest.mock\nimport pytest\n\n@pytest.mark.suite("sums")\n'
SIMPLE = "def test_it(case, response):\n    assert response.text == case.target\n"


@pytest.mark.parametrize("name", SPECIAL)
def test_a_test_that_needs_more_than_our_fixtures_takes_the_full_protocol(
    sums_project: Project, lanes: list[str], name: str
) -> None:
    sums_project.module(MARKED + SPECIAL[name])
    _, record = sums_project.results("--model=replay/good.jsonl", "suites/test_own.py")
    assert not lanes
    assert len(record["cases"]) == 60


@pytest.mark.parametrize("hook", HOOKS, ids=lambda hook: hook.split("(")[0].removeprefix("def "))
def test_a_hook_of_somebody_else_is_not_passed_over(
    sums_project: Project, lanes: list[str], hook: str
) -> None:
    sums_project.module(MARKED + SIMPLE)
    sums_project.module(hook, "suites/conftest.py")
    sums_project.results("--model=replay/good.jsonl", "suites/test_own.py")
    assert not lanes


@pytest.mark.parametrize("option", ["--setup-show", "--pdb", "-olog_cli=true", FULL])
def test_options_that_show_every_phase_are_honoured(
    sums_project: Project, lanes: list[str], option: str
) -> None:
    sums_project.module(MARKED + SIMPLE)
    sums_project.results("--model=replay/good.jsonl", "suites/test_own.py", option)
    assert not lanes


def test_modules_and_packages_are_set_up_and_torn_down_around_direct_calls(
    sums_project: Project, lanes: list[str]
) -> None:
    folder = sums_project.path / "suites" / "pkg"
    folder.mkdir(parents=True)
    log = (
        "import pathlib\ndef _note(text):\n    with pathlib.Path('log').open('a') as s: s.write(text + ' ')\n"
    )
    (folder / "__init__.py").write_text(
        log + "def setup_module(): _note('package')\ndef teardown_module(): _note('/package')\n"
    )
    for name in ("one", "two"):
        (folder / f"test_{name}.py").write_text(
            log
            + MARKED.replace('"sums"', f'"sums", name="{name}"')
            + SIMPLE.replace("test_it", f"test_{name}")
        )
    sums_project.results("--model=replay/good.jsonl", "--baseline=replay/base.jsonl", "suites/pkg")
    assert (sums_project.path / "log").read_text().split() == ["package", "/package"]
    assert len(lanes) == 2 * 58


def test_workers_call_directly_too_and_nothing_is_lost(desk: Project) -> None:
    arguments = ("--model=replay/good.jsonl", "--baseline=replay/base.jsonl", "-p", "xdist")
    path = desk.path / "results.json"
    records = []
    for more in (("-n2",), ("-n2", FULL)):
        desk.run_process(*arguments, *more, f"--harness-json={path}")
        record = json.loads(_without_addresses(path.read_text(encoding="utf-8")))
        for name in ("cases", "baseline_cases"):
            record[name].sort(key=lambda case: (case["suite"], case["id"]))
        records.append({name: record[name] for name in ("cases", "baseline_cases", "verdicts", "conditions")})
    assert len(records[0]["cases"]) == 6 * 24
    assert records[0] == records[1]
