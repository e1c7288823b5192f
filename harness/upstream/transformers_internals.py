"""What we use of transformers' models, and of PEFT's, that their documentation does not promise.

Sharing prefixes needs to exchange a model's attention: without the names for that, the model runs as it is.
What keeps a checkpoint from running code, or from being loaded in part, has no plain path: without the
arguments and reports that it is made of, nothing is loaded.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from harness.upstream.private_name import PrivateName, missing_names, refuse_without

__all__ = [
    "NAMES",
    "attention_of",
    "can_drop_rows",
    "can_exchange_attention",
    "drop_rows",
    "lets_attention_be_exchanged",
    "missing",
    "refuse_incomplete_report",
    "refuse_unguarded_loading",
    "template_renderer",
]

_WHOLE = "no model shares prefixes, every prompt is read whole, which takes longer"
_LOADER, _AUTO_MODEL = "transformers.PreTrainedModel.from_pretrained", "transformers.AutoModelForCausalLM"
_AUTO_TOKENIZER, _REPORT, _ADAPTER = (
    "transformers.AutoTokenizer",
    "transformers.loading_info",
    "peft.load_result",
)

_ATTENTION = (
    PrivateName("transformers", "PreTrainedConfig._attn_implementation", _WHOLE),
    PrivateName("transformers", "PreTrainedModel._can_set_attn_implementation", _WHOLE),
    PrivateName("transformers", "PreTrainedModel._supports_attention_backend", _WHOLE),
    PrivateName("transformers", "PreTrainedModel.set_attn_implementation", _WHOLE),
    PrivateName("transformers", "AttentionInterface.register", _WHOLE),
)
_DROP_ROWS = PrivateName(
    "transformers",
    "Cache.reorder_cache",
    "a model that does not share prefixes answers one row at a time",
)
_RENDERER = PrivateName(
    "transformers.utils.chat_template_utils",
    "render_jinja_template",
    "the turns to train are found by rendering each row turn by turn, which takes longer",
)
_NO_CODE = "a checkpoint is kept from running code of its own"
_LOADING = (
    PrivateName(_LOADER, "use_safetensors", guards="a checkpoint is read from safetensors alone"),
    PrivateName(_AUTO_MODEL, "trust_remote_code", guards=_NO_CODE),
    PrivateName(_AUTO_TOKENIZER, "trust_remote_code", guards=_NO_CODE),
)
_WHOLLY = "a checkpoint that was loaded in part is found out"
_LOADED = (
    PrivateName(_REPORT, "missing_keys", guards=_WHOLLY),
    PrivateName(_REPORT, "unexpected_keys", guards=_WHOLLY),
    PrivateName(_REPORT, "mismatched_keys", guards=_WHOLLY),
    PrivateName(_ADAPTER, "missing_keys", guards=_WHOLLY),
    PrivateName(_ADAPTER, "unexpected_keys", guards=_WHOLLY),
)
NAMES = (*_ATTENTION, _DROP_ROWS, _RENDERER, *_LOADING, *_LOADED)


@functools.cache
def missing() -> tuple[PrivateName, ...]:
    """Return the names with a plain path that this transformers does not have."""
    return missing_names((*_ATTENTION, _DROP_ROWS, _RENDERER))


# --- loading -------------------------------------------------------------------------------------------


@functools.cache
def refuse_unguarded_loading() -> None:
    """Load nothing with a transformers that does not know the arguments which keep loading safe.

    Raises:
        IncompatibleLibraryError: Names those that it does not know.
    """
    import transformers

    loader = inspect.signature(transformers.PreTrainedModel.from_pretrained).parameters
    owners: dict[str, object] = {_LOADER: SimpleNamespace(**dict.fromkeys(loader))}
    for owner in (_AUTO_MODEL, _AUTO_TOKENIZER):
        automatic = getattr(transformers, owner.removeprefix("transformers."))
        # the argument is taken out of its keywords there, so that no signature tells of it
        source = _source_of(automatic.from_pretrained)
        owners[owner] = SimpleNamespace(**{name.name: True for name in _LOADING if name.name in source})
    refuse_without(missing_names(_LOADING, owners))


def _source_of(function: Any) -> str:
    """Return the text of the module that a function is written in; its own constants where there is none."""
    code = inspect.unwrap(function).__code__
    try:
        return Path(code.co_filename).read_text(encoding="utf-8")
    except OSError:
        return repr((code.co_varnames, code.co_consts))


def refuse_incomplete_report(report: object) -> None:
    """Trust no report of what was loaded that does not tell of every kind of failure.

    Args:
        report: The loading info of `from_pretrained`, or what PEFT's `load_adapter` returned.

    Raises:
        IncompatibleLibraryError: Names what it does not tell.
    """
    if isinstance(report, Mapping):
        owners: dict[str, object] = {_REPORT: SimpleNamespace(**report), _ADAPTER: None}
    else:
        owners = {_REPORT: None, _ADAPTER: object() if report is None else report}
    refuse_without(missing_names(_LOADED, owners))


# --- computing -----------------------------------------------------------------------------------------


@functools.cache
def can_exchange_attention() -> bool:
    """Whether this transformers has all that it takes to compute a model's attention in another way."""
    return not missing_names(_ATTENTION)


def attention_of(model: Any) -> str:
    """Return the name of the attention that a model computes with."""
    return str(model.config._attn_implementation)


def lets_attention_be_exchanged(model: Any) -> bool:
    """Whether a model says of itself that its attention may be computed by a function of others."""
    return bool(type(model)._supports_attention_backend) and bool(model._can_set_attn_implementation())


@functools.cache
def can_drop_rows() -> bool:
    """Whether rows can be dropped from a cache of keys and values."""
    return not missing_names((_DROP_ROWS,))


def drop_rows(cache: Any, kept: Any) -> None:
    """Keep only these rows of a cache of keys and values.

    Args:
        cache: A `transformers.Cache`.
        kept: Indices of the rows, shape (rows,).
    """
    cache.reorder_cache(kept)  # every kind of cache has it, for beams


@functools.cache
def template_renderer() -> Any:
    """Return what renders conversations and says where the assistant speaks; None where it is not there."""
    return _RENDERER.load()
