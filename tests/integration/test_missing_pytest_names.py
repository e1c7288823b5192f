"""Without a private name of pytest: the same verdicts with a warning, or a refusal that names it."""

from __future__ import annotations

from typing import Any

import pytest
from hidden_names import hidden

from harness.plugins import pytest_internals
from harness.upstream.private_name import PrivateName

from .conftest import Project, right_except, sums

SUITE = """
import logging
import pytest
import harness

@pytest.fixture
def reply(response):
    return response.text

@pytest.mark.suite("sums", name="checks")
def test_checks(case, response, record_score):
    print("asked", case.id)
    logging.getLogger("own").warning("logged %s", case.id)
    harness.check(case, response)

class TestOwn:
    @pytest.mark.suite("sums", name="fixtures")
    def test_fixtures(self, case, reply):
        assert reply == case.target
"""
GIVEN = ("--model=replay/good.jsonl", "--baseline=replay/base.jsonl")


@pytest.fixture
def desk(project: Project) -> Project:
    project.golden("sums", sums(8))
    project.module(SUITE)
    project.outputs("base", right_except(lambda i: i in (1, 4), 8))
    project.outputs("good", right_except(lambda i: i == 1, 8))
    return project


def judged(project: Project, *arguments: str) -> tuple[pytest.RunResult, dict[str, Any]]:
    """Run the suites; return what pytest said and the verdicts and cases of the record."""
    done, record = project.recorded(*GIVEN, *arguments)
    return done, {part: record.get(part) for part in ("verdicts", "slices", "cases", "exit_code")}


@pytest.fixture
def whole(desk: Project) -> dict[str, Any]:
    """What this pytest, which has all names, says of the suites."""
    done, record = judged(desk)
    assert "warning: pytest" not in done.stdout.str()
    assert record["verdicts"]
    return record


@pytest.mark.parametrize("name", pytest_internals.NAMES, ids=str)
def test_without_a_name_of_pytest(desk: Project, whole: dict[str, Any], name: PrivateName) -> None:
    with hidden(name):
        done, record = judged(desk)
    shown = done.stdout.str() + done.stderr.str()
    assert "INTERNALERROR" not in shown
    assert f"has no {name}" in shown
    if name.guards:
        assert int(done.ret) == 4
        assert not record["verdicts"]
        assert "Traceback" not in shown
    else:
        assert record == whole
        assert int(done.ret) == whole["exit_code"]
        assert f"has no {name}: {name.without}" in shown
