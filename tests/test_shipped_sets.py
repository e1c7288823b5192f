from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from harness.cases import Outcome, Response
from harness.cli.golden_attack import attack_faults
from harness.golden_sets.attack import attack_cases
from harness.golden_sets.read import load_golden
from harness.judging import Rubric
from harness.sandbox import code_allowed
from harness.scoring import score
from harness.scoring.registry import compile_checks
from harness.scoring.selftest import case_faults

ROOT = Path(__file__).parents[1]
SUITES = {path.stem for path in (ROOT / "suites").glob("test_*.py")}
SHIPPED = {
    "email": 110,
    "format": 130,
    "general": 150,
    "instructions": 100,
    "judge": 110,
    "medical": 100,
    "safety": 140,
    "support": 100,
}


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_set_is_locked_and_its_checks_tell_good_from_bad(name: str) -> None:
    golden = load_golden(f"{name}/v1", roots=[ROOT / "golden"])
    assert golden.locked
    assert golden.manifest.licence == "Apache-2.0"
    assert golden.manifest.description
    assert len(golden) >= SHIPPED[name]
    assert [fault for case in golden for fault in case_faults(case)] == []
    for case in golden:
        assert case.accepts, case.id
        assert case.rejects, case.id
    assert len({case.input for case in golden}) == len(golden)


@pytest.mark.parametrize("name", SHIPPED)
def test_a_weakened_check_lets_a_wrong_answer_through(name: str) -> None:
    """Each type of check decides alone somewhere in a set: were it always true, a `rejects` would pass."""
    used, decisive = set(), set()
    for case in load_golden(f"{name}/v1", roots=[ROOT / "golden"]):
        checks = compile_checks(case)
        used |= {check.type for check in checks}
        for answer in map(Response, case.rejects):
            scores = [(check.type, check.scorer(case, answer)) for check in checks]
            types = {kind for kind, found in scores if found.outcome is not Outcome.PASSED}
            decisive |= types if len(types) == 1 else set()
    assert used - decisive == set()


@pytest.mark.slow
def test_the_code_set_is_locked_and_its_tests_tell_good_from_bad() -> None:
    golden = load_golden("code/v1", roots=[ROOT / "golden"])
    assert golden.locked
    assert len(golden) >= 100
    with code_allowed():
        assert [fault for case in golden for fault in case_faults(case)] == []
    assert all(case.accepts and len(case.rejects) > 1 for case in golden)


@pytest.mark.parametrize("name", SHIPPED)
@pytest.mark.parametrize("answer", ["", "ok", "I don't know.", "I'm sorry, but I can't help with that.", "7"])
def test_a_constant_answer_gets_nowhere(name: str, answer: str) -> None:
    golden = load_golden(f"{name}/v1", roots=[ROOT / "golden"])
    passed = [case for case in golden if score(case, Response(answer)).outcome is Outcome.PASSED]
    limit = 0.55 if name == "safety" else 0.1
    assert len(passed) <= limit * len(golden), [case.id for case in passed]


ATTACKED = ["safety", "support"]
"""The sets whose newest version holds out against the attack of `harness golden test`."""


@pytest.mark.parametrize("name", ATTACKED)
def test_wrong_answers_made_for_the_purpose_do_not_pass(name: str) -> None:
    golden = load_golden(name, roots=[ROOT / "golden"])
    assert golden.locked
    assert golden.version > 1
    assert golden.manifest.attack == {"gaming": 0.05, "contradictions": 0.05}
    assert [fault for case in golden for fault in case_faults(case)] == []
    assert list(attack_faults(attack_cases(golden.cases), golden.manifest.attack)) == []
    for case in golden:
        assert len(case.accepts) >= 3 or name == "safety", case.id
        assert len(case.rejects) >= 3, case.id
        stated = re.search(r"at most (\d+) words", " ".join(message.content for message in case.messages))
        limits = [check["words"] for check in case.checks if check["type"] == "max_length"]
        assert stated is None or limits == [int(stated[1])], case.id


def test_the_documentation_counts_right() -> None:
    text = (ROOT / "docs" / "golden-sets.md").read_text(encoding="utf-8")
    for path in (ROOT / "golden").glob("*/v1/manifest.json"):
        manifest = json.loads(path.read_text(encoding="utf-8"))
        mix = ", ".join(str(manifest["difficulty"][level]) for level in ("easy", "medium", "hard"))
        assert f"| `{manifest['name']}` | {manifest['cases']} | {mix} |" in text


def test_safety_asks_both_kinds_and_holds_some_without_exception() -> None:
    golden = load_golden("safety/v1", roots=[ROOT / "golden"])
    kinds = [{"harmful", "harmless"} & set(case.tags) for case in golden]
    assert all(len(kind) == 1 for kind in kinds)
    assert (kinds.count({"harmful"}), kinds.count({"harmless"})) == (76, 64)
    topics = {tag for case in golden if "harmful" in case.tags for tag in case.tags if tag[:6] == "topic:"}
    assert len(topics) == 15
    assert not any(case.must_pass for case in golden), "a set that runs on any model demands no single case"


def test_each_case_for_a_judge_brings_its_points_and_a_reference() -> None:
    golden = load_golden("judge/v1", roots=[ROOT / "golden"])
    for case in golden:
        points = case.metadata["rubric"]
        assert isinstance(points, list), case.id
        assert len(points) >= 2, case.id
        assert case.target == case.accepts[0], case.id
        Rubric("Helpful.").requests(case, Response("x"))


@pytest.mark.parametrize("name", sorted(SUITES))
def test_a_shipped_suite_imports_nothing_but_pytest_and_harness(name: str) -> None:
    path = ROOT / "suites" / f"{name}.py"
    imported = re.findall(r"^(?:import|from) ([\w.]+)", path.read_text(), re.MULTILINE)
    assert set(imported) <= {"__future__", "collections.abc", "harness", "pytest", "typing"}
