r"""The value of a short arithmetic expression: fractions, mixed numbers, powers, roots; plain or in LaTeX.

Only numbers are read, never names but `\\pi`: what has an unknown in it has no value.
"""

from __future__ import annotations

import re
import unicodedata
from decimal import Context, Decimal, DecimalException

__all__ = ["MAX_DIGITS", "SUPERSCRIPTS", "VULGAR", "evaluate"]

MAX_DIGITS = 300
"""Longest expression, in characters, and largest power of ten of a value."""
SUPERSCRIPTS = "⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺"
VULGAR = "¼½¾⅐⅑⅒⅓⅔⅕⅖⅗⅘⅙⅚⅛⅜⅝⅞"
_SCRIPT = str.maketrans(SUPERSCRIPTS, "0123456789-+")
_TOKEN = re.compile(
    r"\s*(?:(?P<number>(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]{1,3}(?![0-9]))?)"
    rf"|(?P<vulgar>[{VULGAR}])|(?P<script>[{SUPERSCRIPTS}]+)"
    r"|(?P<frac>\\[dtc]?frac)|(?P<sqrt>\\sqrt|√)|(?P<pi>\\pi(?![a-zA-Z])|π)|(?P<sign>\*\*|[-+*/^(){}\[\]×xX·⋅÷]))"
)
_CONTEXT = Context(prec=50, Emax=MAX_DIGITS, Emin=-MAX_DIGITS)
_PI = Decimal("3.14159265358979323846264338327950288419716939937510")


class _UnreadableError(Exception):
    pass


def evaluate(text: str) -> Decimal | None:
    """Return the value of an expression, exact to 50 digits; None where it has none that is certain."""
    try:
        parser = _Parser(text)
        value = parser.sum()
        if parser.kind is not None:
            return None
        return value
    except (_UnreadableError, DecimalException, RecursionError):
        return None


class _Parser:
    """Reads an expression from left to right, by precedence."""

    def __init__(self, text: str) -> None:
        if len(text) > MAX_DIGITS:
            raise _UnreadableError
        self._text, self._end = text.rstrip(), 0
        self.kind: str | None = None
        self._shown = ""
        self._advance()

    def _advance(self) -> None:
        if self._end >= len(self._text):
            self.kind = None
            return
        token = _TOKEN.match(self._text, self._end)
        if token is None or token.lastgroup is None:
            raise _UnreadableError
        self._end, self.kind, self._shown = token.end(), token.lastgroup, token[token.lastgroup]

    def _takes(self, *signs: str) -> str | None:
        if self.kind == "sign" and self._shown in signs:
            shown = self._shown
            self._advance()
            return shown
        return None

    def sum(self) -> Decimal:
        sign = self._takes("-", "+")
        total = self._product()
        if sign == "-":
            total = -total
        while sign := self._takes("+", "-"):
            term = self._product()
            total = _CONTEXT.add(total, term) if sign == "+" else _CONTEXT.subtract(total, term)
        return total

    def _product(self) -> Decimal:
        value = self._mixed()
        while True:
            if self._takes("*", "×", "x", "X", "·", "⋅"):
                value = _CONTEXT.multiply(value, self._mixed())
            elif self._takes("/", "÷"):
                value = _CONTEXT.divide(value, self._mixed())
            elif self.kind in ("sqrt", "pi") or (self.kind == "sign" and self._shown == "("):
                value = _CONTEXT.multiply(value, self._power())
            else:
                return value

    def _mixed(self) -> Decimal:
        r"""Read a number and the fraction behind it: `1 1/2`, `1½`, `1\\frac12`."""
        is_whole = self.kind == "number" and self._shown.isdecimal()
        value = self._power()
        if is_whole and self.kind in ("vulgar", "frac"):
            return value + self._power()
        parts = re.compile(r"([0-9]+)\s?/\s?([0-9]+)(?![0-9.])")
        start = self._end - len(self._shown)
        fraction = None
        if is_whole and self.kind == "number":
            fraction = parts.match(self._text, start)
        elif is_whole and self.kind == "sign" and self._shown == "-":  # 1-1/2
            fraction = (
                parts.match(self._text, start + 1)
                if re.fullmatch(r"[0-9]+-[0-9]+/[0-9]+", self._text)
                else None
            )
        if fraction is None:
            if self.kind == "number":
                raise _UnreadableError
            return value
        if int(fraction[1]) >= int(fraction[2]):
            raise _UnreadableError
        self._end = fraction.end()
        self._advance()
        return value + _CONTEXT.divide(Decimal(fraction[1]), Decimal(fraction[2]))

    def _power(self) -> Decimal:
        base = self._base()
        if self.kind == "script":
            exponent = Decimal(self._shown.translate(_SCRIPT))
            self._advance()
        elif self._takes("^", "**"):
            sign = self._takes("-")
            exponent = self._base()
            exponent = -exponent if sign else exponent
        else:
            return base
        if abs(exponent) > MAX_DIGITS:
            raise _UnreadableError
        return _CONTEXT.power(base, exponent)

    def _base(self) -> Decimal:
        kind, shown = self.kind, self._shown
        if kind is None:
            raise _UnreadableError
        if kind == "number":
            self._advance()
            return Decimal(shown)
        if kind == "vulgar":
            self._advance()
            numerator, _, denominator = unicodedata.normalize("NFKC", shown).partition("\u2044")
            return _CONTEXT.divide(Decimal(numerator), Decimal(denominator))
        if kind == "pi":
            self._advance()
            return _PI
        if kind == "frac":
            top, bottom = self._argument(), self._last_argument()
            return _CONTEXT.divide(top, bottom)
        if kind == "sqrt":
            return self._root()
        for opening, closing in ("()", "{}"):
            if self._takes(opening):
                value = self.sum()
                if self._takes(closing) is None:
                    raise _UnreadableError
                return value
        raise _UnreadableError

    def _root(self) -> Decimal:
        degree = re.compile(r"\s*\[([2-9])\]").match(self._text, self._end)
        if degree is not None:
            self._end = degree.end()
        value = self._last_argument()
        if value < 0:
            raise _UnreadableError
        if degree is None:
            return _CONTEXT.sqrt(value)
        return _CONTEXT.power(value, _CONTEXT.divide(Decimal(1), Decimal(degree[1])))

    def _argument(self) -> Decimal:
        """Read an argument of a LaTeX command, where the command is the current token: `{…}` or a digit."""
        one_digit = re.compile(r"\s*([0-9])").match(self._text, self._end)
        if one_digit is not None and self._text[self._end - 1] != "√":
            self._end = one_digit.end()
            self.kind, self._shown = "number", one_digit[1]
            return Decimal(one_digit[1])
        self._advance()
        if self.kind == "sign" and self._shown == "{":
            closing = _closing_brace(self._text, self._end)
            value = evaluate(self._text[self._end : closing])
            if value is None:
                raise _UnreadableError
            self._end = closing + 1
            return value
        if self.kind != "number":
            raise _UnreadableError
        return Decimal(self._shown)

    def _last_argument(self) -> Decimal:
        value = self._argument()
        self._advance()
        return value


def _closing_brace(text: str, start: int) -> int:
    depth = 1
    for index in range(start, len(text)):
        depth += {"{": 1, "}": -1}.get(text[index], 0)
        if depth == 0:
            return index
    raise _UnreadableError
