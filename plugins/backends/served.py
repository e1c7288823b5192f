"""What the API backends share: their arguments, and how a name becomes a model behind an endpoint."""

from __future__ import annotations

import importlib.util
import os
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from harness.cases import Response, content_digest
from harness.errors import CheckpointError, MissingDependencyError
from harness.protocols import BackendOptions, Checkpoint

from .answering_model import read_aliases, require_model
from .api_call import ApiCall
from .api_error import error_in, interpret, meaning
from .arguments import own, seconds, whole_number
from .asking import Patience
from .endpoint import Endpoint, ServedModel, read_key, split_name
from .wire import read_object

__all__ = ["ARGUMENTS", "Provider", "attempt", "describe", "find_model", "open_client", "patience_of"]

_READING = "2"
"""Version of the rules by which answers are read: what others made of an answer is no answer of ours."""

ARGUMENTS: Mapping[str, str] = {
    "base_url": "base URL of the API; a spec may name its own: PROVIDER/MODEL@https://host/v1",
    "api_key_env": "environment variable with the key for a base URL that is not the provider's own",
    "timeout": "most seconds for one attempt at a request, its whole answer included (120)",
    "deadline": "most seconds for a request, retries and waits included (300)",
    "max_retries": "attempts after the first (4)",
    "retry_wait": "seconds before the first retry, then doubled; a server's Retry-After goes first (0.5)",
    "answers_as": "other names that servers give a model in their answers: ASKED=ANSWERED,ASKED=ANSWERED",
}


@dataclass(frozen=True)
class Provider:
    """A kind of API: its backend's name (its SDK's too), its own URL, and the variables that people set."""

    name: str
    url: str
    url_variable: str
    key_variable: str


def patience_of(options: BackendOptions, provider: Provider) -> Patience:
    """Read how long to wait from the `-M` arguments.

    Raises:
        ConfigurationError: A value is out of its range.
    """
    given = own(options.arguments, provider.name)
    usual = Patience()
    return Patience(
        attempt_s=seconds(given, "timeout", usual.attempt_s),
        deadline_s=seconds(given, "deadline", usual.deadline_s),
        retries=whole_number(given, "max_retries", usual.retries, least=0, most=20),
        first_wait_s=seconds(given, "retry_wait", usual.first_wait_s),
    )


def find_model(name: str, provider: Provider, options: BackendOptions) -> ServedModel:
    """Find out which model of which endpoint a name stands for, and read its key.

    The URL is the name's own, that of `-M base_url`, that of the environment, or the provider's.

    Args:
        name: `MODEL`, or `MODEL@https://host/v1`.
        provider: Whose API it is.
        options: The session's; `base_url` and `api_key_env` count.

    Raises:
        UsageError: The SDK is not installed, the URL is malformed, or the key is missing.
    """
    if importlib.util.find_spec(provider.name) is None:
        raise MissingDependencyError(provider.name, extra=provider.name)
    given = own(options.arguments, provider.name)
    model, named = split_name(name)
    if not model.strip() or not model.isprintable():
        raise CheckpointError(f"{provider.name}/{name!r} names no model: write {provider.name}/MODEL")
    places = (
        (f"{provider.name}/{model}", named),
        ("-M base_url", given.get("base_url")),
        (provider.url_variable, os.environ.get(provider.url_variable)),
        (provider.name, provider.url),
    )
    source, url = next((source, url) for source, url in places if url)
    endpoint = Endpoint.parse(url, source)
    is_own = endpoint.url == provider.url
    variable = provider.key_variable if is_own else given.get("api_key_env", provider.key_variable)
    also_called = read_aliases(given.get("answers_as", "")).get(model, ())
    return ServedModel(endpoint, model, read_key(variable, endpoint), also_called)


def describe(served: ServedModel, spec: str, provider: Provider, numerics: Mapping[str, str]) -> Checkpoint:
    """Return the checkpoint: provider, endpoint and model name are all that is known of a served model."""
    identity = {"provider": provider.name, "endpoint": served.endpoint.url, "model": served.model}
    return Checkpoint(
        spec=spec,
        name=served.model.rpartition("/")[2],
        backend=provider.name,
        location=f"{served.model}@{served.endpoint.url}",
        fingerprint=content_digest(identity),
        numerics={**numerics, "reading": _READING},
    )


async def attempt(call: ApiCall, api_error: type[Exception], model: ServedModel) -> Response:
    """Make one attempt at a call.

    Args:
        call: What to ask.
        api_error: The base of the SDK's errors.
        model: Whom.

    Raises:
        UnavailableError: There was no usable answer, this time.
        UnreadableError: Something in the answer is not understood, or another model gave it.
        RejectedError: This request is refused.
        UsageError: Whatever is asked of this endpoint will fail.
    """
    started = time.perf_counter()
    try:
        async with call.create(**call.payload) as body:
            reply = await read_object(body, model.key)
    except api_error as error:
        outcome = interpret(error, call, model)
    else:
        problem = error_in(reply)
        if problem is None:
            response = call.read(reply, 1000 * (time.perf_counter() - started))
            require_model(model, response.model)
            return response
        outcome = meaning(problem, call, model)
    if isinstance(outcome, Exception):
        raise outcome  # here, where the SDK's error is no longer its context
    return outcome


@asynccontextmanager
async def open_client(
    client_class: Any, sdk: ModuleType, served: ServedModel, patience: Patience
) -> AsyncIterator[Any]:
    """Open an SDK's client: no retries and no redirects of its own, and our limit on every wait."""
    transport = sdk.DefaultAsyncHttpxClient(follow_redirects=False, timeout=patience.attempt_s)
    async with client_class(
        api_key=served.key.reveal(),
        base_url=served.endpoint.url,
        max_retries=0,
        timeout=patience.attempt_s,
        http_client=transport,
    ) as client:
        yield client
