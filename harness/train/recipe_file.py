"""Recipes as files: read from YAML and checked as a whole.

Every unknown key and bad value is reported in one go, each with its line and, for a misspelt key, the name
that was probably meant.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError

from harness.errors import ConfigurationError
from harness.files.read_yaml import Document, load_yaml
from harness.train.recipe import Recipe

__all__ = ["load_recipe", "parse_recipe"]


def load_recipe(path: str | Path) -> Recipe:
    """Read a recipe from a YAML file.

    Raises:
        ConfigurationError: It cannot be read, or keys and values are wrong: one line for each problem.
    """
    return parse_recipe(load_yaml(path))


def parse_recipe(document: Document) -> Recipe:
    """Check a parsed YAML document and return it as a recipe.

    Raises:
        ConfigurationError: Keys or values are wrong; the message has one line per problem, in file order.
    """
    if not isinstance(document.value, dict):
        raise ConfigurationError(
            f"{document.path}:1: expected a mapping with name, base, method, data, training"
        )
    try:
        return Recipe.model_validate(document.value)
    except ValidationError as error:
        problems = sorted(set(_problems(error, document)))
    raise ConfigurationError("\n".join(f"{document.path}:{line}: {message}" for line, message in problems))


def _problems(error: ValidationError, document: Document) -> Iterator[tuple[int, str]]:
    for problem in error.errors(include_url=False):
        place = _place(problem["loc"], document.value)
        name = ".".join(str(part) for part in place)
        line = document.line(place)
        kind, context = problem["type"], problem.get("ctx", {})
        if kind == "extra_forbidden":
            yield line, f"unknown key {name!r}{_suggestion(place)}"
        elif kind == "missing":
            yield document.line(place[:-1]), f"{name!r} is missing"
        elif kind == "value_error":
            where = f"{name}: " if name else ""
            yield line, f"{where}{context['error']}"
        elif kind == "string_pattern_mismatch" and place == ("name",):
            yield line, "name: use letters, digits, '.', '_' and '-' only (it becomes a directory)"
        elif kind in ("model_type", "tuple_type"):
            wanted = "a mapping of keys" if kind == "model_type" else "a list"
            yield line, f"{name}: should be {wanted}, not {_shown(problem['input'])}"
        else:
            message = problem["msg"][:1].lower() + problem["msg"][1:]
            yield (
                line,
                f"{name}: {message.replace('input should be', 'should be')}, not {_shown(problem['input'])}",
            )


def _place(location: tuple[int | str, ...], value: Any) -> tuple[int | str, ...]:
    """Drop the steps of pydantic's path that are names of union members, not keys of the file."""
    place: list[int | str] = []
    for index, step in enumerate(location):
        last = index == len(location) - 1
        if isinstance(value, Mapping) and isinstance(step, str) and (step in value or last):
            value = value.get(step)
        elif isinstance(value, list) and isinstance(step, int) and step < len(value):
            value = value[step]
        else:
            continue
        place.append(step)
    return tuple(place)


def _suggestion(place: tuple[int | str, ...]) -> str:
    known = _keys_at(place[:-1])
    wrong = str(place[-1])
    close = difflib.get_close_matches(wrong, known, n=1, cutoff=0.6)
    if close:
        return f": did you mean {close[0]!r}?"
    for section, part in _sections(Recipe):
        if wrong in part.model_fields:
            return f": it belongs under {section!r}"
    return f": expected one of {', '.join(known)}" if known else ""


def _keys_at(place: tuple[int | str, ...]) -> list[str]:
    part: type[BaseModel] | None = Recipe
    for step in place:
        if isinstance(step, int) or part is None:
            continue
        found = part.model_fields.get(step)
        part = None if found is None else _part_of(found.annotation)
    return [] if part is None else list(part.model_fields)


def _sections(part: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, type[BaseModel]]]:
    for name, info in part.model_fields.items():
        inner = _part_of(info.annotation)
        if inner is not None:
            yield prefix + name, inner
            yield from _sections(inner, f"{prefix}{name}.")


def _part_of(annotation: Any) -> type[BaseModel] | None:
    """Return the recipe part inside an annotation such as `Part | None` or `tuple[Part, ...]`."""
    if isinstance(annotation, type) and get_origin(annotation) is None:
        return annotation if issubclass(annotation, BaseModel) else None
    return next((part for inner in get_args(annotation) if (part := _part_of(inner)) is not None), None)


def _shown(value: Any) -> str:
    text = re.sub(r"\s+", " ", repr(value))
    return text if len(text) <= 60 else text[:59] + "…"
