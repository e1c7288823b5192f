"""One comment on a pull request, updated in place."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.errors import ConfigurationError
from harness.nightly.announcement import MARKER
from harness.nightly.sending import send_json

__all__ = ["PullRequest", "pull_request_of", "put_comment"]

_REPOSITORY = re.compile(r"[\w.-]+/[\w.-]+")
_REF = re.compile(r"refs/pull/(\d+)/")
_PAGE = 100
_MOST_PAGES = 20


@dataclass(frozen=True)
class PullRequest:
    """A pull request on GitHub, and the token that may comment on it."""

    api: str
    repository: str
    number: int
    token: str = field(repr=False)

    def address(self, path: str) -> str:
        """Return the address of something of the repository."""
        return f"{self.api.rstrip('/')}/repos/{self.repository}/{path}"

    @property
    def headers(self) -> dict[str, str]:
        """What every request carries."""
        return {
            "Authorization": f"Bearer {self.token}",
            "Accept": "application/vnd.github+json",
            "X-GitHub-Api-Version": "2022-11-28",
        }


def pull_request_of(environment: Mapping[str, str]) -> PullRequest:
    """Return the pull request that a workflow runs for, from the variables that GitHub sets.

    The variables: https://docs.github.com/en/actions/reference/workflows-and-actions/variables

    Raises:
        ConfigurationError: It runs for none, or a variable is missing.
    """
    repository = environment.get("GITHUB_REPOSITORY", "")
    token = environment.get("GITHUB_TOKEN", "")
    if _REPOSITORY.fullmatch(repository) is None or not token:
        raise ConfigurationError(
            "pull_request: GITHUB_REPOSITORY and GITHUB_TOKEN must be set, with the right to write "
            "pull-requests: in a workflow  env: {GITHUB_TOKEN: ${{ github.token }}}"
        )
    number = _number(environment)
    if number is None:
        raise ConfigurationError(
            "pull_request: this runs for no pull request: set NIGHTLY_PULL_REQUEST to the number of the one "
            "that is to be commented on"
        )
    api = environment.get("GITHUB_API_URL") or "https://api.github.com"
    return PullRequest(api, repository, number, token)


def _number(environment: Mapping[str, str]) -> int | None:
    given = environment.get("NIGHTLY_PULL_REQUEST", "")
    if given.isascii() and given.isdigit():
        return int(given)
    ref = _REF.match(environment.get("GITHUB_REF", ""))
    if ref is not None:
        return int(ref.group(1))
    try:
        event = json.loads(Path(environment["GITHUB_EVENT_PATH"]).read_text(encoding="utf-8"))
        number = event["pull_request"]["number"]
    except (KeyError, OSError, ValueError, TypeError):
        return None
    return number if isinstance(number, int) else None


def put_comment(pull_request: PullRequest, text: str) -> str:
    """Write our comment, or write it anew where there is one, and say which.

    Raises:
        StoreError: GitHub refused, or did not answer.
    """
    ours = _find(pull_request)
    if ours is None:
        address = pull_request.address(f"issues/{pull_request.number}/comments")
        _ask(pull_request, "POST", address, {"body": text})
        return "commented"
    _ask(pull_request, "PATCH", pull_request.address(f"issues/comments/{ours}"), {"body": text})
    return "comment updated"


def _find(pull_request: PullRequest) -> int | None:
    for page in range(1, _MOST_PAGES + 1):
        address = pull_request.address(f"issues/{pull_request.number}/comments?per_page={_PAGE}&page={page}")
        comments = _ask(pull_request, "GET", address, None)
        if not isinstance(comments, list):
            return None
        for comment in comments:
            if isinstance(comment, dict) and str(comment.get("body", "")).startswith(MARKER):
                return int(comment["id"])
        if len(comments) < _PAGE:
            return None
    return None


def _ask(pull_request: PullRequest, method: str, address: str, body: Mapping[str, Any] | None) -> Any:
    called = f"pull request {pull_request.number} of {pull_request.repository}"
    return send_json(method, address, body, called=called, headers=pull_request.headers)
