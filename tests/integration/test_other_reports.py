"""Plugins that report and repeat tests: a miss is no pass there, and a repetition is answered with a way."""

from __future__ import annotations

import html
import json
import re
from collections import Counter

import pytest

from .conftest import Project

BAD, BASE = "--model=replay/bad.jsonl", "--baseline=replay/base.jsonl"


def test_a_miss_is_no_pass_in_pytest_html(sums_project: Project) -> None:
    pytest.importorskip("pytest_html")
    sums_project.run_process(BAD, BASE, "--html=report.html", "--self-contained-html")
    page = (sums_project.path / "report.html").read_text(encoding="utf-8")
    data = re.search(r'data-jsonblob="([^"]*)"', page)
    assert data is not None
    tests = json.loads(html.unescape(data.group(1)))["tests"].values()
    assert Counter(test["result"] for rows in tests for test in rows) == {"Passed": 30, "Missed": 30}


def test_a_repetition_is_answered_with_epochs(sums_project: Project) -> None:
    pytest.importorskip("pytest_repeat")
    done = sums_project.run_process(BAD, BASE, "--count=2")
    assert done.ret == 4
    done.stderr.fnmatch_lines(["*several samples of every case are --epochs=K*"])


@pytest.mark.parametrize("outcome", ["missed", "invalid"])
def test_a_miss_is_said_in_its_row_and_escaped(outcome: str) -> None:
    from types import SimpleNamespace

    from harness.plugins.hooks import Activity

    report = SimpleNamespace(
        when="call", passed=True, harness_outcome=outcome, user_properties=[("output", "<img src=x>")]
    )
    cells = ['<td class="col-result">Passed</td>', "<td>test</td>"]
    Activity.pytest_html_results_table_row(SimpleNamespace(), report, cells)  # type: ignore[arg-type]  # no session is asked
    assert cells == [f'<td class="col-result">{outcome.capitalize()}</td>', "<td>test</td>"]
    data = ["No log output captured."]
    Activity.pytest_html_results_table_html(SimpleNamespace(), report, data)  # type: ignore[arg-type]  # as above
    assert "output: &lt;img src=x&gt;" in "".join(data)
    passed = SimpleNamespace(when="call", passed=True, user_properties=[])
    Activity.pytest_html_results_table_row(SimpleNamespace(), passed, cells)  # type: ignore[arg-type]  # as above
    assert len(cells) == 2
