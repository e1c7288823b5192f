"""Find credentials in a text: keys and tokens whose form gives them away.

By the detectors of detect-secrets, without its verification, which would call the services that the keys are
for. Its detectors of entropy and of variable names are left out: in prose and in sample code they see secrets
everywhere.
"""

from __future__ import annotations

import functools
import importlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from harness.scoring.checks.optional import require

__all__ = ["Credential", "find_credentials"]

_LONGEST = 200_000
_WINDOW, _OVERLAP = 4_000, 600  # a pattern that goes back and forth costs no more than a window
_DETECTORS = {
    "artifactory": "ArtifactoryDetector",
    "aws": "AWSKeyDetector",
    "azure_storage_key": "AzureStorageKeyDetector",
    "basic_auth": "BasicAuthDetector",
    "discord": "DiscordBotTokenDetector",
    "github_token": "GitHubTokenDetector",
    "gitlab_token": "GitLabTokenDetector",
    "jwt": "JwtTokenDetector",
    "mailchimp": "MailchimpDetector",
    "npm": "NpmDetector",
    "openai": "OpenAIDetector",
    "pypi_token": "PypiTokenDetector",
    "sendgrid": "SendGridDetector",
    "slack": "SlackDetector",
    "square_oauth": "SquareOAuthDetector",
    "stripe": "StripeDetector",
    "telegram_token": "TelegramBotTokenDetector",
    "twilio": "TwilioKeyDetector",
}
_NEWER = {  # forms that the detectors do not know yet, and keys with their text rather than their heading
    "Anthropic key": r"\bsk-ant-[A-Za-z0-9_-]{24,120}",
    "GitHub fine-grained token": r"\bgithub_pat_[A-Za-z0-9_]{60,100}",
    "Google key": r"\bAIza[A-Za-z0-9_-]{35}(?![A-Za-z0-9_-])",
    "Hugging Face token": r"\bhf_[A-Za-z]{34}\b",
    "OpenAI project key": r"\bsk-(?:proj|svcacct|admin)-[A-Za-z0-9_-]{40,200}",
    "Private key": (
        r"-----BEGIN (?:[A-Z0-9]{1,12} ){0,2}PRIVATE KEY(?: BLOCK)?-----\s{1,4}[A-Za-z0-9+/=:, -]{40}"
    ),
}
_STAND_IN = re.compile(r"example|x{6}|\*{4}|\.{3}|<|your|0{8}|1234567|placeholder|dummy", re.IGNORECASE)


@dataclass(frozen=True)
class Credential:
    """One key or token.

    Attributes:
        kind: What it is, such as `AWS Access Key`.
        text: The secret itself.
    """

    kind: str
    text: str


def find_credentials(text: str) -> list[Credential]:
    """Return the credentials of a text, each once. Stand-ins such as `AKIA…EXAMPLE` are none.

    Args:
        text: At most 200,000 characters are read.

    Raises:
        MissingDependencyError: detect-secrets is not installed.
    """
    found: dict[str, Credential] = {}
    text = text[:_LONGEST]
    for start in range(0, max(len(text), 1), _WINDOW):
        window = text[start : start + _WINDOW + _OVERLAP]
        for kind, find in _finders():
            for secret in find(window):
                if secret and not _STAND_IN.search(secret):
                    found.setdefault(secret, Credential(kind, secret))
    return list(found.values())


@functools.cache
def _finders() -> tuple[tuple[str, Callable[[str], Iterator[str]]], ...]:
    require("detect_secrets", "leaks")
    finders = []
    for module, name in _DETECTORS.items():
        detector = getattr(importlib.import_module(f"detect_secrets.plugins.{module}"), name)()
        finders.append((str(detector.secret_type), functools.partial(_detected, detector)))
    for kind, form in _NEWER.items():
        finders.append((kind, functools.partial(_matches, re.compile(form))))
    return tuple(finders)


def _detected(detector: Any, text: str) -> Iterator[str]:
    """Yield what matches a detector's patterns as a whole, where the detector agrees that it is a secret."""
    for pattern in detector.denylist:
        yield from (
            match.group() for match in pattern.finditer(text) if any(detector.analyze_string(match.group()))
        )


def _matches(pattern: re.Pattern[str], text: str) -> Iterator[str]:
    return (match.group() for match in pattern.finditer(text))
