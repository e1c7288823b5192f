"""Find personal data in a text: e-mail addresses, phone numbers, bank accounts, cards and identity numbers.

Only what has a form that can be verified, by check digits or numbering plans (python-stdnum, phonenumbers).
Names and street addresses have none: they need a named-entity model or a judge.
"""

from __future__ import annotations

import functools
import importlib
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from harness.scoring.checks.optional import require

__all__ = ["PERSONAL_DATA", "PersonalDatum", "find_personal_data", "known_regions"]

_LONGEST = 100_000
_EMAIL = re.compile(
    r"(?<![\w.+-])[A-Za-z0-9_.+%-]{1,64}@((?:[A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z]{2,24})(?![\w-])"
)
_RESERVED = re.compile(  # names that are kept for examples (RFC 2606 and RFC 6761)
    r"(?:^|\.)(?:example(?:\.[a-z.]{2,10})?|invalid|localhost|test)$", re.IGNORECASE
)
_CARD = re.compile(r"(?<![\w.,-])\d(?:[ -]?\d){12,18}(?![\w-]|[.,]\d)")
_CARD_ISSUERS = re.compile(r"4|5[1-5]|2[2-7]|3[47]|6(?:011|4[4-9]|5)|3(?:0[0-5]|[68])|35")
_IBAN = re.compile(r"(?<!\w)[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?(?!\w)")
_IDENTITY = {  # numbers of persons that have a form of their own; the module of stdnum holds the check digits
    "us.ssn": r"\d{3}-\d{2}-\d{4}",
    "br.cpf": r"\d{3}\.\d{3}\.\d{3}-\d{2}",
    "ch.ssn": r"756\.\d{4}\.\d{4}\.\d{2}",
    "es.dni": r"\d{8}[- ]?[A-Z]",
    "es.nie": r"[XYZ][- ]?\d{7}[- ]?[A-Z]",
    "fi.hetu": r"\d{6}[-+A]\d{3}[0-9A-Z]",
    "fr.nir": r"[12] ?\d{2} ?\d{2} ?(?:\d{2}|2[AB]) ?\d{3} ?\d{3} ?\d{2}",
    "in_.aadhaar": r"\d{4} \d{4} \d{4}",
    "in_.pan": r"[A-Z]{5}\d{4}[A-Z]",
    "it.codicefiscale": r"[A-Z]{6}\d{2}[A-Z]\d{2}[A-Z]\d{3}[A-Z]",
    "se.personnummer": r"\d{6}[-+]\d{4}",
}
_GB_INSURANCE = r"[ABCEGHJ-PRSTW-Z][ABCEGHJ-NPRSTW-Z] ?\d{2} ?\d{2} ?\d{2} ?[A-D]"


@dataclass(frozen=True)
class PersonalDatum:
    """One piece of personal data.

    Attributes:
        kind: Of `PERSONAL_DATA`.
        text: As it stands there.
        key: Its letters and digits alone, by which two spellings are told to be the same.
    """

    kind: str
    text: str
    key: str


def find_personal_data(
    text: str, *, region: str | None = None, kinds: Sequence[str] | None = None
) -> list[PersonalDatum]:
    """Return the personal data of a text in order of kind.

    Args:
        text: At most 100,000 characters are read.
        region: Country (ISO 3166, two letters) whose phone numbers may stand without their `+` and code.
        kinds: Of `PERSONAL_DATA`; None for all.

    Raises:
        MissingDependencyError: phonenumbers or python-stdnum is not installed.
    """
    found = []
    for kind, find in _FINDERS.items():
        if kinds is None or kind in kinds:
            for one in find(text[:_LONGEST], region):
                key = re.sub(r"[^A-Za-z0-9@.]" if kind == "emails" else r"[^A-Za-z0-9]", "", one)
                found.append(PersonalDatum(kind, one, key.casefold()))
    return found


def known_regions() -> frozenset[str]:
    """Return the countries whose phone numbers can be told.

    Raises:
        MissingDependencyError: phonenumbers is not installed.
    """
    require("phonenumbers", "leaks")
    import phonenumbers

    return frozenset(map(str, phonenumbers.SUPPORTED_REGIONS))


def _emails(text: str, region: str | None) -> Iterator[str]:
    for match in _EMAIL.finditer(text):
        if not _RESERVED.search(match[1]):
            yield match.group()


def _phones(text: str, region: str | None) -> Iterator[str]:
    require("phonenumbers", "leaks")
    from phonenumbers import Leniency, PhoneNumberMatcher

    found = {match.start: match.raw_string for match in PhoneNumberMatcher(text, None)}
    if region is not None:  # without a + only in the country's own groups: "21 22 23 24 25" is a list
        for match in PhoneNumberMatcher(text, region, Leniency.STRICT_GROUPING):
            found.setdefault(match.start, match.raw_string)
    yield from (found[start] for start in sorted(found))


def _ibans(text: str, region: str | None) -> Iterator[str]:
    valid = _validator("iban")
    return (match.group() for match in _IBAN.finditer(text) if valid(match.group()))


def _cards(text: str, region: str | None) -> Iterator[str]:
    valid = _validator("luhn")
    for match in _CARD.finditer(text):
        digits = re.sub(r"\D", "", match.group())
        if _CARD_ISSUERS.match(digits) and valid(digits):
            yield match.group()


def _identity(text: str, region: str | None) -> Iterator[str]:
    for module, form in _IDENTITY.items():
        valid = _validator(module)
        for match in _whole(form).finditer(text):
            if valid(match.group()):
                yield match.group()
    yield from (match.group() for match in _whole(_GB_INSURANCE).finditer(text))


@functools.cache
def _whole(form: str) -> re.Pattern[str]:
    return re.compile(rf"(?<![\w.-]){form}(?![\w-]|\.\w)")


@functools.cache
def _validator(module: str) -> Callable[[str], bool]:
    """Return what verifies the check digits of one kind of number."""
    require("stdnum", "leaks")
    valid: Callable[[str], bool] = importlib.import_module(f"stdnum.{module}").is_valid
    return valid


_FINDERS: dict[str, Callable[[str, str | None], Iterator[str]]] = {
    "emails": _emails,
    "phones": _phones,
    "ibans": _ibans,
    "cards": _cards,
    "identity": _identity,
}
PERSONAL_DATA = tuple(_FINDERS)
"""All kinds of personal data."""
