"""Replicas in Ray actors answer as one process does, also when one is killed in mid-run."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tiny_models import WORDS, save_model

from harness.cases import Message, Request, Sampling
from harness.engine.cache import ResponseCache
from harness.engine.engine import Engine
from harness.engine.fill import fill
from harness.engine.plan import Plan
from harness.errors import ConfigurationError, MissingDependencyError, UsageError
from harness.likelihood import Continuation
from harness.plugins.backends.hf import HFBackend
from harness.plugins.workers.chunks import cut
from harness.plugins.workers.ray import RayWorkers
from harness.plugins.workers.replica import Replica, ReplicaRefusal
from harness.protocols import Backend, BackendOptions, Checkpoint

needs_ray = pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="needs the extra [ray]")


def questions(count: int) -> list[Request]:
    texts = [f"{WORDS[n % 7]} {WORDS[n % 11]} {WORDS[n % 20]}" for n in range(count)]
    return [
        Request((Message("user", text),), Sampling(max_tokens=5), sample=n) for n, text in enumerate(texts)
    ]


@pytest.fixture
def options(tmp_path: Path) -> BackendOptions:
    save_model(tmp_path / "model")
    return BackendOptions(root=tmp_path, state=tmp_path / ".harness", arguments={"device": "cpu"})


@pytest.fixture
def workers(options: BackendOptions) -> Iterator[RayWorkers]:
    made = RayWorkers("hf", HFBackend(options), options, 2)
    yield made
    made.close()


def test_chunks_hold_every_request_once_and_neighbours_together() -> None:
    asked = [Request((Message("user", f"{'ab'[n % 2]} {n:03}"),)) for n in range(100)]
    chunks = list(cut(asked, 2))
    assert sorted(index for chunk in chunks for index in chunk.indices) == list(range(100))
    assert len(chunks) == 8
    for chunk in chunks[:3]:
        assert {asked[index].messages[0].content[0] for index in chunk.indices} == {"a"}
    raw = [Request((), continuations=(Continuation("x", f"{'ab'[n % 2]} {n}"),)) for n in range(16)]
    assert [index % 2 for chunk in cut(raw, 1) for index in chunk.indices] == [0] * 8 + [1] * 8
    assert not cut([], 2)


@pytest.mark.needs("torch")
def test_a_replica_refuses_other_files_and_other_numerics(options: BackendOptions) -> None:
    checkpoint = HFBackend(options).resolve("model", "model")
    replica = Replica("hf", options)
    other = replica.answer(dataclasses.replace(checkpoint, fingerprint="0" * 64), [])
    assert isinstance(other, ReplicaRefusal)
    assert "finds other files than the driver" in other.message
    numerics = {**checkpoint.numerics, "dtype": "bfloat16"}
    otherwise = replica.answer(dataclasses.replace(checkpoint, numerics=numerics), [])
    assert isinstance(otherwise, ReplicaRefusal)
    assert "computes otherwise (dtype)" in otherwise.message
    assert replica.answer(checkpoint, []) == []


@needs_ray
def test_two_actors_answer_as_one_process_and_one_that_is_killed_is_replaced(
    workers: RayWorkers, options: BackendOptions
) -> None:
    asked = questions(72)
    alone = HFBackend(options)
    expected = {
        index: response.text for index, response in alone.generate(alone.resolve("model", "model"), asked)
    }
    checkpoint = workers.resolve("model", "model")
    answers = workers.generate(checkpoint, asked)
    found = [next(answers)]
    victim = workers.busy_pids()[0]
    os.kill(victim, signal.SIGKILL)
    found += list(answers)
    assert sorted(index for index, _ in found) == list(range(72)), "nothing lost, nothing twice"
    assert {index: response.text for index, response in found} == expected
    assert len(set(expected.values())) > 5
    assert workers.restarts == 1
    assert victim not in workers.pids()
    deadline = time.monotonic() + 60
    while len(workers.pids()) < 2 and time.monotonic() < deadline:
        list(workers.generate(checkpoint, asked[:1]))
    assert len(workers.pids()) == 2, "its replacement has joined"
    assert _filled(workers, checkpoint, options) == _filled(alone, checkpoint, options)

    (Path(checkpoint.location) / "config.json").write_text("{}")
    fresh = dataclasses.replace(checkpoint, fingerprint="0" * 64)
    with pytest.raises(UsageError) as raised:
        list(workers.generate(fresh, asked[:3]))
    assert "\n" not in str(raised.value)


def _filled(backend: Backend, checkpoint: Checkpoint, options: BackendOptions) -> list[tuple[str, list[str]]]:
    """Ask for likelihoods as the engine does; return what is the same in every batch."""
    plan = Plan()
    for n in range(20):
        ask = (Message("user", f"{WORDS[n]} is"),)
        choices = tuple(Continuation(f" {word}") for word in WORDS[n % 5 : n % 5 + 3])
        plan.add(checkpoint, Request(ask, continuations=choices))
    cache = ResponseCache(options.state / f"{type(backend).__name__}.sqlite", session="s")
    _, answers = fill(plan, cache, lambda _: backend)
    cache.close()
    found = [answers[planned.key] for planned in plan]
    assert all(len(response.likelihoods) == 3 for response in found), found[0].detail
    return [(one.text, [f"{likelihood.logprob:.4f}" for likelihood in one.likelihoods]) for one in found]


@needs_ray
@pytest.mark.slow
def test_a_gate_with_workers_is_the_gate_without(tmp_path: Path) -> None:
    save_model(tmp_path / "model")
    save_model(tmp_path / "other", seed=1)
    golden = tmp_path / "golden" / "words" / "v1"
    golden.mkdir(parents=True)
    rows = [{"id": f"c{n}", "input": f"{WORDS[n % 9]} {WORDS[n % 5]} {n}", "target": "no"} for n in range(40)]
    (golden / "cases.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "suites").mkdir()
    (tmp_path / "suites" / "test_words.py").write_text(
        "import pytest, harness\n"
        "@pytest.mark.suite('words')\n"
        "def test_words(case, response):\n"
        "    harness.check(case, response)\n"
    )
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    outputs = {}
    for name, arguments in (("one", []), ("two", ["--workers=ray:2"])):
        command = [sys.executable, "-m", "pytest", "-q", "--model=model", "--baseline=other", "--no-cache"]
        done = subprocess.run(
            [*command, *arguments, f"--harness-json={name}.json", "--max-tokens=5"],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert "Traceback" not in done.stdout + done.stderr
        said = json.loads((tmp_path / f"{name}.json").read_text())
        outputs[name] = {(case["id"], case["checkpoint"]): case["output"] for case in said["cases"]}
        assert said["environment"]["workers"] == (arguments[0].partition("=")[2] if arguments else None)
    assert outputs["one"] == outputs["two"]


@pytest.mark.needs("torch")
def test_what_cannot_be_spread_is_refused(options: BackendOptions) -> None:
    (options.root / "out.jsonl").write_text('{"id": "a", "output": "b"}\n')
    recorded = dataclasses.replace(options, workers="ray:2", arguments={})
    with pytest.raises(ConfigurationError, match="--workers: no checkpoint of this session is a local model"):
        Engine(recorded).resolve(["replay/out.jsonl"])
    with pytest.raises(ConfigurationError, match="no 'rey' is registered"):
        Engine(dataclasses.replace(options, workers="rey:2")).resolve(["model"])


@pytest.mark.needs("torch")
def test_without_ray_the_command_to_install_it_is_given(
    options: BackendOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'checkpoint-harness\[ray\]'"):
        Engine(dataclasses.replace(options, workers="ray:2")).resolve(["model"])


@needs_ray
@pytest.mark.slow
def test_a_host_that_is_lost_costs_no_answer(
    workers: RayWorkers, options: BackendOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two hosts with one CPU each: the replica of the lost one has nowhere to start again."""
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    try:
        other = cluster.add_node(num_cpus=1)
        cluster.wait_for_nodes()
        monkeypatch.setenv("RAY_ADDRESS", cluster.address)
        asked = questions(160)
        checkpoint = workers.resolve("model", "model")
        answers = workers.generate(checkpoint, asked)
        found = [next(answers)]
        assert len(workers.pids()) == 2
        cluster.remove_node(other)
        found += list(answers)
        workers.close()
    finally:
        cluster.shutdown()
    assert sorted(index for index, _ in found) == list(range(160))
    assert {response.finish_reason for _, response in found} <= {"stop", "length"}
    assert workers.restarts == 1


@needs_ray
def test_a_gpu_is_rays_to_choose(options: BackendOptions) -> None:
    chosen = dataclasses.replace(options, arguments={"device": "cuda:1"})
    with pytest.raises(ConfigurationError, match="Ray chooses the GPU"):
        RayWorkers("hf", HFBackend(chosen), chosen, 2)
