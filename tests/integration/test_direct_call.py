"""A direct call and pytest's full protocol say the same of a test; what is special takes the full one."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from harness.plugins.running import direct_call

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
    for release in record["releases"]:
        release.pop("earlier")  # which of the two ways was first
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
        ("--baseline=replay/base.jsonl", "-x"),
        ("--baseline=replay/base.jsonl", "-k", "c1 or odd"),
        ("--baseline=replay/base.jsonl", "-s"),
        ("--baseline=replay/base.jsonl", "--capture=sys"),
        ("--baseline=replay/base.jsonl", "--capture=tee-sys"),
        ("--baseline=replay/base.jsonl", "-p", "no:logging"),
        ("--baseline=replay/base.jsonl", "--runxfail"),
        ("--baseline=replay/base.jsonl", "-Werror::UserWarning"),
        ("--baseline=replay/base.jsonl", "--log-level=DEBUG", "--log-file=session.log"),
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


WATCHER = """
import pathlib
import sys
import pytest

def note(*what):
    with pathlib.Path("seen").open("a") as stream:
        print(*what, file=stream)

@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item, nextitem):
    note("begin", item.nodeid, sorted(item.keywords), item.user_properties)
    result = yield
    note("end", item.nodeid, item.funcargs, hasattr(sys, "last_value"), result)
    return result

def pytest_collection_modifyitems(items):
    for item in items:
        item.user_properties.append(("size", len(item.name)))

def pytest_runtest_logstart(nodeid, location):
    note("start", nodeid, location)

def pytest_runtest_logfinish(nodeid, location):
    note("finish", nodeid, location)

def pytest_exception_interact(node, call, report):
    note("interact", node.nodeid, sorted(node.funcargs), call.when, report.outcome)

def pytest_assertrepr_compare(op, left, right):
    note("compare", op, left, right)

def pytest_assertion_pass(item, lineno, expl):
    note("pass", item.nodeid, sorted(item.funcargs), lineno, expl)

def pytest_warning_recorded(warning_message, when, nodeid):
    note("warning", when, nodeid, str(warning_message.message).split("Traceback")[0])
"""
REPORTS = """
def pytest_runtest_logreport(report):
    note("report", report.nodeid, report.location, report.when, report.outcome, sorted(report.keywords),
         report.sections, report.user_properties, getattr(report, "wasxfail", None), report.harness_outcome
         if hasattr(report, "harness_outcome") else None)
"""
STATUS = """
def pytest_report_teststatus(report):
    note("status", report.nodeid, report.when, report.outcome)
"""
SUMMARY = """
def pytest_terminal_summary(terminalreporter):
    for category, reports in terminalreporter.stats.items():
        note("category", category, [(one.nodeid, one.when) for one in reports if hasattr(one, "when")])
"""


@pytest.mark.parametrize(
    "more", ["", REPORTS, STATUS, SUMMARY], ids=["no reports", "logged", "status", "all"]
)
@pytest.mark.parametrize("epochs", ["1", "2"])
def test_other_plugins_see_the_same_of_both_ways(
    desk: Project, lanes: list[str], more: str, epochs: str
) -> None:
    desk.module(WATCHER + more, "suites/conftest.py")
    desk.pytester.makeini("[pytest]\nenable_assertion_pass_hook = true\n")
    given = ("--model=replay/good.jsonl", "--baseline=replay/base.jsonl", f"--epochs={epochs}")
    seen = []
    for lane in ((), (FULL,)):
        (desk.path / "seen").unlink(missing_ok=True)
        desk.results(*given, *lane)
        seen.append(_without_addresses((desk.path / "seen").read_text(encoding="utf-8")).splitlines())
    assert lanes
    for ours, theirs in zip(*seen, strict=False):
        assert ours == theirs
    assert len(seen[0]) == len(seen[1]) > 6 * 24


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
    "usefixtures": (
        "@pytest.mark.usefixtures('around')\n"
        "def test_it(case, response):\n    assert response.text == case.target\n"
        "@pytest.fixture\ndef around():\n    yield\n"
    ),
    "class": (
        "class TestIt:\n    def test_it(self, case, response):\n        assert response.text == case.target\n"
    ),
    "setup_module": (
        "def test_it(case, response):\n    assert response.text == case.target\n"
        "def setup_module():\n    pass\n"
    ),
    "marked module": (
        "def test_it(case, response):\n    assert response.text == case.target\n"
        "pytestmark = pytest.mark.skipif(False, reason='')\n"
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


OTHERS = {
    "item class": """
import pytest
class Own(pytest.Function):
    pass
@pytest.hookimpl(tryfirst=True)
def pytest_pycollect_makeitem(collector, name, obj):
    if name == "test_it":
        made = list(collector._genfunctions(name, obj))
        for item in made:
            item.__class__ = Own
        return made
""",
    "runtest": """
def pytest_collection_modifyitems(items):
    for item in items:
        item.runtest = type(item).runtest.__get__(item)
""",
    "function": """
import functools
def pytest_collection_modifyitems(items):
    for item in items:
        item.obj = functools.wraps(item.obj)(functools.partial(item.obj))
""",
    "fixture": """
import pytest
@pytest.fixture
def own():
    yield
def pytest_collection_modifyitems(items):
    items[0].fixturenames.insert(0, "own")
""",
    "mark": """
import pytest
def pytest_collection_modifyitems(items):
    for item in items:
        item.add_marker(pytest.mark.xfail(reason="all", strict=False))
""",
    "mark of a parent": """
import pytest
def pytest_runtest_logstart(nodeid):
    pass
def pytest_collection_modifyitems(items):
    items[0].parent.add_marker(pytest.mark.xfail(reason="all", strict=False))
""",
    "plugin of a fixture": """
import pytest
@pytest.fixture(autouse=True, scope="session")
def register(request):
    class Late:
        def pytest_runtest_setup(self, item):
            pass
    request.config.pluginmanager.register(Late())
""",
}


@pytest.mark.parametrize("name", OTHERS)
def test_what_a_plugin_makes_of_items_takes_the_full_protocol(
    sums_project: Project, lanes: list[str], name: str
) -> None:
    sums_project.module(MARKED + SIMPLE)
    sums_project.module(OTHERS[name], "suites/conftest.py")
    _, record = sums_project.results("--model=replay/good.jsonl", "suites/test_own.py")
    assert not lanes
    assert len(record["cases"]) == 60


def test_a_plugin_that_registers_late_is_not_passed_over(sums_project: Project, lanes: list[str]) -> None:
    sums_project.module(MARKED + SIMPLE)
    late = """
class Late:
    def pytest_runtest_call(self, item):
        pass
def pytest_runtest_logfinish(nodeid):
    if "[c9-" in nodeid:
        _config.pluginmanager.register(Late())
def pytest_configure(config):
    global _config
    _config = config
"""
    sums_project.module(late, "suites/conftest.py")
    sums_project.results("--model=replay/good.jsonl", "suites/test_own.py")
    assert [name.rpartition("[")[2] for name in lanes] == [f"c{i}-good]" for i in range(1, 10)]


def test_a_test_of_a_module_that_was_not_set_up_is_not_called(
    sums_project: Project, lanes: list[str]
) -> None:
    sums_project.module(MARKED + SIMPLE)
    broken = """
import pytest
def pytest_collection_modifyitems(items):
    def setup():
        raise RuntimeError("no")
    items[0].parent.setup = setup
"""
    sums_project.module(broken, "suites/conftest.py")
    code, record = sums_project.results("--model=replay/good.jsonl", "suites/test_own.py")
    assert not lanes
    assert {case["outcome"] for case in record["cases"]} == {"error"}
    assert code == 10


def test_what_a_thread_raised_between_tests_is_told_by_the_next_ones_set_up(
    sums_project: Project, lanes: list[str]
) -> None:
    sums_project.module(MARKED + SIMPLE)
    between = """
import threading
def pytest_runtest_logfinish(nodeid):
    if "[c9-" in nodeid:
        thread = threading.Thread(target=lambda: 1 / 0)
        thread.start()
        thread.join()
"""
    sums_project.module(between, "suites/conftest.py")
    _, record = sums_project.results("--model=replay/good.jsonl", "suites/test_own.py", "-Werror::Warning")
    assert [case["id"] for case in record["cases"] if case["outcome"] == "error"] == ["c10"]
    assert "c10-good" not in " ".join(lanes)
    assert len(lanes) == 57


@pytest.mark.parametrize("ending", ["raise KeyboardInterrupt", "pytest.exit('enough', returncode=2)"])
def test_an_interruption_ends_both_ways_alike(sums_project: Project, ending: str) -> None:
    sums_project.module(
        MARKED
        + "def test_it(case, response):\n    print('out of', case.id)\n"
        + f"    if case.id == 'c7':\n        {ending}\n    assert response.text == case.target\n"
    )
    path = sums_project.path / "results.json"
    ends = []
    for lane in ((), (FULL,)):
        given = ("--model=replay/good.jsonl", "suites/test_own.py", f"--harness-json={path}")
        done = sums_project.run_process(*given, *lane)
        record = json.loads(path.read_text(encoding="utf-8"))
        assert len(record["cases"]) == 7
        assert "out of" not in done.stdout.str() + done.stderr.str()
        ends.append((done.ret, record["cases"], record["conditions"]))
    assert ends[0] == ends[1]
    assert ends[0][0] == 2


@pytest.mark.parametrize("style", ["times", "count", "progress"])
def test_the_terminal_shows_the_same_progress(
    sums_project: Project, lanes: list[str], style: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    sums_project.module(MARKED + SIMPLE)
    given = ("--model=replay/good.jsonl", "suites/test_own.py", "-o", f"console_output_style={style}")
    shown = []
    for lane in ((), (FULL,)):
        done = sums_project.run(*given, *lane)
        shown.append(
            [re.sub(r"\d+(\.\d+)?m?s\b", "…", line) for line in done.outlines if ".py" in line or "…" in line]
        )
    assert lanes
    assert shown[0] == shown[1] != []


def test_what_was_not_passed_is_run_again(sums_project: Project, lanes: list[str]) -> None:
    sums_project.module(MARKED + SIMPLE)
    given = ("--model=replay/good.jsonl", "suites/test_own.py")
    again = []
    for lane in ((), (FULL,)):
        sums_project.run(*given, *lane)
        _, record = sums_project.results(*given, "--lf", *lane)
        again.append([case["id"] for case in record["cases"]])
    assert again == [["c0", "c20", "c40"]] * 2
    assert len(lanes) == 58 + 1


@pytest.mark.parametrize("hook", HOOKS, ids=lambda hook: hook.split("(")[0].removeprefix("def "))
def test_a_hook_of_somebody_else_is_not_passed_over(
    sums_project: Project, lanes: list[str], hook: str
) -> None:
    sums_project.module(MARKED + SIMPLE)
    sums_project.module(hook, "suites/conftest.py")
    sums_project.results("--model=replay/good.jsonl", "suites/test_own.py")
    assert not lanes


def test_fixtures_that_the_configuration_asks_for_are_set_up(sums_project: Project, lanes: list[str]) -> None:
    sums_project.module(MARKED + SIMPLE)
    sums_project.module("import pytest\n@pytest.fixture\ndef own():\n    yield\n", "suites/conftest.py")
    sums_project.pytester.makeini("[pytest]\nusefixtures = own\n")
    sums_project.results("--model=replay/good.jsonl", "suites/test_own.py")
    assert not lanes


@pytest.mark.parametrize("option", ["--setup-show", "--pdb", "--debug=trace.log", "-olog_cli=true", FULL])
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
