"""Evaluate a checkpoint on a golden set without pytest, for notebooks and scripts."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from pathlib import Path

from harness.case_result import CaseResult, Role, combine_outcomes
from harness.cases import Case, Outcome, Sampling, content_digest
from harness.engine.cache import ResponseCache
from harness.engine.engine import Engine, Question
from harness.engine.progress import on_stderr
from harness.errors import ConfigurationError, HarnessError
from harness.gate.decide import decide, settle
from harness.gate.diagnostics import blocked_by, diagnostics
from harness.gate.evidence import Evidence
from harness.gate.policy import Gate
from harness.gate.policy_file import load_gate_file
from harness.gate.verdict import Verdict
from harness.golden_sets.source import load_case_sets
from harness.protocols import BackendOptions, Checkpoint
from harness.scoring import score

__all__ = ["evaluate"]


def evaluate(
    checkpoint: str,
    suite: str,
    baseline: str | None = None,
    *,
    gate: Gate | None = None,
    epochs: int = 1,
    seed: int = 0,
    root: str | Path = ".",
) -> Verdict:
    """Score a checkpoint by the checks that a golden set's cases declare, and decide.

    Answers are kept in the response cache under `.harness`, shared with pytest sessions. How far they are is
    shown on stderr.

    Args:
        checkpoint: Spec of the candidate, as for `--model`.
        suite: Golden set, such as `refunds` or `refunds/v1`, or `SOURCE:SPEC`, such as `lm_eval:arc_easy`.
        baseline: Spec of the baseline; None leaves gates that compare INCONCLUSIVE.
        gate: The policy; None takes what the project's gates.yaml or pyproject.toml say of the golden set's
            name, and the default one without them.
        epochs: Samples per case, at least 1.
        seed: Seed of every draw.
        root: The project's directory.

    Raises:
        UsageError: A checkpoint or the golden set cannot be used.
    """
    if epochs < 1:
        raise ConfigurationError(f"epochs={epochs}: ask every case at least once")
    base = Path(root).resolve()
    state = base / ".harness"
    golden, *others = load_case_sets(suite, roots=(base / "golden",), root=base)
    if others:
        raise ConfigurationError(f"{suite} names {1 + len(others)} sets: evaluate one of them at a time")
    policy = gate or load_gate_file(base).effective(golden.name, Gate()).gate
    label = golden.label
    own = golden.sampling
    sampling = Sampling(own.max_tokens, own.temperature, own.top_p, own.stop, seed)
    cases = tuple(golden.cases)
    engine = Engine(BackendOptions(root=base, state=state))
    try:
        specs = [spec for spec in (checkpoint, baseline) if spec is not None]
        models = engine.resolve(specs, compared=len(specs))
        engine.open_cache(ResponseCache(state / "cache.sqlite", session=uuid.uuid4().hex))
        questions = [
            Question(model, case, sampling, sample)
            for model in models
            for case in cases
            for sample in range(epochs)
        ]
        with on_stderr() as progress:
            engine.ask(questions, progress)
        results = [
            [_result(engine, model, role, case, golden.name, label, sampling, epochs) for case in cases]
            for model, role in zip(models, (Role.CANDIDATE, Role.BASELINE), strict=False)
        ]
    finally:
        engine.close()
    evidence = Evidence(
        suite=golden.name,
        golden=label,
        checkpoint=checkpoint,
        gate=policy,
        candidate=results[0],
        baseline=results[1] if len(results) > 1 else None,
        baseline_name=baseline,
        planned=len(cases),
    )
    return settle(blocked_by(decide(evidence), diagnostics(evidence)))


def _result(
    engine: Engine,
    model: Checkpoint,
    role: Role,
    case: Case,
    suite: str,
    golden: str,
    sampling: Sampling,
    epochs: int,
) -> CaseResult:
    outcomes: list[Outcome] = []
    values: list[float] = []
    outputs: list[str] = []
    endings: list[str] = []
    explanations: list[str | None] = []
    for sample in range(epochs):
        try:
            response = engine.answer(Question(model, case, sampling, sample))
            outputs.append(response.text)
            endings.append(response.finish_reason)
            found = score(case, response)
        except HarnessError as error:
            outcomes.append(Outcome.ERROR)
            explanations.append(str(error))
            continue
        outcomes.append(found.outcome)
        values.append(found.value)
        explanations.append(found.explanation)
    outcome = combine_outcomes(outcomes)
    return CaseResult(
        suite=suite,
        golden=golden,
        test="evaluate",
        case_id=case.id,
        content_hash=case.content_hash,
        checkpoint=model.spec,
        role=role,
        outcome=outcome,
        samples=() if outcome is Outcome.ERROR else tuple(values),
        outputs=tuple(outputs),
        finish_reasons=tuple(endings),
        explanation=_first(explanations, outcomes),
        cluster=case.cluster or case.id,
        tags=case.tags,
        must_pass=case.must_pass,
        must_keep=case.must_keep,
        input=case.input,
        target=case.target,
        config_hash=content_digest({"sampling": sampling.as_dict(), "epochs": epochs}),
    )


def _first(explanations: Sequence[str | None], outcomes: Sequence[Outcome]) -> str | None:
    """Return the explanation of the first sample that did not pass."""
    for explanation, outcome in zip(explanations, outcomes, strict=True):
        if outcome is not Outcome.PASSED:
            return explanation
    return None
