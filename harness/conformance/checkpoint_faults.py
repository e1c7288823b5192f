"""What is wrong with the checkpoints that specs are resolved to, and with how they are made comparable."""

from __future__ import annotations

import pickle
import re
import sys
from collections.abc import Iterator, Mapping
from typing import Any

from harness.conformance.trial import Trial
from harness.errors import ConfigurationError, UsageError
from harness.numerics import require_alike
from harness.protocols import Backend, Checkpoint, Reconciles, TakesArguments

__all__ = ["faults_in_checkpoints", "faults_in_comparing"]

_MODEL_LIBRARIES = ("jax", "tensorflow", "torch", "transformers", "vllm")


def faults_in_checkpoints(trial: Trial) -> Iterator[str]:
    """Yield what is wrong with the checkpoint that a spec stands for."""
    loaded = {name for name in _MODEL_LIBRARIES if name in sys.modules}
    with trial.backend() as backend, trial.backend() as another:
        checkpoint = trial.resolve(backend)
        if imported := [name for name in _MODEL_LIBRARIES if name in sys.modules and name not in loaded]:
            yield f"resolve imports {', '.join(imported)}: a rerun, which asks nothing, would pay for it"
        yield from _checkpoint_faults(checkpoint, trial)
        if trial.resolve(backend) != checkpoint:
            yield "resolve, asked twice, returns two checkpoints: the session would say that files changed"
        if trial.resolve(another) != checkpoint:
            yield "another instance resolves the spec otherwise: the next session finds nothing in the cache"
        if pickle.loads(pickle.dumps(checkpoint)) != checkpoint:  # noqa: S301  (our own bytes)
            yield "the checkpoint does not survive pickling: it cannot be sent to workers"
        if trial.missing is not None:
            yield from _faults_of_missing(trial, backend, trial.missing)


def _checkpoint_faults(checkpoint: Checkpoint, trial: Trial) -> Iterator[str]:
    if checkpoint.spec != trial.spec:
        yield f"the checkpoint's spec is {checkpoint.spec!r}, not {trial.spec!r} as passed"
    if checkpoint.backend != trial.name:
        yield f"the checkpoint's backend is {checkpoint.backend!r}, not {trial.name!r}: nobody answers for it"
    if not checkpoint.name or not checkpoint.name.isprintable():
        yield f"the checkpoint's name is {checkpoint.name!r}: not one line that can be shown"
    if not re.fullmatch("[0-9a-f]{64}", checkpoint.fingerprint):
        yield f"the fingerprint is {checkpoint.fingerprint!r}: not a sha256 of 64 hexadecimal digits"
    numerics: Mapping[Any, Any] = checkpoint.numerics
    for key, value in numerics.items():
        if not isinstance(key, str) or not isinstance(value, str):
            yield f"numerics: {key!r} is {value!r}; both must be texts, as they are part of every cache key"


def _faults_of_missing(trial: Trial, backend: Backend, spec: str) -> Iterator[str]:
    try:
        trial.resolve(backend, spec)
    except UsageError as problem:
        if len(str(problem).splitlines()) != 1:
            yield f"resolve says more than one line of {spec}: {str(problem)!r}"
    except Exception as problem:
        yield f"resolve raises {type(problem).__name__} for {spec}, not a UsageError with the next step"
    else:
        yield f"resolve finds {spec}, which is not there"


def faults_in_comparing(trial: Trial) -> Iterator[str]:
    """Yield what is wrong with how checkpoints are made to be computed alike."""
    specs = [trial.spec, *trial.rivals]
    with trial.backend() as backend:
        if not isinstance(backend, Reconciles):
            return
        compared = [trial.resolve(backend, spec) for spec in specs]
        for few in ([], compared[:1]):
            if demands := dict(backend.reconcile(few)):
                yield f"reconcile asks for {demands} with {len(few)} checkpoints: nothing is to reconcile"
        demands = dict(backend.reconcile(compared))
        accepted = backend.ARGUMENTS if isinstance(backend, TakesArguments) else {}
        if strange := [key for key in demands if key not in accepted]:
            yield f"reconcile returns {', '.join(strange)}, which ARGUMENTS does not list"
    with trial.backend(**{f"{trial.name}.{key}": value for key, value in demands.items()}) as backend:
        compared = [trial.resolve(backend, spec) for spec in specs]
        if isinstance(backend, Reconciles) and (again := dict(backend.reconcile(compared))):
            yield f"reconcile asks for {again} under the arguments that it has returned"
        try:
            require_alike(compared)
        except ConfigurationError as problem:
            yield f"checkpoints that were reconciled are not computed alike: {problem}"
