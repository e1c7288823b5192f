from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from case_results import case_result, stored_record
from hypothesis import given, settings
from hypothesis import strategies as st
from test_record import validated

from harness.case_result import CaseResult, Role
from harness.cases import Case, Message, Outcome, Response
from harness.errors import ConfigurationError
from harness.gate.classification import classify
from harness.report import html, markdown
from harness.report.classes import classification_lines
from harness.runs.record import RunRecord
from harness.scoring import score
from harness.scoring.checks.label_check import find_label, labels_of
from harness.scoring.registry import compile_checks
from harness.stats.classification import rate_intervals

LABELS = ["refund", "delivery", "other"]
Pair = tuple[str, "str | None"]


def results(pairs: Sequence[Pair], role: Role = Role.CANDIDATE, **fields: Any) -> list[CaseResult]:
    return [
        case_result(f"c{i:03}", float(gold == given), role=role, label=gold, labels=(given,), **fields)
        for i, (gold, given) in enumerate(pairs)
    ]


# --- the check -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "options", "found"),
    [
        (" Refund.", {}, "refund"),
        ('"refund"', {}, "refund"),
        ("It is a refund", {"mention": True}, "refund"),
        ("Not a refund but delivery", {"mention": True}, "delivery"),
        ("Reasoning…\nLABEL:  **Other**\nBye", {"after": "label:"}, "other"),
        ("Label:\n\nother", {"after": "Label:"}, "other"),
        ("Große Straße, İzmir.\nLABEL: other", {"after": "Label:"}, "other"),
        ("`refund`", {}, "refund"),
        ("Label: `other`", {"after": "Label:"}, "other"),
    ],
)
def test_the_label_is_read(text: str, options: dict[str, Any], found: str) -> None:
    assert find_label(text, LABELS, **options) == found


@pytest.mark.parametrize(
    ("text", "options"),
    [
        ("refunds", {}), ("refund delivery", {}), ("It is a refund", {}), ("complaint", {}), ("", {}),
        ("refund or delivery", {"mention": True}), ("not a refund", {"mention": True}),
        ("refund", {"after": "Label:"}), ("Label: perhaps other", {"after": "Label:"}), ("\ud800", {}),
    ],
)  # fmt: skip
def test_no_label_or_two_are_invalid(text: str, options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"label|after|answer"):
        find_label(text, LABELS, **options)
    check = {"type": "label", "value": "refund", "labels": LABELS, **options}
    if text:
        assert score(case(check), Response(text)).outcome is Outcome.INVALID
    assert labels_of(case(check), [Response(text), Response("x")]) == ("refund", (None, None))


def case(*checks: dict[str, Any], target: Any = None) -> Case:
    return Case("c", (Message("user", "?"),), target=target, checks=checks)


def test_a_label_that_may_go_on_is_not_known() -> None:
    asked = case({"type": "label", "labels": ["not", "not spam", "spam"]}, target="spam")
    cut = [Response(text, finish_reason="length") for text in ("not", "spam")]
    assert [score(asked, answer).outcome for answer in cut] == [Outcome.INVALID, Outcome.PASSED]
    assert labels_of(asked, cut) == ("spam", (None, "spam"))


def test_a_case_without_the_check_or_with_two_has_no_label() -> None:
    check = {"type": "label", "value": "refund", "labels": LABELS}
    assert labels_of(case(target="refund"), [Response("refund")]) is None
    assert labels_of(case(check, check), [Response("refund")]) is None
    assert labels_of(case(check), []) is None


@pytest.mark.parametrize(
    ("check", "problem"),
    [
        ({"value": "spam", "labels": LABELS}, "none of the labels"),
        ({"value": "A", "labels": ["A", "a"]}, "there twice"),
        ({"value": "!", "labels": ["!", "a"]}, "nothing but punctuation"),
        ({"value": "a", "labels": ["a"]}, "at least 2 items"),
    ],
)
def test_wrong_labels_are_refused(check: dict[str, Any], problem: str) -> None:
    with pytest.raises(ConfigurationError, match=problem):
        compile_checks(case({"type": "label", **check}))


# --- the rates -------------------------------------------------------------------------------------------

PAIRS = st.lists(
    st.tuples(st.sampled_from("abc"), st.sampled_from(["a", "b", "c", None])), min_size=1, max_size=30
)


@settings(deadline=None, max_examples=60)
@given(PAIRS)
def test_the_rates_are_those_of_scikit_learn(pairs: list[Pair]) -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    found = classify(results(pairs))
    assert found is not None
    gold, given_labels = [g for g, _ in pairs], [p or "none" for _, p in pairs]
    options: dict[str, Any] = {"labels": list(found.labels), "zero_division": 0}
    each = metrics.precision_recall_fscore_support(gold, given_labels, **options)
    for index, one in enumerate(found.classes):
        rates = (one.precision.value, one.recall.value, one.f1.value, one.support)
        assert rates == pytest.approx(tuple(column[index] for column in each))
    for mean in ("macro", "micro"):
        expected = metrics.precision_recall_fscore_support(gold, given_labels, average=mean, **options)
        rates = tuple(found.rates[f"{mean}_{name}"].value for name in ("precision", "recall", "f1"))
        assert rates == pytest.approx(expected[:3])
    assert found.rates["accuracy"].value == pytest.approx(metrics.accuracy_score(gold, given_labels))
    table = metrics.confusion_matrix(gold, given_labels, labels=[*found.labels, "none"])
    assert [list(row) for row in found.table] == table[:-1].tolist()
    for rate in found.rates.values():
        assert rate.interval is None or 0 <= rate.interval[0] <= rate.value <= rate.interval[1] <= 1


def test_the_interval_of_the_accuracy_covers_the_truth_as_often_as_it_says() -> None:
    rng, hits = np.random.default_rng(1), 0
    for _ in range(200):
        right = rng.random(120) < 0.8
        tables = np.zeros((120, 2, 3))
        gold = np.arange(120) % 2
        tables[np.arange(120), gold, np.where(right, gold, 1 - gold)] = 1
        low, high = rate_intervals(tables, seed=3)[0][0].interval or (0, 0)
        hits += low <= 0.8 <= high
    assert 182 <= hits <= 198  # of 200 at 95 %: percentile intervals run a little short


def test_all_right_is_no_certainty() -> None:
    found = classify(results([("a", "a")] * 10 + [("b", "b")] * 5))
    assert found is not None
    low, high = found.rates["accuracy"].interval or (0, 0)
    assert (round(low, 3), high) == (0.782, 1.0)  # Clopper–Pearson, 15 of 15
    assert found.classes[1].f1.interval is not None
    assert found.classes[1].f1.interval[0] == pytest.approx(0.478, abs=1e-3)  # 5 of 5


def test_dependent_answers_widen_the_interval() -> None:
    pairs: list[Pair] = [("a", "a"), ("b", "a")] * 40
    alone = classify(results(pairs))
    grouped = classify([
        case_result(f"c{i}", float(g == p), label=g, labels=(p,), cluster=f"k{i // 20}{i % 2}")
        for i, (g, p) in enumerate(pairs)
    ])  # fmt: skip
    assert alone is not None
    assert grouped is not None

    def width(found: Any) -> float:
        low, high = found.rates["accuracy"].interval
        return float(high - low)

    assert width(grouped) > 1.5 * width(alone)


def test_one_cluster_has_no_interval() -> None:
    found = classify(results([("a", "a"), ("b", "a")], cluster="k"))
    assert found is not None
    assert found.rates["accuracy"].interval is None


def test_errors_count_nowhere_and_invalid_answers_as_wrong() -> None:
    pairs: list[Pair] = [("a", "a"), ("a", None), ("b", "b")]
    lost = case_result("lost", None, label="b", labels=())
    found = classify([*results(pairs), lost, case_result("plain", 1.0)])
    assert found is not None
    assert (found.n, found.invalid, found.undecided) == (3, 1, 1)
    assert found.rates["accuracy"].value == pytest.approx(2 / 3)
    assert classify([case_result("plain", 1.0)]) is None
    assert classify([lost]) is None


def test_each_sample_is_an_answer() -> None:
    one = case_result("c", 0.5, label="a", labels=("a", "b"), samples=(1.0, 0.0))
    found = classify([one])
    assert found is not None
    assert (found.n, found.table) == (2, ((1, 1, 0), (0, 0, 0)))


# --- the reports -----------------------------------------------------------------------------------------


def record() -> RunRecord:
    ours: list[Pair] = (
        [("refund", "refund")] * 20 + [("<b>x|y</b>", "refund")] * 6 + [("<b>x|y</b>", None)] * 2
    )
    theirs: list[Pair] = [(gold, gold) for gold, _ in ours]
    return stored_record(results(ours), results(theirs, Role.BASELINE))


def test_the_record_holds_the_classifications_of_both_sides() -> None:
    data = validated(record())
    assert [one["role"] for one in data["classifications"]] == ["candidate", "baseline"]
    assert data["classifications"][0]["table"] == [[0, 6, 2], [0, 20, 0]]
    back = RunRecord.from_json(json.dumps(data))
    assert back.classifications == record().classifications


def test_the_terminal_says_it_in_a_line() -> None:
    (line,) = classification_lines(record())
    assert line.startswith("refunds × checkpoint-300: accuracy 71.4 [")
    assert "(baseline 100.0)" in line
    assert line.endswith("n = 28, 2 without a label of the set, weakest: <b>x|y</b> (F1 0.0)")


def test_reports_show_classes_and_escape_their_names() -> None:
    text = markdown.render_markdown(record())
    assert "### Classes of refunds × checkpoint-300" in text
    assert "| refund | 20 | 76.9 [" in text
    assert "<b>" not in text
    assert "| is \\ given |" in text
    page = html.render_page(record())
    assert "<b>x|y</b>" not in page
    assert "&lt;b&gt;x|y&lt;/b&gt;" in page
    assert "2 answers gave no label of the set" in page


def test_a_suite_without_labels_shows_nothing_of_it() -> None:
    plain = stored_record([case_result("a", 1.0)], [case_result("a", 1.0, role=Role.BASELINE)])
    assert plain.classifications == ()
    assert classification_lines(plain) == []
    assert "Classes of" not in markdown.render_markdown(plain) + html.render_page(plain)
