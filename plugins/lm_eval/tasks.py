"""Find and build tasks of lm-evaluation-harness: by name, by YAML file, or all of a folder."""

from __future__ import annotations

import contextlib
import io
import logging
import re
import warnings
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from harness.errors import ConfigurationError, GoldenSetError, MissingDependencyError, TrustError
from harness.registry import did_you_mean

from .spec import TaskSpec

__all__ = ["build_tasks", "lm_eval_version", "quiet"]

_OLDEST_DATASETS = 4
"""From this version on no dataset can run code of its own, whatever a task asks for (trust_remote_code)."""


def build_tasks(spec: TaskSpec, root: Path) -> list[Any]:
    """Return the tasks that a spec names, each an `lm_eval.api.task.Task` with its dataset loaded.

    A group or a tag stands for its tasks; so does a folder. A task that is given by path may name Python
    functions beside it (`!function`): they run as the project's own code does.

    Args:
        spec: The task and how its prompts are built.
        root: Directory that relative paths start from.

    Raises:
        ConfigurationError: There is no such task.
        TrustError: The task would run code that nobody allowed.
        GoldenSetError: It is malformed, or its dataset is not here and cannot be fetched.
        MissingDependencyError: lm-eval is not installed.
    """
    try:
        from lm_eval.tasks import TaskManager
    except ModuleNotFoundError as error:
        raise MissingDependencyError(str(error.name), extra="lm-eval") from error
    _refuse_old_datasets()
    with quiet():
        manager, names = _find(spec.task, root, TaskManager)
        tasks: dict[str, Any] = {}
        for name in names:
            _refuse_untrusted(manager, name, spec)
            tasks |= _load(manager, name, spec.task)
    for task in tasks.values():
        _refuse_unsupported(task, spec)
        _configure(task, spec)
    return list(tasks.values())


def lm_eval_version() -> str:
    """Return the version of lm-eval that is installed."""
    return version("lm_eval")


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep lm-eval's progress bars and remarks off the terminal; what matters is raised."""
    logger = logging.getLogger("lm_eval")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


# --- finding -------------------------------------------------------------------------------------------


def _find(named: str, root: Path, manager_of: Any) -> tuple[Any, list[str]]:
    """Return a task manager, and what it must load."""
    path = (root / Path(named).expanduser()).resolve()
    if path.suffix in (".yaml", ".yml"):
        if not path.is_file():
            raise GoldenSetError("there is no such file: give the path of a task's YAML file", path=path)
        manager = manager_of(include_path=str(path.parent), include_defaults=False)
        names = [name for name, entry in manager.task_index.items() if entry.yaml_path == path]
        if not names:
            raise GoldenSetError("is no lm-eval task: it has no `task:` or is not YAML", path=path)
        return manager, names
    if path.is_dir() and ("/" in named or not _shipped_folders(named)):
        manager = manager_of(include_path=str(path), include_defaults=False)
        if not manager.all_subtasks:
            raise GoldenSetError(
                "no lm-eval task in this folder: it needs YAML files with `task:`", path=path
            )
        return manager, list(manager.all_subtasks)
    return _shipped(named, manager_of)


def _shipped(named: str, manager_of: Any) -> tuple[Any, list[str]]:
    """Look a name up among lm-eval's own tasks; a single task without reading all of their YAML files."""
    folders = _shipped_folders(named)
    if len(folders) == 1:
        manager = manager_of(include_path=str(folders[0]), include_defaults=False)
        if named in manager.all_subtasks:
            return manager, [named]
    manager = manager_of()
    if named not in manager.all_tasks:
        hint = did_you_mean(named, manager.all_tasks) or "; `lm-eval ls tasks` lists them"
        raise ConfigurationError(
            f"lm_eval:{named}: lm-eval {lm_eval_version()} has no task, group or tag of this name{hint}"
        )
    return manager, [named]


def _shipped_folders(named: str) -> list[Path]:
    """Return the folders with a YAML file that says `task: NAME`: lm-eval has ten thousand of them."""
    import lm_eval.tasks

    says = re.compile(rb"^task:\s*[\"']?" + re.escape(named).encode() + rb"[\"']?\s*$", re.MULTILINE)
    top = Path(str(lm_eval.tasks.__file__)).parent
    return sorted(
        {top / path.relative_to(top).parts[0] for path in _yaml_files(top) if says.search(path.read_bytes())}
    )


def _yaml_files(top: Path) -> Iterator[Path]:
    return (path for path in top.glob("*/**/*.yaml") if path.is_file())


# --- trusting and loading ------------------------------------------------------------------------------


def _refuse_old_datasets() -> None:
    found = version("datasets")
    if int(found.partition(".")[0]) < _OLDEST_DATASETS:
        raise TrustError(
            f"datasets {found} can run code that comes with a dataset: run  "
            "pip install 'checkpoint-harness[lm-eval]'  for a newer one, which cannot"
        )


def _refuse_untrusted(manager: Any, name: str, spec: TaskSpec) -> None:
    """Look at the YAML of a task, or of all that a group stands for, before anything of it is run."""
    for leaf, config in _configurations(manager, name, set()):
        if config.get("unsafe_code"):
            _refuse_unsafe(leaf, spec)


def _refuse_unsafe(name: str, spec: TaskSpec) -> None:
    if not spec.confirm_run_unsafe_code:
        raise TrustError(
            f"lm_eval:{name} runs the code that the model writes, in this process; gate code with the "
            f"check python_tests instead, or allow it: lm_eval:{spec.task}?confirm_run_unsafe_code=true"
        )


def _configurations(manager: Any, name: str, seen: set[str]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield what YAML says of a task, and of all members of a group or tag."""
    entry = manager.task_index.get(name)
    if entry is None or name in seen:
        return
    seen.add(name)
    config: Mapping[str, Any] = entry.cfg or {}
    yield name, config
    if entry.cfg is None:  # a tag; the tags of a task are something else
        for member in entry.tags:
            yield from _configurations(manager, member, seen)
    members = config.get("task")
    for member in members if isinstance(members, list) else ():
        if isinstance(member, Mapping):
            yield name, member
            member = member.get("group") or member.get("task")
        if isinstance(member, str):
            yield from _configurations(manager, member, seen)


def _load(manager: Any, name: str, given: str) -> dict[str, Any]:
    try:
        found: dict[str, Any] = manager.load([name])["tasks"]
    except Exception as error:  # a task is a foreign program: datasets, the hub and it may raise anything
        config = manager.task_index[name].cfg or {}
        raise GoldenSetError(_why_not(given, name, config, error)) from error
    return found


def _why_not(given: str, name: str, config: Mapping[str, Any], error: Exception) -> str:
    first = str(error).strip().splitlines()[0] if str(error).strip() else ""
    said = f"{type(error).__name__}: {first}" if first else type(error).__name__
    dataset = ", ".join(
        repr(part) for part in (config.get("dataset_path"), config.get("dataset_name")) if part
    )
    where = f"lm_eval:{given}" if given == name else f"lm_eval:{given}: {name}"
    if isinstance(error, OSError) and "module script" not in said:
        return (
            f"{where}: its dataset ({dataset}) is not here and cannot be fetched ({said}); load it with "
            "datasets.load_dataset where there is network, and bring HF_HOME along"
        )
    return f"{where}: cannot be loaded: {said}"


def _refuse_unsupported(task: Any, spec: TaskSpec) -> None:
    name = task.config.task
    if getattr(task, "UNSAFE_CODE", False):  # tasks that are Python classes say so only now
        _refuse_unsafe(name, spec)
    if getattr(task, "MULTIMODAL", False):
        raise ConfigurationError(f"lm_eval:{name} shows images or plays sound: only text is asked here")
    if task.config.repeats != 1:
        raise ConfigurationError(
            f"lm_eval:{name} wants {task.config.repeats} samples per document (repeats): not supported; "
            "use a task of one sample with --epochs"
        )


def _configure(task: Any, spec: TaskSpec) -> None:
    """Set the number of examples and their seed as `lm_eval.simple_evaluate` does."""
    own = task.get_config("num_fewshot")
    if spec.num_fewshot is not None and own != 0:
        task.set_config(key="num_fewshot", value=spec.num_fewshot)
    elif own is None:
        task.set_config(key="num_fewshot", value=0)
    task.set_fewshot_seed(seed=spec.fewshot_seed)
