"""`harness noise`, and the gate that refuses a margin below what it measured."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import pytest
from loopback import KEY, LoopbackLLM, Question
from tiny_models import save_model

from .conftest import Project, sums


def answer(question: Question) -> str:
    """Right, but for some questions that depend on the seed, and on nothing else."""
    found = re.search(r"what is (\d+)", question.text)
    assert found is not None
    number, seed = int(found[1]), int(question.body.get("seed") or 0)
    return "no idea" if (number * 7 + seed * 3) % 10 < 2 else str(number + 1)


@pytest.mark.needs("openai")
def test_noise_is_measured_kept_and_held_against_margins(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project.path)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    project.golden("sums", sums(40))
    project.suite("sums")
    with LoopbackLLM(answer) as server:
        model = f"openai/gpt@{server.openai_url}"
        command = [sys.executable, "-m", "harness.cli", "noise", model, "--temperature", "1", "--json"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert done.stderr.splitlines() == [f"{model}: repeat {number} of 2" for number in (1, 2)]
        (found,) = json.loads(done.stdout)
        assert (found["suite"], found["n"], found["repeats"]) == ("sums", 40, 2)
        assert found["flips"] == 16
        assert found["noise"] > 0.05
        assert not (project.path / ".harness/runs").exists()
        against = (f"--model={model}", f"--baseline={model}", "--temperature=1", "--allow-same")
        refused = project.run(*against)
        assert refused.ret == 4
        refused.stderr.fnmatch_lines(["*suite 'sums': the margin of 2 % lies below the noise*"])
        assert project.run(*against, "--allow-margin-below-noise").ret in (0, 10)
        project.suite("sums", "gate=harness.Gate(allow_margin_below_noise=True)")
        assert project.run(*against).ret in (0, 10)
        project.suite("sums")
        other = project.run(f"--model={model}", f"--baseline={model}", "--allow-same")
        assert other.ret in (0, 10), "the noise was measured at another temperature"
        project.suite("sums", "gate=harness.Gate(margin=7)")
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 4
        assert "margin must be a number in [0, 1)" in done.stderr
        project.suite("sums")
        (kept,) = (project.path / ".harness/noise").glob("*.json")
        kept.write_text("{", encoding="utf-8")
        assert project.run(*against).ret == 4


@pytest.mark.needs("torch")
def test_noise_of_other_numerics_holds_for_no_margin(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project.path)
    save_model(project.path / "models" / "base")
    project.golden("sums", [case | {"input": f"please help item {i}"} for i, case in enumerate(sums(40))])
    project.module(
        """
import pytest

@pytest.mark.suite("sums")
def test_sums(response, record_score):
    record_score(len(response.text) % 2)
"""
    )
    sampling = ("--temperature=1", "--max-tokens=4")
    command = [sys.executable, "-m", "harness.cli", "noise", "base", *sampling, "-M", "dtype=bfloat16"]
    subprocess.run(command, capture_output=True, check=True)
    against = ("--model=base", "--baseline=base", "--collect-only", *sampling)
    refused = project.run(*against, "-M", "dtype=bfloat16", "--batch-size=4")
    assert refused.ret == 4
    refused.stderr.fnmatch_lines(["*suite 'sums': the margin of 2 % lies below the noise*"])
    ignored = project.run(*against, "-M", "dtype=float32")
    assert ignored.ret == 0
    ignored.stdout.fnmatch_lines(
        ["harness: the noise of base was measured under other numerics (dtype bfloat16 → float32*"]
    )
    project.run(*against, "--allow-margin-below-noise").stdout.no_fnmatch_line("*other numerics*")
