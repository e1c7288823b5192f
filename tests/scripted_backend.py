"""A backend that answers from a script and remembers what it was asked, registered as a third party's is."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from harness.cases import Message, Request, Response
from harness.protocols import BackendOptions, Checkpoint

__all__ = ["Scripted", "checkpoint", "question", "register"]


def checkpoint(name: str = "model", **fields: Any) -> Checkpoint:
    """A checkpoint of the scripted backend, whose fingerprint tells its name."""
    plain: dict[str, Any] = {
        "spec": f"scripted/{name}",
        "name": name,
        "backend": "scripted",
        "location": name,
        "fingerprint": name.ljust(64, "0"),
    }
    return Checkpoint(**(plain | fields))


def question(text: str, **fields: Any) -> Request:
    """A request of one user message."""
    return Request((Message("user", text),), **fields)


@dataclass
class Scripted:
    """Answers each request by a function; the last message, in capitals, by default.

    Attributes:
        answer: From the checkpoint's name and the request to a response; None for no answer at all.
        checkpoints: What specs resolve to, by name; one without fields of its own otherwise.
        asked: Every batch that it was given: the checkpoint's name and its requests.
        closed: How often it was closed.
    """

    answer: Callable[[str, Request], Response | None] = field(
        default=lambda name, request: Response(request.messages[-1].content.upper())
    )
    checkpoints: dict[str, Checkpoint] = field(default_factory=dict)
    asked: list[tuple[str, list[Request]]] = field(default_factory=list)
    closed: int = 0

    def resolve(self, name: str, spec: str) -> Checkpoint:
        return replace(self.checkpoints.get(name, checkpoint(name)), spec=spec)

    def generate(self, checkpoint: Checkpoint, requests: Sequence[Request]) -> Iterator[tuple[int, Response]]:
        self.asked.append((checkpoint.name, list(requests)))
        for index, request in enumerate(requests):
            response = self.answer(checkpoint.name, request)
            if response is not None:
                yield index, response

    def close(self) -> None:
        self.closed += 1

    def texts(self) -> list[list[str]]:
        """The last message of every request, batch by batch."""
        return [[request.messages[-1].content for request in requests] for _, requests in self.asked]


def register(
    folder: Path, monkeypatch: pytest.MonkeyPatch, backends: Mapping[str, Any], workers: Any = None
) -> list[tuple[str, BackendOptions]]:
    """Register backends as an installed distribution does; return the list of what is built of them.

    Args:
        folder: Where the distribution's metadata is written.
        monkeypatch: Takes everything back.
        backends: Entry-point name → the backend that is returned whenever one is built.
        workers: What spreads a backend, under the name `threads`.
    """
    built: list[tuple[str, BackendOptions]] = []
    module = type(sys)("scripted_distribution")

    def factory(name: str) -> Callable[[BackendOptions], Any]:
        def build(options: BackendOptions) -> Any:
            built.append((name, options))
            return backends[name]

        return build

    for name in backends:
        setattr(module, f"build_{name}", factory(name))
    module.spread = workers  # type: ignore[attr-defined]  # a module made here has what it is given
    metadata = folder / "scripted_distribution-1.0.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: scripted-distribution\nVersion: 1.0\n")
    entries = [f"{name} = scripted_distribution:build_{name}" for name in backends]
    lines = ["[harness.backends]", *entries]
    if workers is not None:
        lines += ["[harness.workers]", "threads = scripted_distribution:spread"]
    (metadata / "entry_points.txt").write_text("\n".join(lines) + "\n")
    monkeypatch.setitem(sys.modules, "scripted_distribution", module)
    monkeypatch.syspath_prepend(str(folder))
    return built
