"""What we use of TRL's and transformers' trainer that their documentation does not promise.

All of it guards something, so that there is no plain path: where TRL tells others what it does we must know
how to stop it, and a run that goes on from a checkpoint must get back all of its state. What a run needs
besides, it gets from methods and events that are documented to be overridden.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from harness.errors import IncompatibleLibraryError
from harness.upstream.private_name import PrivateName, lost_safeguard, missing_names, refuse_without

__all__ = ["NAMES", "guarded_trainer", "known_arguments", "unchecked_step"]

_TRAINER, _ARGUMENTS = "trl.SFTTrainer", "trl.SFTConfig"
_UNSENT = "nothing about a training run is sent to anybody"
_TELEMETRY = PrivateName(_TRAINER, "_send_telemetry", guards=_UNSENT)
_SENDING = (
    PrivateName(_ARGUMENTS, "report_to", guards=_UNSENT),
    PrivateName(_ARGUMENTS, "push_to_hub", guards=_UNSENT),
)
_PRE_STEP = PrivateName(
    "transformers",
    "TrainerCallback.on_pre_optimizer_step",
    guards="no step is taken with a gradient that is not finite",
)
_WHOLE_STATE = "a resumed run goes on as if it had not stopped (harness train --restart starts over)"
_RESUMING = (
    PrivateName(_TRAINER, "_load_from_checkpoint", guards=_WHOLE_STATE),
    PrivateName(_TRAINER, "_load_optimizer_and_scheduler", guards=_WHOLE_STATE),
    PrivateName(_TRAINER, "_load_rng_state", guards=_WHOLE_STATE),
)
NAMES = (_TELEMETRY, *_SENDING, _PRE_STEP, *_RESUMING)

_SINCE_1_16 = frozenset({"trust_remote_code"})
"""Arguments that say what an older TRL does anyway: it loads nothing, model and tokenizer are handed in."""


def known_arguments(arguments: Mapping[str, object]) -> dict[str, object]:
    """Return the arguments for `SFTConfig`, as far as this TRL knows them.

    Raises:
        IncompatibleLibraryError: It does not know one that makes a run what its recipe says.
    """
    fields = import_module("trl").SFTConfig.__dataclass_fields__
    owners = {_ARGUMENTS: SimpleNamespace(**dict.fromkeys(fields))}
    promised = [
        PrivateName(_ARGUMENTS, name, guards="a run is what its recipe says")
        for name in arguments
        if name not in _SINCE_1_16
    ]
    refuse_without(missing_names((*_SENDING, *promised), owners))
    return {name: value for name, value in arguments.items() if name in fields}


def unchecked_step() -> IncompatibleLibraryError:
    """Return the error that a step was taken without its gradient having been looked at."""
    return lost_safeguard((_PRE_STEP,))


@functools.cache
def guarded_trainer() -> Any:
    """Return a class like TRL's `SFTTrainer` that sends nothing, and is resumed by methods of its own.

    A subclass has `restore_optimizer` and `restore_random_state`, which are called with the directory of the
    state; weights are not loaded, the model that was handed in has them.

    Raises:
        IncompatibleLibraryError: This TRL may send what we cannot stop, or tells nobody before a step.
    """
    trl: Any = import_module("trl")
    stock: Any = trl.SFTTrainer
    refuse_without(missing_names((_TELEMETRY,) if _sends(stock) else (), {_TRAINER: stock}))
    refuse_without(missing_names((_PRE_STEP,)))

    class GuardedTrainer(stock):  # type: ignore[misc] # untyped base
        """See the function's docstring."""

        def __init__(self, *args: Any, **kwargs: Any) -> None:
            self._unrestored: set[str] = set()
            super().__init__(*args, **kwargs)

        def train(self, resume_from_checkpoint: str | None = None, **kwargs: Any) -> Any:
            """Train, from a checkpoint on where one is given."""
            if resume_from_checkpoint is not None:
                refuse_without(missing_names(_RESUMING, {_TRAINER: stock}))
                self._unrestored = {name.name for name in _RESUMING[1:]}
            return super().train(resume_from_checkpoint=resume_from_checkpoint, **kwargs)

        def refuse_partial_state(self) -> None:
            """Stop a resumed run whose state was not all put back: upstream calls other methods now."""
            refuse_without(name for name in _RESUMING if name.name in self._unrestored)

        def _send_telemetry(self) -> None:
            """Send nothing: training data and habits are the user's."""

        def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
            """Load no weights: the model that was handed in has the checkpoint's."""

        def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
            if checkpoint is not None:
                self.restore_optimizer(Path(checkpoint))
                self._unrestored.discard("_load_optimizer_and_scheduler")

        def _load_rng_state(self, checkpoint: str | None) -> None:
            if checkpoint is not None:
                self.restore_random_state(Path(checkpoint))
                self._unrestored.discard("_load_rng_state")

    return GuardedTrainer


def _sends(trainer: type) -> bool:
    """Whether any module that a trainer is made of has to do with telemetry; TRL 1.0 has not."""
    modules = {kind.__module__ for kind in trainer.__mro__ if kind.__module__.partition(".")[0] == "trl"}
    return any("telemetry" in name.lower() for module in modules for name in vars(sys.modules[module]))
