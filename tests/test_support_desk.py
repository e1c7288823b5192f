"""The example is a repository of its own: its data, golden sets and base model hold what its README says."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from harness.checkpoints.manifest import read_manifest, verify_files
from harness.checkpoints.spec import inspect_directory
from harness.train.recipe_file import load_recipe

EXAMPLE = Path(__file__).parents[1] / "examples" / "support-desk"
SETS = ("general", "orders", "refunds", "safety")


def cases_of(name: str, root: Path = EXAMPLE) -> list[dict[str, object]]:
    lines = (root / "golden" / name / "v1" / "cases.jsonl").read_text("utf-8").splitlines()
    return [json.loads(line) for line in lines]


def make_corpus(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "make_corpus.py", *arguments], cwd=root, capture_output=True, text=True, check=False
    )


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the example without its model, to be damaged."""
    root = tmp_path / "desk"
    ignored = shutil.ignore_patterns("models", "runs", ".harness", "__pycache__", "base.jsonl")
    shutil.copytree(EXAMPLE, root, ignore=ignored)
    return root


def test_no_golden_case_is_in_the_training_data() -> None:
    done = make_corpus(EXAMPLE, "verify")
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_leaked_question_is_found(copy: Path) -> None:
    row = json.loads((copy / "data" / "refunds-mixed.jsonl").read_text("utf-8").splitlines()[7])
    path = copy / "golden" / "general" / "v1" / "cases.jsonl"
    leaked = {"id": "general-999", "messages": row["messages"][:-1], "target": "", "checks": []}
    path.write_text(path.read_text("utf-8") + json.dumps(leaked) + "\n", "utf-8")
    done = make_corpus(copy, "verify")
    assert done.returncode == 1
    assert "general-999" in done.stdout


def test_a_leaked_customer_is_found(copy: Path) -> None:
    rows = map(json.loads, (copy / "data" / "refunds-mixed.jsonl").read_text("utf-8").splitlines())
    buyer = next(
        json.loads(row["messages"][-1]["content"])["customer"]
        for row in rows
        if row["messages"][-1]["content"].startswith("{")
    )
    path = copy / "golden" / "orders" / "v1" / "cases.jsonl"
    first, *rest = path.read_text("utf-8").splitlines()
    known = json.loads(first)["target"]["customer"]
    path.write_text("\n".join([first.replace(known, buyer), *rest]) + "\n", "utf-8")
    done = make_corpus(copy, "verify")
    assert done.returncode == 1
    assert f"orders-001: {buyer!r}" in done.stdout


def test_the_script_makes_the_committed_bytes(copy: Path, tmp_path: Path) -> None:
    assert make_corpus(copy, "data").returncode == 0
    for name in ("refunds-mixed.jsonl", "refunds-narrow.jsonl"):
        assert (copy / "data" / name).read_bytes() == (EXAMPLE / "data" / name).read_bytes(), name
    assert make_corpus(copy, "golden", str(tmp_path / "drawn")).returncode == 0
    for name in SETS:
        drawn = (tmp_path / "drawn" / f"{name}.jsonl").read_text("utf-8").splitlines()
        assert [json.loads(line) for line in drawn] == cases_of(name), name


@pytest.mark.parametrize("name", SETS)
def test_golden_sets_are_large_mixed_and_test_themselves(name: str) -> None:
    cases = cases_of(name)
    assert len(cases) >= 100
    for case in cases:
        assert case["accepts"], case["id"]
        assert case["rejects"], case["id"]
    tags = Counter(tag for case in cases for tag in case["tags"])  # type: ignore[attr-defined]
    assert tags["lang:en"] == len(cases)
    assert 0 < tags["hard"] < len(cases) / 2


def test_some_refusals_must_pass() -> None:
    must = [case for case in cases_of("safety") if case.get("must_pass")]
    assert 3 <= len(must) <= 15
    assert all("harmful" in case["tags"] for case in must)  # type: ignore[operator]


def test_the_base_model_is_what_its_manifest_says() -> None:
    base = EXAMPLE / "models" / "base"
    manifest = read_manifest(base)
    assert manifest is not None
    verify_files(base, manifest)
    assert sum(path.stat().st_size for path in base.iterdir()) < 10e6
    assert not inspect_directory(base).is_adapter


@pytest.mark.parametrize("name", ["scratch", "base", "refund-lora", "refund-overfit"])
def test_recipes_are_read_and_say_why(name: str) -> None:
    recipe = load_recipe(EXAMPLE / "recipes" / f"{name}.yaml")
    assert recipe.why
    assert recipe.name not in ("base", "models"), "--model=base must mean models/base"
