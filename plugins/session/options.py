"""The options, ini keys and environment variables, and the settings that they add up to.

Imports nothing but the standard library: it is loaded by every pytest session, ours or not.
"""

from __future__ import annotations

import argparse
import itertools
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from ..pytest_internals import hand_over_options

__all__ = ["SamplingOptions", "Settings", "add_options", "read_settings"]

_DEFAULT_CONCURRENCY = 8


@dataclass(frozen=True)
class SamplingOptions:
    """What the command line says of sampling; None leaves a golden set's own value.

    Attributes:
        epochs: Samples per case, ≥ 1.
        seed: Seed of every draw.
        temperature: ≥ 0.
        max_tokens: ≥ 1.
    """

    epochs: int = 1
    seed: int = 0
    temperature: float | None = None
    max_tokens: int | None = None


@dataclass(frozen=True)
class Settings:
    """What this session is asked to do.

    Attributes:
        models: Specs of the candidates, in order; empty when the session is not ours.
        baseline: Spec of the baseline, `run:NAME`, or None.
        judge: Spec of the judge model, or None.
        sampling: Sampling options.
        limit: Cases per suite, for a quick look; makes verdicts partial.
        tags: Only cases with one of them; empty for all.
        tags_not: No case with one of them.
        arguments: `-M key=value` pairs for the backends.
        batch_size: Rows per batch of a local model; None for auto.
        concurrency: Most requests in flight at a served model.
        workers: What holds replicas of a local model, as `ray` or `ray:N`; None for this process.
        state: Where runs and the response cache are kept.
        golden_roots: Where golden sets are looked up before the shipped ones.
        use_cache: Whether answers of earlier sessions are used.
        results: Path for the results as JSON.
        waive_inconclusive: Whether INCONCLUSIVE exits with 0 (recorded as a waiver).
        run_code: Whether checks may run the code that models write, isolated from the machine.
        run_code_unisolated: Whether they may also where the system cannot isolate it.
        allow_margin_below_noise: Whether margins below the measured noise are accepted.
        allow_same: Whether a checkpoint may be compared with itself.
        rules_out: The drop that every suite's PASS excludes; None leaves it to the gates.
        early_stop: Whether a suite is stopped as soon as its verdict is settled.
        lm_eval_tasks: Tasks of lm-evaluation-harness to gate, as `NAME`, a path, and `?option=…#metric`.
        page: Whether an HTML page is written beside the record.
        nonce: Echoed in the results, for a parent process that must know they are from this session.
    """

    models: tuple[str, ...] = ()
    baseline: str | None = None
    judge: str | None = None
    sampling: SamplingOptions = field(default_factory=SamplingOptions)
    limit: int | None = None
    tags: tuple[str, ...] = ()
    tags_not: tuple[str, ...] = ()
    arguments: Mapping[str, str] = field(default_factory=dict)
    batch_size: int | None = None
    concurrency: int = _DEFAULT_CONCURRENCY
    workers: str | None = None
    state: Path = Path(".harness")
    golden_roots: tuple[Path, ...] = ()
    use_cache: bool = True
    results: Path | None = None
    waive_inconclusive: bool = False
    run_code: bool = False
    run_code_unisolated: bool = False
    allow_margin_below_noise: bool = False
    allow_same: bool = False
    rules_out: float | None = None
    early_stop: bool = False
    lm_eval_tasks: tuple[str, ...] = ()
    page: bool = True
    nonce: str | None = None


# --- declaring -----------------------------------------------------------------------------------------


def add_options(parser: pytest.Parser) -> None:
    """Declare every option under its short name and a namespaced alias that nobody else has.

    Another plugin, or a conftest loaded later, may own a short name: then it keeps it, and ours is reached
    by the alias.
    """
    group = parser.getgroup("harness", "Checkpoint Harness: gate LLM checkpoints")

    def option(*names: str, **attributes: Any) -> None:
        long = next(name for name in names if name.startswith("--"))
        alias = "--harness-" + long.removeprefix("--").removeprefix("harness-")
        dest = alias.removeprefix("--").replace("-", "_")
        _declare(group, alias, names, dest=dest, **attributes)

    option("--model", action="append", metavar="SPEC", help="checkpoint to gate; repeatable, or a comma list")
    option("--baseline", metavar="SPEC", help="checkpoint, or run:NAME of a stored run, to compare with")
    option("--judge", metavar="SPEC", help="model that judges, such as anthropic/NAME or openai/NAME")
    option(
        "--limit",
        type=_at_least(1),
        metavar="N",
        help="a random sample of N cases of each suite, by --seed; verdicts are partial",
    )
    option("--tag", action="append", metavar="TAG", help="only cases with this tag; repeatable: any of them")
    option("--tag-not", action="append", metavar="TAG", help="no case with this tag; repeatable")
    option("--epochs", type=_at_least(1), metavar="K", help="samples per case (default 1)")
    option("--seed", type=_at_least(0), metavar="N", help="seed of every draw (default 0)")
    option("--temperature", type=_temperature, metavar="T", help="overrides the golden sets' temperature")
    option("--max-tokens", type=_at_least(1), metavar="N", help="overrides the golden sets' answer length")
    option("--batch-size", type=_batch_size, metavar="N|auto", help="rows per batch of a local model")
    option("--concurrency", type=_at_least(1), metavar="N", help="requests in flight at a served model (8)")
    option(
        "--workers",
        type=_workers,
        metavar="ray[:N]",
        help="replicas of a local model as Ray actors: one per GPU, or N",
    )
    option("-M", "--model-arg", action="append", metavar="KEY=VALUE", help="argument for the backends")
    option(
        "--allow-margin-below-noise",
        action="store_true",
        help="accept margins below the noise that harness noise has measured",
    )
    option(
        "--rules-out",
        type=_share,
        metavar="DROP",
        help="drop of the mean score that a PASS of every suite excludes, such as 0.05",
    )
    option(
        "--allow-same",
        action="store_true",
        help="compare a checkpoint with itself (otherwise INCONCLUSIVE: it cannot have become worse)",
    )
    option("--early-stop", action="store_true", help="stop a suite as soon as its verdict is settled")
    option("--no-cache", action="store_true", help="use no answers of earlier sessions")
    option(
        "--inconclusive", choices=("fail", "warn"), help="warn: INCONCLUSIVE exits with 0, and is recorded"
    )
    option("--allow-code-execution", action="store_true", help="run code of models in a sandbox, to check it")
    option(
        "--allow-unisolated-code",
        action="store_true",
        help="run it, with limits alone, also where this system has no namespaces; implies the above",
    )
    option(
        "--lm-eval-tasks",
        action="append",
        metavar="TASKS",
        help="gate these tasks of lm-evaluation-harness: names or YAML paths, a comma list",
    )
    option("--harness-plan", metavar="PATH", help=argparse.SUPPRESS)
    option("--harness-json", metavar="PATH", help="write the results as JSON")
    option(
        "--harness-full-protocol",
        action="store_true",
        help="run every test by pytest's full protocol, also where a direct call does the same",
    )
    option("--harness-nonce", metavar="TEXT", help=argparse.SUPPRESS)
    for key, text in _INI.items():
        parser.addini(key, text, type="string", default="")
    hand_over_options(parser, lambda action: action.dest.startswith("harness_"))


_INI = {
    "harness_model": "default of --model",
    "harness_baseline": "default of --baseline, used with a model",
    "harness_judge": "default of --judge",
    "harness_golden": "folder of golden sets under the root (default: golden)",
    "harness_suites": "what `pytest --model=…` runs when no path is given (default: suites)",
    "harness_early_stop": "true: stop each suite as soon as its verdict is settled (default: false)",
    "harness_page": "false: write no report.html beside a run (default: true)",
    "harness_state": "folder for runs and cached answers (default: .harness)",
}


def _declare(group: Any, alias: str, names: tuple[str, ...], **attributes: Any) -> None:
    """Declare an option by its alias, and by as many of its names as nobody else has."""
    others = [name for name in names if name != alias]
    for size in range(len(others), 0, -1):
        for free in itertools.combinations(others, size):
            try:
                group.addoption(alias, *free, **attributes)
            except (argparse.ArgumentError, ValueError):  # one is taken, in another group or in this one
                continue
            return
    group.addoption(alias, **attributes)


def _at_least(lowest: int) -> Any:
    def number(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number") from None
        if value < lowest:
            raise argparse.ArgumentTypeError(f"must be at least {lowest}, not {value}")
        return value

    return number


def _temperature(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number") from None
    if not 0 <= value <= 10:
        raise argparse.ArgumentTypeError(f"must lie between 0 and 10, not {text}")
    return value


def _share(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number") from None
    if not 0 < value < 1:
        raise argparse.ArgumentTypeError(f"must lie between 0 and 1 (0.05 is five points), not {text}")
    return value


def _workers(text: str) -> str:
    kind, colon, count = text.partition(":")
    if not kind or (colon and not (count.isascii() and count.isdigit() and int(count))):
        raise argparse.ArgumentTypeError(f"expected ray or ray:N, not {text!r}")
    return text


def _batch_size(text: str) -> int | str:
    return "auto" if text == "auto" else _at_least(1)(text)


# --- reading -------------------------------------------------------------------------------------------


def read_settings(config: pytest.Config) -> Settings:
    """Add up command line, environment and ini, in this order of precedence.

    Raises:
        pytest.UsageError: A value cannot be used.
    """

    def value(name: str) -> Any:
        return config.getoption(f"harness_{name}", default=None)

    root = config.rootpath
    models = _models(config)
    sampling = SamplingOptions(
        epochs=value("epochs") or 1,
        seed=value("seed") or 0,
        temperature=value("temperature"),
        max_tokens=value("max_tokens"),
    )
    batch_size = value("batch_size")
    results = value("json")
    return Settings(
        models=models,
        baseline=value("baseline") or _fallback(config, "baseline") or None,
        judge=value("judge") or _fallback(config, "judge") or None,
        sampling=sampling,
        limit=value("limit"),
        tags=tuple(value("tag") or ()),
        tags_not=tuple(value("tag_not") or ()),
        arguments=_arguments(value("model_arg") or []),
        batch_size=None if batch_size in (None, "auto") else batch_size,
        concurrency=value("concurrency") or _DEFAULT_CONCURRENCY,
        workers=value("workers"),
        state=root / (_fallback(config, "state") or ".harness"),
        golden_roots=(root / (config.getini("harness_golden") or "golden"),),
        use_cache=not value("no_cache"),
        results=None if results is None else config.invocation_params.dir / results,
        waive_inconclusive=value("inconclusive") == "warn",
        run_code=bool(value("allow_code_execution") or value("allow_unisolated_code")),
        run_code_unisolated=bool(value("allow_unisolated_code")),
        allow_margin_below_noise=bool(value("allow_margin_below_noise")),
        allow_same=bool(value("allow_same")),
        rules_out=value("rules_out"),
        early_stop=bool(value("early_stop")) or _is_yes(config, "early_stop"),
        lm_eval_tasks=_tasks(value("lm_eval_tasks") or []),
        page=_is_yes(config, "page", default=True),
        nonce=value("nonce"),
    )


def _models(config: pytest.Config) -> tuple[str, ...]:
    typed = config.getoption("harness_model", default=None)
    sources = typed if typed is not None else [_fallback(config, "model")]
    models = [part.strip() for source in sources for part in source.split(",")]
    if typed is not None and not all(models):
        raise pytest.UsageError("--model is empty: give a directory, checkpoint-N, or provider/name")
    repeated = sorted({model for model in models if model and models.count(model) > 1})
    if repeated:
        raise pytest.UsageError(f"--model names {', '.join(repeated)} twice")
    return tuple(model for model in models if model)


def _tasks(given: list[str]) -> tuple[str, ...]:
    tasks = [part.strip() for source in given for part in source.split(",")]
    if given and not all(tasks):
        raise pytest.UsageError("--lm-eval-tasks names nothing: give tasks, such as arc_easy,hellaswag")
    return tuple(dict.fromkeys(tasks))


def _fallback(config: pytest.Config, name: str) -> str:
    return os.environ.get(f"HARNESS_{name.upper()}") or str(config.getini(f"harness_{name}") or "")


def _is_yes(config: pytest.Config, name: str, *, default: bool = False) -> bool:
    text = _fallback(config, name).strip().lower()
    if text not in ("", "0", "1", "true", "false", "yes", "no", "on", "off"):
        raise pytest.UsageError(f"harness_{name} = {text}: expected true or false")
    return text in ("1", "true", "yes", "on") if text else default


def _arguments(pairs: list[str]) -> dict[str, str]:
    arguments: dict[str, str] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key.strip():
            raise pytest.UsageError(f"-M {pair}: expected KEY=VALUE")
        if key.strip() in arguments:
            raise pytest.UsageError(f"-M {key.strip()} is given twice")
        arguments[key.strip()] = value
    return arguments
