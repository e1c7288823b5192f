"""The `language` check: is the answer written in the language of the question, or in one by name?"""

from __future__ import annotations

from collections.abc import Sequence

from harness.cases import Case, Response, Score
from harness.scoring.check_type import Example, Scorer, declare_check
from harness.scoring.text.language import known_languages, prose_language, require_language_detection

__all__ = ["language"]


_FEWEST_LETTERS = 4
"""An answer with fewer ("No", "OK") is a word of many languages."""


@declare_check(
    "language",
    parameters={
        "value": {"type": "string", "minLength": 2},
        "among": {"type": "array", "minItems": 2, "uniqueItems": True, "items": {"type": "string"}},
    },
    examples=(
        Example(
            {"value": "de"},
            accepts=("Das Paket kommt morgen an, wenn Sie heute bestellen.",),
            rejects=("The parcel will be there tomorrow if you order today.",),
        ),
        Example(
            {},
            accepts=("Il pacco arriva domani mattina, prima delle nove.", "42"),
            rejects=("The parcel will be there tomorrow morning.",),
            question="Quando arriva il mio pacco? Vorrei saperlo entro oggi.",
        ),
        Example({"value": "en", "among": ["en", "de"]}, ("No way, today.",), ("Nein, morgen erst.",)),
    ),
)
def language(value: str = "question", among: Sequence[str] = ()) -> Scorer:
    """The answer is written in the language `value`: that of the `question`, or one by its code (`de`).

    Told by py3langid, code and links aside; `among` names the languages that come into question, which makes
    short texts sure. An answer without words passes; one of up to three letters is invalid
    without `among`. Needs py3langid.
    """
    require_language_detection()
    codes = known_languages()
    unknown = [code for code in (*among, value) if code not in codes and code != "question"]
    if unknown:
        raise ValueError(f"{unknown[0]!r} is no language that can be told; codes are such as en, de, zh")
    if among and value not in (*among, "question"):
        raise ValueError(f"{value!r} is not one of the languages in `among`")
    choice = frozenset(among)

    def scorer(case: Case, response: Response) -> Score:
        asked = case.turns[-1] if case.turns else case.input
        letters = sum(map(str.isalpha, response.text))
        if 0 < letters < _FEWEST_LETTERS and not choice:
            return Score.invalid(f"{letters} letters are too few to tell a language")
        wanted = prose_language(asked, choice) if value == "question" else value
        found = prose_language(response.text, choice)
        if wanted is None or found is None or found == wanted:
            return Score.passed(found)
        return Score.missed(f"written in {found!r}, expected {wanted!r}", found)

    return scorer
