"""Options under both names, from ini and environment, beside other plugins that want the same names."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from .conftest import OTHERS_OFF, Project, right_except, sums

BASE = "--baseline=replay/base.jsonl"


def statuses(project: Project, *arguments: str) -> dict[str, str]:
    _, results = project.results(*arguments)
    return {verdict["checkpoint"]: verdict["status"] for verdict in results["verdicts"]}


def test_namespaced_aliases(sums_project: Project) -> None:
    found = statuses(sums_project, "--harness-model=replay/bad.jsonl", "--harness-baseline=replay/base.jsonl")
    assert found == {"replay/bad.jsonl": "REGRESSED"}


def test_ini_and_environment(sums_project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    ini = "[pytest]\nharness_model = replay/bad.jsonl\nharness_baseline = replay/base.jsonl\n"
    (sums_project.path / "tox.ini").write_text(ini)
    assert statuses(sums_project) == {"replay/bad.jsonl": "REGRESSED"}
    monkeypatch.setenv("HARNESS_MODEL", "replay/good.jsonl")
    assert statuses(sums_project) == {"replay/good.jsonl": "PASS"}
    assert statuses(sums_project, "--model=replay/base.jsonl") == {"replay/base.jsonl": "INCONCLUSIVE"}
    same = statuses(sums_project, "--model=replay/base.jsonl", "--allow-same")
    assert same == {"replay/base.jsonl": "PASS"}


def test_golden_and_suites_folders_from_ini(sums_project: Project) -> None:
    (sums_project.path / "golden").rename(sums_project.path / "sets")
    (sums_project.path / "suites").rename(sums_project.path / "gates")
    ini = "[pytest]\nharness_golden = sets\nharness_suites = gates\nharness_state = kept\n"
    (sums_project.path / "tox.ini").write_text(ini)
    assert sums_project.run("--model=replay/good.jsonl", BASE).ret == 0
    assert (sums_project.path / "kept" / "runs").is_dir()
    assert not (sums_project.path / ".harness").exists()


def test_without_a_path_the_suites_run_and_not_testpaths(sums_project: Project) -> None:
    (sums_project.path / "tox.ini").write_text("[pytest]\ntestpaths = tests\n")
    sums_project.module("def test_unit():\n    assert False\n", "tests/test_unit.py")
    assert sums_project.run("--model=replay/good.jsonl", BASE).ret == 0
    assert sums_project.run().ret == 1


def test_no_suites_folder_is_said(project: Project) -> None:
    project.outputs("base", {"c0": "1"})
    done = project.run("--model=replay/base.jsonl")
    assert done.ret == 4
    done.stderr.fnmatch_lines(["ERROR: no suites/ under*--pyargs harness.suites"])


@pytest.mark.parametrize("where", ["conftest", "plugin"])
def test_a_clash_leaves_the_short_name_to_the_other(sums_project: Project, where: str) -> None:
    other = "def pytest_addoption(parser):\n    parser.addoption('--model', default='theirs')\n"
    test = "def test_theirs(request):\n    assert request.config.getoption('model') == 'mine'\n"
    sums_project.module(test, "tests/test_theirs.py")
    if where == "conftest":
        sums_project.module(other, "conftest.py")
        early: list[str] = []
    else:
        sums_project.module(other, "theirs.py")
        sums_project.pytester.syspathinsert()
        early = ["-p", "theirs"]
    assert sums_project.run(*early, "tests", "--model=mine").ret == 0
    assert sums_project.run(*early, "--harness-model=replay/bad.jsonl", BASE).ret == 1


def test_conflicts_between_others_stay_errors(project: Project) -> None:
    project.module(
        "def pytest_addoption(parser):\n    parser.addoption('--maxfail', dest='other')\n", "conftest.py"
    )
    done = project.run()
    assert "maxfail" in done.stderr.str() + done.stdout.str()
    assert done.ret not in (0, 5)


def test_limit_is_partial_and_never_passes(sums_project: Project) -> None:
    code, results = sums_project.results("--model=replay/good.jsonl", BASE, "--limit=20")
    assert code == 10
    assert results["partial"] is True
    assert results["verdicts"][0]["partial"] is True
    assert results["verdicts"][0]["n"] == 20
    assert sums_project.run("--model=replay/bad.jsonl", BASE, "--limit=40").ret == 1


def test_limit_beyond_the_set_is_not_partial(sums_project: Project) -> None:
    assert sums_project.run("--model=replay/good.jsonl", BASE, "--limit=60").ret == 0


@pytest.mark.parametrize("workers", [(), ("-n2",)], ids=["alone", "workers"])
def test_no_cache_keeps_no_answers(
    sums_project: Project, workers: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    scratch = sums_project.path / "scratch"
    scratch.mkdir()
    monkeypatch.setenv("TMPDIR", str(scratch))
    assert sums_project.run_process("--model=replay/good.jsonl", BASE, "--no-cache", *workers).ret == 0
    assert not (sums_project.path / ".harness" / "cache.sqlite").exists()
    assert not list(scratch.glob("harness-*"))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["ctrl-C", "SIGTERM"])
@pytest.mark.parametrize("during", ["put_many", "close"], ids=["filling", "closing"])
def test_no_cache_keeps_no_answers_of_a_session_that_is_interrupted(
    sums_project: Project, during: str, number: signal.Signals
) -> None:
    scratch = sums_project.path / "scratch"
    scratch.mkdir()
    sums_project.module(
        f"""
import pathlib
import time
from harness.engine.cache import ResponseCache

known = ResponseCache.{during}

def slow(self, *arguments):
    known(self, *arguments)
    pathlib.Path("reached").touch()
    time.sleep(30)

ResponseCache.{during} = slow
""",
        "conftest.py",
    )
    running = subprocess.Popen(
        [sys.executable, "-m", "pytest", *OTHERS_OFF, "--model=replay/good.jsonl", BASE, "--no-cache"],
        cwd=sums_project.path,
        env={**os.environ, "TMPDIR": str(scratch)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 60
    while not (sums_project.path / "reached").exists():
        assert running.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert list(scratch.glob("harness-*/cache.sqlite"))
    running.send_signal(number)
    assert running.wait(timeout=20) != 0
    assert not list(scratch.glob("harness-*"))


def test_temperature_and_max_tokens_reach_the_request(project: Project) -> None:
    project.golden("sums", sums(2))
    project.module(
        """
import pytest

@pytest.mark.suite("sums")
def test_sums(checkpoint, response):
    sampling = checkpoint._sampling
    assert (sampling.temperature, sampling.max_tokens, sampling.seed) == (0.5, 7, 3)
"""
    )
    model = project.outputs("base", right_except(lambda i: False, 2))
    _, results = project.results(
        f"--model={model}", f"--baseline={model}", "--temperature=0.5", "--max-tokens=7", "--seed=3"
    )
    assert {case["outcome"] for case in results["cases"]} == {"passed"}


USAGE = {
    "empty model": (["--model="], "--model is empty"),
    "model twice": (["--model=replay/good.jsonl,replay/good.jsonl"], "twice"),
    "unknown backend": (["--model=nowhere/model"], "no checkpoint 'nowhere/model'*backends: anthropic, hf"),
    "missing checkpoint": (["--model=checkpoint-9"], "no checkpoint 'checkpoint-9'"),
    "missing recording": (["--model=replay/gone.jsonl"], "gone.jsonl"),
    "missing baseline": (["--model=replay/good.jsonl", "--baseline=base"], "no checkpoint 'base'"),
    "missing stored run": (["--model=replay/good.jsonl", "--baseline=run:main"], "--baseline=run:main"),
    "baseline alone": (["--baseline=replay/base.jsonl"], "--baseline is given without --model"),
    "unknown argument": (["--model=replay/good.jsonl", "-M", "devise=cpu"], "-M devise"),
    "argument without value": (["--model=replay/good.jsonl", "-M", "device"], "expected KEY=VALUE"),
    "limit zero": (["--model=replay/good.jsonl", "--limit=0"], "at least 1"),
    "epochs zero": (["--model=replay/good.jsonl", "--epochs=0"], "at least 1"),
    "temperature": (["--model=replay/good.jsonl", "--temperature=hot"], "not a number"),
}


@pytest.mark.parametrize("fault", USAGE)
def test_wrong_usage_is_one_line_and_exit_4_and_nothing_written(sums_project: Project, fault: str) -> None:
    arguments, message = USAGE[fault]
    done = sums_project.run(*arguments)
    assert done.ret == 4
    said = [line for line in done.stderr.lines if line.strip() and "usage: pytest" not in line]
    assert [line for line in said if not line.startswith("  ")] == said[:1]
    done.stderr.fnmatch_lines([f"*{message}*"])
    assert not (sums_project.path / ".harness").exists()
    assert "Traceback" not in done.stdout.str() + done.stderr.str()


SETS = {
    "not JSON": ('{"id": "a", "input": "x", "target": "y"}\n{"id": \n', "cases.jsonl:2: not JSON"),
    "duplicate ids": ('{"id": "a", "input": "x", "target": "y"}\n' * 2, "cases.jsonl:2:*'a'*line 1"),
    "empty": ("", "cases.jsonl*holds no case*"),
}


@pytest.mark.parametrize("fault", SETS)
@pytest.mark.parametrize("workers", [(), ("-n2",)], ids=["alone", "workers"])
def test_a_malformed_golden_set_is_exit_4(project: Project, fault: str, workers: tuple[str, ...]) -> None:
    text, message = SETS[fault]
    project.golden("sums", sums(2))
    project.suite("sums")
    (project.path / "golden" / "sums" / "v1" / "cases.jsonl").write_text(text)
    model = project.outputs("base", {"c0": "1"})
    done = project.run_process(f"--model={model}", *workers)
    assert done.ret == 4
    (done.stdout if workers else done.stderr).fnmatch_lines([f"ERROR: *{message}*"])
    assert not (project.path / ".harness" / "runs").exists()


def test_an_edited_locked_set_is_exit_4(sums_project: Project) -> None:
    folder = sums_project.path / "golden" / "sums" / "v1"
    manifest = (
        '{"schema_version": 1, "name": "sums", "version": 1, "cases": 60, "sha256": "' + "0" * 64 + '"}'
    )
    (folder / "manifest.json").write_text(manifest)
    done = sums_project.run("--model=replay/good.jsonl", BASE)
    assert done.ret == 4
    done.stderr.fnmatch_lines(["ERROR: *harness golden release sums*"])


@pytest.mark.parametrize(
    ("marker", "message"),
    [
        ('"sums", gates=1', "has no argument 'gates' (did you mean 'gate'?)"),
        ('"sums", gate="strict"', "gate must be a harness.Gate, not str"),
        ("", "takes one golden set name"),
        ('"summs"', "did you mean 'sums'"),
        ('"sums", gate=harness.Gate(margin=2, policy="lax")', "margin must be a number in [0, 1)"),
        ('"sums", gate=harness.Gate(magrin=0.1)', "gate: unknown argument 'magrin' (did you mean 'margin'?)"),
    ],
)
def test_wrong_marker_arguments_are_exit_4(sums_project: Project, marker: str, message: str) -> None:
    sums_project.module(
        f"import harness\nimport pytest\n\n@pytest.mark.suite({marker})\ndef test_it(case):\n    pass\n",
        "suites/test_sums.py",
    )
    done = sums_project.run("--model=replay/good.jsonl", BASE)
    assert done.ret == 4
    assert message in done.stderr.str()
    assert not (sums_project.path / ".harness").exists()


def test_one_suite_described_twice_is_refused(sums_project: Project) -> None:
    sums_project.suite("sums", "gate=harness.Gate(margin=0.5)", name="again")
    done = sums_project.run("--model=replay/good.jsonl", BASE)
    assert done.ret == 4
    assert "describe the suite 'sums' differently" in done.stderr.str()


def test_a_module_that_does_not_import_runs_nothing_and_writes_nothing(sums_project: Project) -> None:
    sums_project.module("import nowhere_to_be_found\n", "suites/test_broken.py")
    assert sums_project.run("--model=replay/good.jsonl", BASE).ret == 2
    assert not (sums_project.path / ".harness" / "runs").exists()
