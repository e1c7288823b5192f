"""Checks of likelihoods, and backends that cannot give them."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from loopback import LoopbackLLM
from tiny_models import save_model

import harness
from harness.cases import Case, Message, Outcome, Request, Response, Score
from harness.engine.cache import ResponseCache
from harness.engine.fill import fill
from harness.engine.plan import Plan
from harness.errors import ScoringError
from harness.golden_sets.case_row import case_problems, parse_case
from harness.likelihood import Continuation, Likelihood
from harness.protocols import Backend, Checkpoint
from harness.scoring import score
from harness.scoring.selftest import case_faults


def case(*texts: str, target: Any = None, **check: Any) -> Case:
    return Case(
        "c1",
        (Message("user", "?"),),
        target=target,
        checks=({**check},) if check else (),
        continuations=tuple(map(Continuation, texts)),
    )


def response(*logprobs: float, tokens: Sequence[int] = (), greedy: bool = False, text: str = "x") -> Response:
    counts = tokens or [1] * len(logprobs)
    found = tuple(Likelihood(one, count, greedy) for one, count in zip(logprobs, counts, strict=True))
    return Response(text, likelihoods=found)


@pytest.mark.parametrize(
    ("target", "logprobs", "outcome"),
    [
        (1, (-3.0, -2.0, -4.0), Outcome.PASSED),
        ("no", (-3.0, -2.0, -4.0), Outcome.PASSED),
        (" no", (-3.0, -2.0, -4.0), Outcome.PASSED),
        (0, (-3.0, -2.0, -4.0), Outcome.MISSED),
        ([0, 2], (-3.0, -2.0, -1.0), Outcome.PASSED),
        (["yes", "maybe"], (-3.0, -2.0, -4.0), Outcome.MISSED),
        (0, (-2.0, -2.0, -4.0), Outcome.PASSED),  # the first of equals, as argmax says
        (1, (-2.0, -2.0, -4.0), Outcome.MISSED),
    ],
)
def test_the_likeliest_choice_is_the_answer(
    target: Any, logprobs: tuple[float, ...], outcome: Outcome
) -> None:
    found = score(case(" yes", " no", " maybe", target=target), response(*logprobs))
    assert found.outcome is outcome
    assert found.value == (1.0 if outcome is Outcome.PASSED else 0.0)
    assert found.answer == ("yes", "no", "maybe")[logprobs.index(max(logprobs))]


def test_the_explanation_says_by_how_much() -> None:
    found = score(case(" yes", " no", target=1), response(-1.0, -3.5))
    assert found.explanation == "choice: chose 'yes' over 'no', behind by 2.5 nats"
    assert "ahead by 2.5 nats" in str(score(case(" yes", " no", target=0), response(-1.0, -3.5)).explanation)


@pytest.mark.parametrize(
    ("normalize", "chosen"), [("none", 0), ("tokens", 1), ("characters", 2), ("bytes", 3)]
)
def test_lengths_that_log_likelihoods_are_divided_by(normalize: str, chosen: int) -> None:
    texts = (" a", " bb", " cccccccccc", " ééééééé")  # 1, 2, 10 and 7 characters; 1, 2, 10 and 14 bytes
    logprobs, tokens = (-5.0, -6.0, -10.0, -10.5), (1, 8, 4, 4)
    for index in range(4):
        asked = case(*texts, type="choice", target=index, normalize=normalize)
        outcome = score(asked, response(*logprobs, tokens=tokens)).outcome
        assert (outcome is Outcome.PASSED) is (index == chosen)


@given(
    st.lists(st.tuples(st.text("abé", min_size=1, max_size=6), st.floats(-50, -0.01)), min_size=2, max_size=5)
)
def test_accuracy_is_that_of_lm_eval(drawn: list[tuple[str, float]]) -> None:
    import numpy as np

    texts, logprobs = [text for text, _ in drawn], np.array([value for _, value in drawn])
    lengths = {  # api/task.py of lm-eval 0.4.13: acc, acc_norm, acc_bytes
        "none": np.ones(len(texts)),
        "characters": np.array([float(len(text)) for text in texts]),
        "bytes": np.array([float(len(text.encode())) for text in texts]),
    }
    for normalize, length in lengths.items():
        right = int(np.argmax(logprobs / length))
        for index in range(len(texts)):
            asked = case(*(f" {text}" for text in texts), type="choice", target=index, normalize=normalize)
            found = score(asked, response(*logprobs.tolist()))
            assert (found.outcome is Outcome.PASSED) is (index == right)


@pytest.mark.parametrize(
    ("text", "outcome"),
    [("no", Outcome.PASSED), (" no\n", Outcome.PASSED), ("yes", Outcome.MISSED), ("nope", Outcome.INVALID)],
)
def test_an_answer_without_likelihoods_is_compared_as_text(text: str, outcome: Outcome) -> None:
    for target in (1, "no"):
        assert score(case(" yes", " no", target=target), Response(text)).outcome is outcome


def test_a_blank_may_be_the_likeliest() -> None:
    asked = Case(
        "c1",
        (Message("user", "?"),),
        target=0,
        continuations=(Continuation("\n"), Continuation(" more")),
    )
    assert score(asked, response(-1.0, -2.0, text="\n")).outcome is Outcome.PASSED


def test_what_cannot_be_scored_is_an_error() -> None:
    for asked, given_response in [
        (case(" yes", " no", target=0), response(-1.0)),  # one likelihood for two
        (case(" yes", " no", type="choice", target=2), response(-1.0, -2.0)),
        (case(" yes", " no", type="choice", target="maybe"), response(-1.0, -2.0)),
        (case(" yes", " no", type="perplexity"), response(-1.0, -2.0)),
        (case(" yes", type="perplexity"), Response(" yes")),
        (case(" yes", type="exact_greedy"), Response(" yes")),  # the text asked for comes back in any case
    ]:
        with pytest.raises(ScoringError):
            score(asked, given_response)


def test_perplexity_is_graded() -> None:
    found = score(case("café no"), response(-8.0, tokens=(4,)))
    assert found.outcome is Outcome.PASSED
    assert found.value == pytest.approx(math.exp(-2.0))
    assert found.explanation == "perplexity 7.389 per token, 1.443 bits per byte"  # 8 bytes
    per_byte = score(case("café no", type="perplexity", per="byte"), response(-8.0, tokens=(4,)))
    assert per_byte.value == pytest.approx(math.exp(-1.0))
    bounded = case("café no", type="perplexity", max=7.0)
    missed = score(bounded, response(-8.0, tokens=(4,)))
    assert (missed.outcome, missed.value) == (Outcome.MISSED, pytest.approx(math.exp(-2.0)))
    assert "at most 7 is allowed" in str(missed.explanation)
    assert score(bounded, response(-7.7, tokens=(4,))).outcome is Outcome.PASSED


def test_exact_greedy() -> None:
    asked = case(" whole", type="exact_greedy")
    assert score(asked, response(-0.1, greedy=True)) == Score.passed(
        " whole", "mean probability of a token 0.905"
    )
    assert score(asked, response(-0.1, greedy=False)).outcome is Outcome.MISSED


# --- golden sets ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ({"choices": ["a", "b"], "target": 2}, "no index of 2 choices"),
        ({"choices": ["a", "b"], "target": "c"}, "the text of 0 choices"),
        ({"choices": ["a", "b"], "target": True}, "neither the index nor the text"),
        ({"choices": ["a", "b"], "target": []}, "names no choice"),
        ({"choices": [" a", "a"], "target": "a"}, "the text of 2 choices"),
        ({"choices": ["a", "b"], "checks": [{"type": "choice", "target": 5}]}, "no index of 2 choices"),
        ({"choices": ["a", "b"], "target": 0, "checks": [{"type": "choice", "normalize": "words"}]}, "words"),
        ({"continuation": "a", "checks": [{"type": "perplexity", "max": 1}]}, "1"),
    ],
)
def test_a_row_whose_target_is_no_choice_is_refused(row: dict[str, Any], problem: str) -> None:
    assert problem in " ".join(case_problems({"id": "c1", "input": "?", **row}))


def test_accepts_and_rejects_hold_a_choice_to_its_target() -> None:
    row = {"id": "c1", "input": "Capital of Peru?", "choices": [" Lima", " Quito"], "target": 0}
    assert case_problems(row) == []
    assert case_faults(parse_case({**row, "accepts": ["Lima"], "rejects": ["Quito", "Bogota"]})) == []
    assert case_faults(parse_case({**row, "target": 1, "accepts": ["Lima"], "rejects": ["Quito"]})) == [
        "accepts[0] is missed: choice: expected 'Quito', found 'Lima'",
        "rejects[0] passes: 'Quito'",
    ]


def test_the_rows_of_the_guide_are_cases() -> None:
    guide = (Path(__file__).parents[1] / "docs" / "golden-sets.md").read_text(encoding="utf-8")
    rows = [json.loads(line) for line in guide.splitlines() if line.startswith('{"id"')]
    assert sum("choices" in row or "continuation" in row for row in rows) == 4
    assert [case_problems(row) for row in rows] == [[]] * len(rows)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "golden" / "colours" / "v1"
    folder.mkdir(parents=True)
    rows: list[dict[str, Any]] = [
        {"id": f"c{i}", "input": f"the {a} box is", "choices": [" red", " blue", " seven"], "target": i % 3}
        for i, a in enumerate(("red", "blue", "item", "order", "refund", "the"))
    ]
    rows[1]["raw"] = True
    (folder / "cases.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    save_model(tmp_path / "base")
    return tmp_path


@pytest.mark.needs("torch")
def test_a_golden_set_of_choices_from_end_to_end(project: Path) -> None:
    floor = harness.Gate(policy="absolute", min_score=0.01)
    verdict = harness.evaluate("base", "colours", gate=floor, root=project)
    assert (verdict.n, verdict.errors, verdict.invalid) == (6, 0, 0)
    rows = [{"id": f"c{i}", "output": ("red", "blue", "seven")[i % 3]} for i in range(6)]
    (project / "right.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert harness.evaluate("replay/right.jsonl", "colours", gate=floor, root=project).mean == 1.0


@pytest.mark.needs("torch")
def test_a_server_that_says_no_likelihoods_gives_errors_and_no_scores(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with LoopbackLLM() as server:
        monkeypatch.setenv("OPENAI_API_KEY", server.key)
        monkeypatch.setenv("OPENAI_BASE_URL", server.openai_url)
        verdict = harness.evaluate("openai/gpt-x", "colours", root=project)
        assert (verdict.errors, verdict.status) == (6, harness.Status.INCONCLUSIVE)
        assert {question.provider for question in server.questions} <= {"completions"}


class Claiming:
    """A backend that says that it computes likelihoods, and gives what it was told to."""

    LIKELIHOODS = True

    def __init__(self, *likelihoods: Likelihood) -> None:
        self.likelihoods = likelihoods

    def generate(self, checkpoint: Checkpoint, requests: Sequence[Request]) -> Iterator[tuple[int, Response]]:
        for index in range(len(requests)):
            yield index, Response("a", likelihoods=self.likelihoods)


class Silent(Claiming):
    LIKELIHOODS = False


@pytest.mark.parametrize(
    ("backend", "detail"),
    [
        (Claiming(), "0 likelihoods for 2 texts"),
        (Claiming(Likelihood(-1.0, 1, False)), "1 likelihoods for 2 texts"),
        (Claiming(Likelihood(-1.0, 1, False), Likelihood(math.nan, 1, False)), "no likelihood"),
        (Claiming(Likelihood(-1.0, 1, False), Likelihood(0.5, 1, False)), "no likelihood"),
        (Claiming(Likelihood(-1.0, 1, False), Likelihood(-math.inf, 1, False)), "no likelihood"),
        (Silent(), "backend fake cannot give likelihoods"),
        (Claiming(Likelihood(-1.0, 1, False), Likelihood(-2.0, 1, False)), None),
    ],
)
def test_likelihoods_that_are_none_end_in_an_error(
    tmp_path: Path, backend: Backend, detail: str | None
) -> None:
    checkpoint = Checkpoint("fake", "fake", "fake", "", "0" * 64)
    plan = Plan()
    key = plan.add(checkpoint, Request((), continuations=(Continuation("a"), Continuation("b"))))
    cache = ResponseCache(tmp_path / "cache.sqlite", session="s")
    report, answers = fill(plan, cache, lambda _: backend)
    cache.close()
    if detail is None:
        assert answers[key].likelihoods
    else:
        assert answers[key].failed
        assert detail in str(answers[key].detail)
    assert report.failed == (detail is not None)
