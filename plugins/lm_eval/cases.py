"""Turn the documents of a task into cases: prompts and texts as lm-eval builds them, one case a document."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from harness.cases import Case, Message, content_digest
from harness.errors import ConfigurationError, GoldenSetError
from harness.likelihood import Continuation

from .conversation import Conversation, messages_of
from .metrics import metric_of, pipeline_of
from .spec import TaskSpec
from .tasks import lm_eval_version, quiet

__all__ = ["CHECK", "cases_of", "config_digest", "plain"]

CHECK = "lm_eval"
"""The check type that all these cases declare."""

_PASSAGES = ("passage", "context", "article", "paragraph", "story")
"""Fields of a document that several questions may be about: then they are no independent evidence."""


def _keep_messages(history: Sequence[Mapping[str, str]], add_generation_prompt: bool = True) -> str:
    if not add_generation_prompt:
        raise ConfigurationError(
            "gen_prefix opens the model's own turn, which no chat request can ask for: "
            "leave out apply_chat_template"
        )
    return Conversation.of(history)


def cases_of(task: Any, spec: TaskSpec, key: str) -> tuple[Case, ...]:
    """Return a case for each document of the task's evaluation split, in its order.

    Args:
        task: An `lm_eval.api.task.Task`, configured.
        spec: How its prompts are built, and what its score is.
        key: What the check finds the task again by.

    Raises:
        ConfigurationError: The metric, the filter or the chat template cannot be used with this task.
        GoldenSetError: A prompt cannot be built.
    """
    name = task.config.task
    score = {"type": CHECK, "task": key, "metric": metric_of(task, spec), "filter": pipeline_of(task, spec)}
    try:
        with quiet():
            task.build_all_requests(
                system_instruction=spec.system_instruction,
                apply_chat_template=spec.apply_chat_template,
                fewshot_as_multiturn=spec.fewshot_as_multiturn,
                chat_template=_keep_messages if spec.apply_chat_template else None,
            )
    except ConfigurationError as error:
        raise ConfigurationError(f"lm_eval:{name}: {error}") from error
    except Exception as error:  # the task's own templates and functions
        raise GoldenSetError(
            f"lm_eval:{name}: a prompt cannot be built: {type(error).__name__}: {error}"
        ) from error
    documents: dict[int, list[Any]] = {}
    for instance in task.instances:
        documents.setdefault(instance.doc_id, []).append(instance)
    clusters = _clusters([instances[0].doc for instances in documents.values()])
    return tuple(
        _case(task, number, sorted(instances, key=lambda one: one.idx), score, cluster)
        for (number, instances), cluster in zip(documents.items(), clusters, strict=True)
    )


def _case(
    task: Any, number: int, instances: Sequence[Any], score: Mapping[str, Any], cluster: str | None
) -> Case:
    document = plain(instances[0].doc)
    check = {**score, "document": content_digest(document)}
    messages, raw, continuations = _asked(task, instances)
    asked = content_digest(
        [
            [message.as_dict() for message in messages],
            [text.as_dict() for text in continuations],
            check["document"],
        ]
    )
    return Case(
        id=f"{number}-{asked[:8]}",
        messages=messages,
        target=_target(task, instances[0].doc),
        checks=(check,),
        cluster=cluster,
        metadata={"doc_id": number},
        continuations=continuations,
        raw=raw,
    )


def _asked(task: Any, instances: Sequence[Any]) -> tuple[tuple[Message, ...], bool, tuple[Continuation, ...]]:
    """Return the messages of a document, whether they are the prompt as they are, and what follows them."""
    kind = instances[0].request_type
    if kind == "loglikelihood_rolling":
        return (), True, tuple(Continuation(str(instance.args[0]), "") for instance in instances)
    contexts = [instance.args[0] for instance in instances]
    messages, raw = messages_of(contexts[0])
    if kind == "generate_until":
        return messages, raw, ()
    texts = [str(instance.args[1]) for instance in instances]
    if raw and contexts[0] == "":  # a user's turn without text would be no prompt
        return (
            (),
            True,
            tuple(Continuation(text, str(context)) for context, text in zip(contexts, texts, strict=True)),
        )
    if not raw and any(context not in ("", contexts[0]) for context in contexts):
        raise ConfigurationError(
            f"lm_eval:{task.config.task}: each choice has a prompt of its own, and one case asks about one "
            "conversation: leave out apply_chat_template"
        )
    return (
        messages,
        raw,
        tuple(
            Continuation(text, None if context == contexts[0] else str(context))
            for context, text in zip(contexts, texts, strict=True)
        ),
    )


def config_digest(task: Any, spec: TaskSpec) -> str:
    """Return the digest of all that decides a task's prompts and scores, the version of lm-eval included."""
    config = plain(task.dump_config())
    (config.get("metadata") or {}).pop("config_source", None)  # where it lies on this machine
    return content_digest(
        {
            "config": config,
            "prompts": spec.prompts,
            "lm_eval": lm_eval_version(),
            "version": plain(task.VERSION),
        }
    )


def plain(value: Any) -> Any:
    """Return a value of a dataset or a task's configuration as plain JSON, others by their text."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if value is None or isinstance(value, (str, bool, int)):
        return value
    if isinstance(value, float) and value == value and abs(value) != float("inf"):
        return value
    if callable(value):
        return f"{getattr(value, '__module__', '')}.{getattr(value, '__qualname__', type(value).__name__)}"
    return str(value)


def _target(task: Any, document: Any) -> Any:
    return plain(task.doc_to_target(document))


def _clusters(documents: Sequence[Any]) -> list[str | None]:
    """Return the passage that each document is about, as a digest, where others are about it too."""
    passages = [_passage(document) for document in documents]
    shared = Counter(passages)
    return [None if text is None or shared[text] < 2 else content_digest(text)[:16] for text in passages]


def _passage(document: Any) -> str | None:
    if not isinstance(document, Mapping):
        return None
    return next(
        (text for name in _PASSAGES if isinstance(text := document.get(name), str) and text.strip()), None
    )
