"""What a session asks, and of whom."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.cases import Message, Request, Response
from harness.engine.cache import ResponseCache
from harness.engine.fill import fill
from harness.engine.plan import Plan
from harness.protocols import Checkpoint


@dataclass(frozen=True)
class Signed:
    """Answers with its own name and the type that it was told to compute in."""

    name: str

    def resolve(self, name: str, spec: str) -> Checkpoint:
        raise NotImplementedError

    def generate(self, checkpoint: Checkpoint, requests: Sequence[Request]) -> Iterator[tuple[int, Response]]:
        for index, _ in enumerate(requests):
            yield index, Response(f"{self.name} {checkpoint.numerics['dtype']}")

    def close(self) -> None: ...


def test_the_same_files_in_two_backends_are_asked_apart(tmp_path: Path) -> None:
    """A backend knows a checkpoint's files by their fingerprint, and another may load the same ones."""
    checkpoints = [
        Checkpoint("base", "base", backend, "base", "f" * 64, numerics={"dtype": dtype})
        for backend, dtype in (("hf", "float32"), ("vllm", "float32"), ("vllm", "bfloat16"))
    ]
    plan = Plan()
    keys = [plan.add(checkpoint, Request((Message("user", "hello"),))) for checkpoint in checkpoints]
    cache = ResponseCache(tmp_path / "cache.sqlite", session="s")
    _, answers = fill(plan, cache, lambda checkpoint: Signed(checkpoint.backend))
    assert [answers[key].text for key in keys] == ["hf float32", "vllm float32", "vllm bfloat16"]
    assert {key: found.text for key, found in cache.get_many(keys).items()} == {
        key: answers[key].text for key in keys
    }
    cache.close()
