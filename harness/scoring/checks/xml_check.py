"""The `xml` check: is the answer well-formed XML, with the right elements?

The parser sees no document type, so there are no entities to expand and nothing is ever fetched.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from xml.parsers import expat

from harness.cases import Case, Response, Score
from harness.scoring.check_type import Example, Scorer, declare_check
from harness.scoring.checks.parameters import TEXT, TEXTS
from harness.scoring.text.fences import unfenced

__all__ = ["InvalidXmlError", "elements_of", "xml"]

_MAX_DEPTH = 256


class InvalidXmlError(ValueError):
    """A text is not the XML that is accepted here."""


def elements_of(text: str) -> list[str]:
    """Return the names of all elements of a document in the order in which they open, the root's first.

    Raises:
        InvalidXmlError: Not well-formed, with a document type, or nested more than 256 levels deep.
    """
    names: list[str] = []
    depth = 0

    def on_start(name: str, attributes: dict[str, str]) -> None:
        nonlocal depth
        depth += 1
        if depth > _MAX_DEPTH:
            raise InvalidXmlError(f"nested more than {_MAX_DEPTH} levels deep")
        names.append(name)

    def on_end(name: str) -> None:
        nonlocal depth
        depth -= 1

    def on_doctype(*_: object) -> None:
        raise InvalidXmlError("a document type is not allowed")

    parser = expat.ParserCreate()
    parser.StartElementHandler = on_start
    parser.EndElementHandler = on_end
    parser.StartDoctypeDeclHandler = on_doctype
    try:
        parser.Parse(text.encode("utf-8", "surrogatepass"), True)
    except expat.ExpatError as problem:
        reason = expat.ErrorString(problem.code)
        raise InvalidXmlError(f"{reason} (line {problem.lineno}, column {problem.offset + 1})") from None
    return names


@declare_check(
    "xml",
    parameters={"root": TEXT, "elements": TEXTS},
    examples=(
        Example(
            {"root": "order", "elements": ["item", "price"]},
            (
                "<order><item sku='1'><price>3</price></item></order>",
                "```xml\n<?xml version='1.0'?>\n<order><item/><price/></order>\n```",
            ),
            (
                "<orders><item/><price/></orders>",
                "<order><item/></order>",
                "<order><item></order>",
                "<!DOCTYPE order [<!ENTITY x 'y'>]><order><item/><price>&x;</price></order>",
                "an order",
            ),
        ),
    ),
)
def xml(root: str | None = None, elements: Sequence[str] = ()) -> Scorer:
    """The answer is well-formed XML, alone or in the only fenced block, with this `root` and at least one of
    each of `elements` anywhere. A document type (and so any entity of its own) makes it invalid.
    """  # noqa: D205  (one paragraph is the documentation of the check)

    def scorer(case: Case, response: Response) -> Score:
        try:
            names = elements_of(unfenced(response.text, ("xml", "html", "svg")).strip())
        except ValueError as problem:
            cut = ": the answer was cut off" if response.truncated else ""
            return Score.invalid(f"no XML: {problem}{cut}")
        if root is not None and names[0] != root:
            return Score.missed(f"the root is <{names[0]}>, expected <{root}>", names[0])
        counts = Counter(names)
        missing = [f"<{name}>" for name in elements if not counts[name]]
        if missing:
            return Score.missed(f"lacks {', '.join(missing)}", names[0])
        return Score.passed(names[0])

    return scorer
