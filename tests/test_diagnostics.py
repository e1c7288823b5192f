from __future__ import annotations

from itertools import combinations
from typing import Any

import pytest
from case_results import case_result, evidence_of
from hypothesis import given
from hypothesis import strategies as st

from harness.case_result import CaseResult, Role
from harness.errors import ConfigurationError
from harness.gate import answer_measures
from harness.gate.decide import decide, settle
from harness.gate.diagnostics import Diagnostic, blocked_by, describe_diagnostic, diagnostics
from harness.gate.policy import Gate
from harness.gate.verdict import Status
from harness.scoring.text import language
from harness.scoring.text.language import prose_language, quick_language
from harness.stats.pass_at_k import pass_at_k

PROSE = "You get your money back in {} days, once the parcel is here and the form is signed."


def results(outputs: list[str], role: Role = Role.CANDIDATE, **fields: Any) -> list[CaseResult]:
    reasons = fields.pop("finish_reasons", ["stop"] * len(outputs))
    return [
        case_result(f"c{i:03}", 1.0, role=role, outputs=(text,), finish_reasons=(reason,), **fields)
        for i, (text, reason) in enumerate(zip(outputs, reasons, strict=True))
    ]


def measured(ours: list[CaseResult], theirs: list[CaseResult] | None) -> dict[str, Diagnostic]:
    return {one.name: one for one in diagnostics(evidence_of(ours, theirs))}


NORMAL = [PROSE.format(n) for n in range(40)]


@pytest.mark.parametrize(
    ("name", "changed"),
    [
        ("loops", "Sorry. " * 40),
        ("empty", ""),
        ("other script", "我们会退款。"),
        ("refusals", "I'm sorry, but I can't help with that."),
        ("lists", "- You get it\n- in a few days"),
        ("same answer", "It takes five days."),
        ("same opening", "Thank you for your message {}."),
    ],
)
def test_what_a_checkpoint_took_up_is_warned_of(name: str, changed: str) -> None:
    ours = [changed.format(n) if n < 20 else text for n, text in enumerate(NORMAL)]
    ours = [text.replace("You get", f"Number {n} gets") for n, text in enumerate(ours)]
    theirs = [text.replace("You get", f"Number {n} gets") for n, text in enumerate(NORMAL)]
    one = measured(results(ours), results(theirs, Role.BASELINE))[name]
    assert one.warns, describe_diagnostic(one)
    assert (one.value, one.baseline_value, one.n) == (0.5, 0.0, 40)
    same = measured(results(theirs), results(theirs, Role.BASELINE))
    assert not any(found.warns for found in same.values())


@pytest.mark.parametrize("thought", ["<think>{}</think>\n\n", "{}</think>", "<thinking>\n{}\n</thinking>\n"])
def test_what_a_model_thinks_before_its_answer_is_not_measured(thought: str) -> None:
    aside = "Okay. " * 40 + "- 我们会退款。\n- I'm sorry, but I can't help with that.\n" * 3
    thinking = [thought.format(aside if n < 20 else "Fine.") + text for n, text in enumerate(NORMAL)]
    found = diagnostics(evidence_of(results(thinking), results(NORMAL, Role.BASELINE)))
    assert found == diagnostics(evidence_of(results(NORMAL), results(NORMAL, Role.BASELINE)))
    lost = ["<think>Let me see" if n < 20 else text for n, text in enumerate(NORMAL)]
    assert measured(results(lost), results(NORMAL, Role.BASELINE))["empty"].warns, (
        "it never came to an answer"
    )


def test_answers_in_another_language_are_warned_of() -> None:
    asked = "Dear team, please tell me when I will get my money back for the lamp that I returned last week."
    german = "Sie bekommen Ihr Geld in {} Tagen zurück, sobald das Paket bei uns ist und der Antrag vorliegt."
    ours = [german.format(n) if n < 20 else text for n, text in enumerate(NORMAL)]
    theirs = results(NORMAL, Role.BASELINE, input=asked)
    one = measured(results(ours, input=asked), theirs)["other language"]
    assert (one.warns, one.value, one.baseline_value, one.n) == (True, 0.5, 0.0, 40)
    assert "other language" not in measured(results(ours, input="When?"), None), "too short to tell"


def test_cut_off_answers_are_counted_with_their_numbers() -> None:
    cut = ["length"] * 12 + ["stop"] * 28
    one = measured(results(NORMAL, finish_reasons=cut), results(NORMAL, Role.BASELINE))["truncated"]
    assert one.warns
    assert describe_diagnostic(one).startswith("30.0 %, baseline 0.0 %, p = ")
    alone = measured(results(NORMAL, finish_reasons=cut), None)["truncated"]
    assert alone.warns
    assert describe_diagnostic(alone) == "30.0 %, n = 40"


def test_answers_that_grow_are_warned_of_and_so_are_those_that_shrink() -> None:
    long = [f"{text} {text.upper()} {n} more" for n, text in enumerate(NORMAL)]
    grown = measured(results(long), results(NORMAL, Role.BASELINE))["length"]
    assert grown.warns
    assert "times as long" in describe_diagnostic(grown)
    assert grown.delta is not None
    assert 0.9 < grown.delta < 1.5
    assert measured(results(NORMAL), results(long, Role.BASELINE))["length"].warns


def test_a_rare_change_is_shown_and_does_not_warn() -> None:
    ours = ["Sorry. " * 40, *NORMAL[1:]]
    one = measured(results(ours), results(NORMAL, Role.BASELINE))["loops"]
    assert (one.value, one.warns) == (1 / 40, False)


def test_samples_that_all_say_the_same_are_mode_collapse() -> None:
    def sampled(role: Role, texts: list[tuple[str, ...]]) -> list[CaseResult]:
        return [
            case_result(f"c{i}", 1.0, role=role, outputs=two, samples=(1.0, 1.0))
            for i, two in enumerate(texts)
        ]

    alike = [(f"the same old answer {n}",) * 2 for n in range(30)]
    varied = [(f"one way to say {n}", f"quite another thing about {n}") for n in range(30)]
    one = measured(sampled(Role.CANDIDATE, alike), sampled(Role.BASELINE, varied))["repeated words"]
    assert one.warns
    assert one.value == pytest.approx(0.5)


def test_sycophancy_is_what_a_wrong_belief_costs() -> None:
    def pairs(role: Role, pressed: float) -> list[CaseResult]:
        return [
            case_result(f"{kind}{i}", score, role=role, cluster=f"p{i}", tags=(f"pair:{kind}",))
            for i in range(20)
            for kind, score in (("neutral", 1.0), ("pressed", pressed))
        ]

    one = measured(pairs(Role.CANDIDATE, 0.0), pairs(Role.BASELINE, 1.0))["sycophancy"]
    assert (one.n, one.value, one.baseline_value, one.warns) == (20, 1.0, 0.0, True)


def test_pairs_of_one_cluster_are_told_apart_by_their_ids() -> None:
    scores = {"a.neutral": 1.0, "a.pressed": 0.0, "b.neutral": 0.0, "b.pressed": 0.0}
    both = [
        case_result(name, value, cluster="sums", tags=(f"pair:{name[2:]}",)) for name, value in scores.items()
    ]
    one = measured(both, None)["sycophancy"]
    assert (one.n, one.value) == (2, 0.5)


def test_a_pressed_case_without_its_neutral_one_measures_nothing() -> None:
    scores = {"a.neutral": 1.0, "a.pressed": 0.0, "d.neutral": 1.0, "d.pressed": 1.0}
    paired = [case_result(name, score, tags=(f"pair:{name[2:]}",)) for name, score in scores.items()]
    alone = case_result("b.pressed", 0.0, tags=("pair:pressed",))
    failed = [
        case_result(f"c.{kind}", score, tags=(f"pair:{kind}",))
        for kind, score in (("neutral", 1.0), ("pressed", None))
    ]
    one = measured([*paired, alone, *failed], None)["sycophancy"]
    assert (one.n, one.value) == (2, 0.5)


def test_a_warning_blocks_only_where_the_gate_names_it() -> None:
    cut = ["length"] * 20 + ["stop"] * 20
    ours, theirs = results(NORMAL, finish_reasons=cut), results(NORMAL, Role.BASELINE)
    found = diagnostics(evidence_of(ours, theirs))
    for gate, status in (
        (Gate(), Status.PASS),
        (Gate(blocks_on=("loops",)), Status.PASS),
        (Gate(blocks_on=("truncated",)), Status.REGRESSED),
    ):
        verdict = decide(evidence_of(ours, theirs, gate=gate))
        assert settle(blocked_by(verdict, found)).status is status
    with pytest.raises(ConfigurationError, match="blocks_on must be a list of"):
        Gate(blocks_on=("trunc",))
    assert Gate.from_dict(Gate(blocks_on=("loops",)).as_dict() | {"blocks_on": ["loops"]}).blocks_on == (
        "loops",
    )


def test_it_comes_back_from_json() -> None:
    for one in diagnostics(evidence_of(results(NORMAL), results(NORMAL, Role.BASELINE))):
        assert Diagnostic.from_dict(one.as_dict()) == one


@given(st.integers(1, 8).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n), st.integers(1, n))))
def test_pass_at_k_is_the_share_of_draws_with_a_right_sample(numbers: tuple[int, int, int]) -> None:
    n, right, k = numbers
    draws = list(combinations([i < right for i in range(n)], k))
    assert pass_at_k(n, right, k) == pytest.approx(sum(any(draw) for draw in draws) / len(draws))


def test_pass_at_k_is_shown_under_epochs() -> None:
    samples = [(1.0, 0.0, 0.0, 0.0)] * 10 + [(0.0,) * 4] * 10
    ours = [case_result(f"c{i}", 1.0, samples=one, outputs=("a",) * 4) for i, one in enumerate(samples)]
    found = measured(ours, None)
    assert found["pass@2"].value == pytest.approx(0.25)
    assert found["pass@4"].value == pytest.approx(0.5)
    assert "pass@1" not in found


def test_pass_at_k_of_impossible_numbers_is_refused() -> None:
    with pytest.raises(ValueError, match="pass@3 of 1 right among 2 samples"):
        pass_at_k(2, 1, 3)


ENGLISH = "You can return the table cloth within 30 days, and we will refund you when it has arrived."
ELSEWHERE = [
    "Je kunt het tafelkleed binnen dertig dagen terugsturen, en wij betalen je terug zodra het er is.",
    "Puede devolver el mantel en un plazo de treinta días y le reembolsaremos cuando haya llegado.",
    "Sie können die Tischdecke innerhalb von dreißig Tagen zurückgeben, und wir erstatten den Preis.",
    "Vous pouvez rendre la nappe sous trente jours et nous vous rembourserons dès son arrivée ici.",
    "Bord, duk, kniv, gaffel, sked, glas, tallrik, kopp, fat, kanna, korg, bricka, vas, ljus, stol.",
]


@pytest.mark.parametrize("text", [ENGLISH, *ELSEWHERE, "`the to you would when` 12", "", "the the the the"])
def test_plain_english_is_told_as_the_classifier_tells_it(text: str) -> None:
    pytest.importorskip("py3langid")
    assert quick_language(text, 60) == prose_language(text, letters=60)


def test_plain_english_needs_no_classifier(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(language, "_identifier", lambda: pytest.fail("loaded"))
    assert quick_language(ENGLISH, 60) == "en"


def test_without_the_classifier_languages_are_not_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answer_measures, "can_tell_languages", lambda: False)
    monkeypatch.setattr(language, "_identifier", lambda: pytest.fail("loaded"))
    ours = results([ELSEWHERE[0]] * 3, input=ELSEWHERE[1])
    assert "other language" not in measured(ours, None)
