"""What is wrong with the members of a backend, before it has done anything."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from harness.conformance.trial import Trial
from harness.errors import ConfigurationError
from harness.protocols import TakesArguments

__all__ = ["faults_in_members"]

_FOREIGN = {"a_key_of_nobody": "1", "another_backend.timeout": "never"}


def faults_in_members(trial: Trial) -> Iterator[str]:
    """Yield what is wrong with the members of a backend, before it has done anything."""
    with trial.backend() as backend:
        if lacking := [name for name in ("resolve", "generate", "close") if not hasattr(backend, name)]:
            yield f"it has no method {' and no '.join(lacking)}"
            return
        backend.close()  # and once more at the end of the block
        if isinstance(backend, TakesArguments):
            arguments: Mapping[Any, Any] = backend.ARGUMENTS
            for key, meaning in arguments.items():
                if not re.fullmatch(r"[a-z][a-z0-9_]*", key):
                    yield f"ARGUMENTS: {key!r} is no name in small letters, without a dot"
                if not isinstance(meaning, str) or not meaning.strip():
                    yield f"ARGUMENTS: {key} does not say what it means"
        for member in ("LIKELIHOODS", "REPLICATES"):
            value: object = getattr(backend, member, False)
            if not isinstance(value, bool):
                yield f"{member} is {value!r}, neither True nor False"
    try:
        with trial.backend(**_FOREIGN):
            pass
    except ConfigurationError as problem:
        yield f"it refuses arguments of other backends, which the engine passes to all: {problem}"
