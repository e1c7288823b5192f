"""What a finished run must show before anybody trusts its checkpoints."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from harness.train.recorder import StepRecord

__all__ = ["curve_warnings", "sample_weights", "weights_changed"]


def sample_weights(model: Any, most: int = 4096) -> dict[str, Any]:
    """Copy up to `most` evenly spaced values of each trained tensor."""
    samples = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            flat = parameter.detach().reshape(-1)
            samples[name] = flat[:: max(1, flat.numel() // most)].cpu().clone()
    return samples


def weights_changed(before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    """Whether any sampled weight differs beyond rounding: an update of 1e-30 on a zero is no training."""
    return not all(bool(value.allclose(after[name], rtol=1e-6, atol=1e-9)) for name, value in before.items())


def curve_warnings(records: Sequence[StepRecord]) -> list[str]:
    """Say when the loss rose over the run, or the validation loss left its minimum behind."""
    warnings = []
    tenth = max(1, len(records) // 10)
    if len(records) >= 4:
        first = math.fsum(record.loss for record in records[:tenth]) / tenth
        last = math.fsum(record.loss for record in records[-tenth:]) / tenth
        if last > first:
            warnings.append(f"the training loss rose from {first:.3f} to {last:.3f}: lower learning_rate")
    measured = [
        (record.validation_loss, record.step) for record in records if record.validation_loss is not None
    ]
    if measured:
        best, step = min(measured)
        if measured[-1][0] > best * 1.1:
            warnings.append(
                f"the validation loss was lowest at step {step} ({best:.3f}) and ended at "
                f"{measured[-1][0]:.3f}: the later checkpoints overfit"
            )
    return warnings
