"""Without a private name of another package: the same verdicts with a warning, or a refusal that names it."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from hidden_names import hidden

from harness.plugins import pytest_internals
from harness.upstream import torch_internals, transformers_internals
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
        assert f"has no {name} as it is used here: {name.without}" in shown


HIDING = """
from harness.upstream.private_name import PrivateName

is_missing, of = PrivateName.is_missing, PrivateName.of

def is_hidden(self, owners):
    there = owners.get(self.owner, self) is not None
    return there if str(self) == {name!r} else is_missing(self, owners)

PrivateName.is_missing = is_hidden
PrivateName.of = lambda self, owner: None if str(self) == {name!r} else of(self, owner)
"""


def hiding(project: Project, name: str) -> None:
    """Have every process of the project's sessions miss a name."""
    project.module(HIDING.format(name=name), "hiding.py")


def test_a_worker_tells_the_controller_what_it_does_without(desk: Project, whole: dict[str, Any]) -> None:
    hiding(desk, "_pytest.logging.catching_logs")
    path = desk.path / "results.json"
    done = desk.run_process(*GIVEN, "-n2", "-p", "hiding", f"--harness-json={path}")
    assert done.stdout.str().count("has no _pytest.logging.catching_logs as it is used here: every test") == 1
    assert int(done.ret) == whole["exit_code"]


def test_workers_refuse_what_has_no_plain_path(desk: Project) -> None:
    hiding(desk, "pytest.Function.callspec.params")  # the controller has no item to see it by
    done = desk.run_process(*GIVEN, "-n2", "-p", "hiding")
    assert int(done.ret) == 4
    done.stdout.fnmatch_lines(["ERROR: pytest * has no pytest.Function.callspec.params, by which an item *"])


def test_the_full_protocol_is_not_what_a_missing_name_needs(desk: Project) -> None:
    with hidden(next(name for name in pytest_internals.NAMES if name.name == "xml_key")):
        done, _ = judged(desk, "--junitxml=junit.xml")
    assert "xml_key as it is used here: --junitxml lists no gate" in done.stdout.str()
    assert "gate[" not in (desk.path / "junit.xml").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two random models, made before a run puts sys.modules back."""
    if find_spec("peft") is None:
        pytest.skip("local models need checkpoint-harness[hf]")
    from tiny_models import save_model

    folder = tmp_path_factory.mktemp("local")
    for seed in (0, 1):
        save_model(folder / f"seed-{seed}", seed=seed)
    return folder


def test_a_local_model_says_what_it_is_computed_without(project: Project, local: Path) -> None:
    project.golden("sums", sums(6))
    project.suite("sums")
    given = (f"--model={local / 'seed-0'}", f"--baseline={local / 'seed-1'}", "--max-tokens=4", "--no-cache")
    whole, record = project.recorded(*given)
    with hidden(
        next(name for name in torch_internals.NAMES if name.name.endswith("flash_attention_for_cpu"))
    ):
        done, found = project.recorded(*given)
    assert (done.ret, found["verdicts"]) == (whole.ret, record["verdicts"])
    done.stdout.fnmatch_lines(
        ["warning: torch * has no torch.ops.aten.*_for_cpu as it is used here: attention is *"]
    )
    with hidden(next(name for name in transformers_internals.NAMES if name.name == "use_safetensors")):
        done, found = project.recorded(*given)
    assert int(done.ret) == 4
    assert not found
    assert (
        "has no transformers.PreTrainedModel.from_pretrained.use_safetensors, by which a" in done.stderr.str()
    )
