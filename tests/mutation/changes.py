"""The small faults that a source file can be given: each replaces one expression or statement by another.

Left alone is what no test should pin: the words of messages, docstrings, annotations, decorators, `__all__`,
`assert` (which only narrows types here) and what is imported for type checkers only.
"""

from __future__ import annotations

import ast
import itertools
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

__all__ = ["Change", "changes_of"]

_COMPARISONS: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}
_ARITHMETIC: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Mult,
    ast.Pow: ast.Mult,
    ast.LShift: ast.RShift,
    ast.RShift: ast.LShift,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
}
_OPPOSITES = {"min": "max", "max": "min", "any": "all", "all": "any"}
_COMMUTATIVE = frozenset({"max", "min", "maximum", "minimum", "add", "multiply", "array_equal", "isclose"})
"""Functions, by their last name, that give the same whichever argument comes first."""
_SILENT_KEYWORDS = frozenset({"dtype", "strict"})
"""Of calls: they guard and convert, and change no result of a program that is right without them."""
_SMALL = 1e-3  # a float below this is a tolerance: a tenth more or less of it is nobody's promise

Item = TypeVar("Item")


@dataclass(frozen=True)
class Change:
    """One replacement in a source file.

    Attributes:
        function: Qualified name of the function around it, or of the class; `<module>` outside both.
        line: Where it begins, from 1.
        operator: What kind of fault it is.
        before: What stands there, as `ast.unparse` spells it.
        after: What it is replaced by.
        nth: Which of the equal changes in this function it is, from 0.
        span: Byte offsets of what is replaced.
        deferred: Whether it runs when the function is called; otherwise when the module is imported.
    """

    function: str
    line: int
    operator: str
    before: str
    after: str
    nth: int
    span: tuple[int, int]
    deferred: bool

    def applied(self, source: bytes) -> bytes:
        """Return the source with this change; all other lines keep their numbers."""
        start, end = self.span
        is_statement = self.operator == "statement"
        lines = b"\n" * (0 if is_statement else source[start:end].count(b"\n"))
        after = self.after.encode()
        return source[:start] + (after if is_statement else b"(" + after + lines + b")") + source[end:]


def changes_of(source: bytes) -> list[Change]:
    """Return every change that a source file can be given, in the order of the file."""
    tree = ast.parse(source)
    starts = [0, *itertools.accumulate(len(line) for line in source.splitlines(keepends=True))]
    found: list[Change] = []
    spelled: Counter[tuple[str, str, str]] = Counter()
    seen: set[tuple[tuple[int, int], str]] = set()
    for place in _places(tree, (), deferred=False):
        first, last = place.nodes[0], place.nodes[-1]
        assert last.end_lineno is not None
        assert last.end_col_offset is not None
        span = starts[first.lineno - 1] + first.col_offset, starts[last.end_lineno - 1] + last.end_col_offset
        before = "\n".join(map(ast.unparse, place.nodes))
        for operator, after in place.replacements:
            if after == before or (span, after) in seen:
                continue
            seen.add((span, after))
            function = ".".join(place.scope) or "<module>"
            nth = spelled[function, before, after]
            spelled[function, before, after] += 1
            change = Change(function, first.lineno, operator, before, after, nth, span, place.deferred)
            found.append(change)
    return found


# --- where something can be changed ----------------------------------------------------------------------


@dataclass(frozen=True)
class _Place:
    nodes: Sequence[ast.expr | ast.stmt]
    scope: tuple[str, ...]
    deferred: bool
    replacements: tuple[tuple[str, str], ...]


def _places(
    node: ast.AST, scope: tuple[str, ...], *, deferred: bool, is_bool: bool = False
) -> Iterator[_Place]:
    """Walk a tree and yield what can be replaced, with the function that it stands in."""
    if isinstance(node, (ast.expr, ast.stmt)):
        replacements = (
            tuple(("expression", ast.unparse(after)) for after in _expressions(node))
            if isinstance(node, ast.expr)
            else tuple(("statement", after) for after in _statements(node))
        )
        if replacements:
            yield _Place([node], scope, deferred, replacements)
    if isinstance(node, ast.Return) and is_bool and node.value is not None:
        negated = ast.UnaryOp(ast.Not(), node.value)
        yield _Place([node.value], scope, deferred, (("expression", ast.unparse(negated)),))
    if isinstance(node, (ast.If, ast.IfExp)) and not _is_left_alone(node):
        negated = ast.UnaryOp(ast.Not(), node.test)
        yield _Place([node.test], scope, deferred, (("expression", ast.unparse(negated)),))
    if isinstance(node, ast.ExceptHandler) and not isinstance(node.body[-1], ast.Raise):
        yield _Place(node.body, scope, deferred, (("statement", "raise"),))
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
        defaults = [*node.args.defaults, *(default for default in node.args.kw_defaults if default)]
        for default in defaults:
            yield from _places(default, (*scope, node.name), deferred=False)
        returns_bool = isinstance(node.returns, ast.Name) and node.returns.id == "bool"
        for statement in _without_docstring(node.body):
            yield from _places(statement, (*scope, node.name), deferred=True, is_bool=returns_bool)
    elif isinstance(node, ast.ClassDef):
        for statement in _without_docstring(node.body):
            yield from _places(statement, (*scope, node.name), deferred=deferred)
    elif isinstance(node, ast.AnnAssign):
        if node.value is not None:
            yield from _places(node.value, scope, deferred=deferred)
    elif isinstance(node, ast.Lambda):
        yield from _places(node.body, scope, deferred=deferred)
    elif isinstance(node, ast.Module):
        for statement in _without_docstring(node.body):
            yield from _places(statement, scope, deferred=deferred)
    elif not _is_left_alone(node):
        for child in ast.iter_child_nodes(node):
            yield from _places(child, scope, deferred=deferred, is_bool=is_bool)


def _without_docstring(body: list[ast.stmt]) -> list[ast.stmt]:
    """Return statements without bare strings: docstrings, and what attributes are described by."""
    return [
        statement
        for statement in body
        if not (isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant))
    ]


def _is_left_alone(node: ast.AST) -> bool:
    if isinstance(node, ast.If):
        return "TYPE_CHECKING" in ast.unparse(node.test)
    if isinstance(node, ast.Assign):
        return ast.unparse(node.targets[0]) == "__all__"
    if isinstance(node, ast.keyword):
        return node.arg in _SILENT_KEYWORDS
    # Before Python 3.12 what stands in an f-string has no position of its own; its words are messages anyway.
    return isinstance(node, (ast.Assert, ast.Raise, ast.JoinedStr, ast.Import, ast.ImportFrom))


# --- by what ---------------------------------------------------------------------------------------------


def _statements(node: ast.stmt) -> Iterator[str]:
    """Yield statements to put in the place of one."""
    if isinstance(node, (ast.Raise, ast.Continue, ast.Break)):
        yield "pass"
    if isinstance(node, ast.Expr) and isinstance(node.value, (ast.Call, ast.YieldFrom)):
        yield "pass"
    if isinstance(node, (ast.Assign, ast.AugAssign)):
        target = node.targets[0] if isinstance(node, ast.Assign) else node.target
        if isinstance(node, ast.AugAssign) or isinstance(target, (ast.Attribute, ast.Subscript)):
            yield "pass"
    if isinstance(node, ast.AugAssign) and type(node.op) in _ARITHMETIC and not _is_text(node.value):
        yield ast.unparse(ast.AugAssign(node.target, _ARITHMETIC[type(node.op)](), node.value))
    if isinstance(node, ast.Return) and not (node.value is None or _is_none(node.value)):
        yield "return None"


def _expressions(node: ast.expr) -> Iterator[ast.expr]:
    """Yield expressions to put in the place of one."""
    if isinstance(node, ast.Compare):
        for place, operator in enumerate(node.ops):
            for other in _COMPARISONS[type(operator)]:
                yield ast.Compare(node.left, _with(node.ops, place, other()), node.comparators)
    elif isinstance(node, ast.BoolOp):
        yield ast.BoolOp(ast.Or() if isinstance(node.op, ast.And) else ast.And(), node.values)
        for dropped in range(len(node.values)):
            left = [value for place, value in enumerate(node.values) if place != dropped]
            yield left[0] if len(left) == 1 else ast.BoolOp(node.op, left)
    elif isinstance(node, ast.BinOp):
        if type(node.op) in _ARITHMETIC and not (_is_text(node.left) or _is_text(node.right)):
            yield ast.BinOp(node.left, _ARITHMETIC[type(node.op)](), node.right)
    elif isinstance(node, ast.UnaryOp):
        if isinstance(node.op, (ast.Not, ast.USub)):
            yield node.operand
    elif isinstance(node, ast.Constant):
        yield from map(ast.Constant, _constants(node.value))
    elif isinstance(node, ast.Call):
        yield from _calls(node)
    elif isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Slice):
        bounds = node.slice
        if bounds.lower is not None:
            yield ast.Subscript(node.value, ast.Slice(None, bounds.upper, bounds.step), node.ctx)
        if bounds.upper is not None:
            yield ast.Subscript(node.value, ast.Slice(bounds.lower, None, bounds.step), node.ctx)
    elif isinstance(node, (ast.ListComp, ast.SetComp, ast.GeneratorExp, ast.DictComp)):
        yield from _comprehensions(node)


def _constants(value: object) -> Iterator[bool | int | float]:
    if isinstance(value, bool):
        yield not value
    elif isinstance(value, int):
        yield value + 1
        yield value - 1
    elif isinstance(value, float):
        yield value + 1.0
        if abs(value) > _SMALL:
            yield value * 1.1


def _calls(node: ast.Call) -> Iterator[ast.expr]:
    if isinstance(node.func, ast.Name) and node.func.id in _OPPOSITES:
        yield ast.Call(ast.Name(_OPPOSITES[node.func.id], ast.Load()), node.args, node.keywords)
    swappable = ast.unparse(node.func).rpartition(".")[2] not in _COMMUTATIVE and len(node.args) >= 2
    if swappable and not any(isinstance(argument, ast.Starred) for argument in node.args[:2]):
        yield ast.Call(node.func, [node.args[1], node.args[0], *node.args[2:]], node.keywords)
    for dropped, keyword in enumerate(node.keywords):
        if keyword.arg in _SILENT_KEYWORDS:
            continue
        left = [keyword for place, keyword in enumerate(node.keywords) if place != dropped]
        yield ast.Call(node.func, node.args, left)


def _comprehensions(node: ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp) -> Iterator[ast.expr]:
    """Yield it without each of its conditions, and with each of them negated."""
    for place, generator in enumerate(node.generators):
        for number, condition in enumerate(generator.ifs):
            without = [*generator.ifs[:number], *generator.ifs[number + 1 :]]
            for tests in (without, _with(generator.ifs, number, ast.UnaryOp(ast.Not(), condition))):
                other = ast.comprehension(generator.target, generator.iter, tests, generator.is_async)
                generators = _with(node.generators, place, other)
                if isinstance(node, ast.DictComp):
                    yield ast.DictComp(node.key, node.value, generators)
                else:
                    yield type(node)(node.elt, generators)


def _with(items: Sequence[Item], place: int, other: Item) -> list[Item]:
    return [*items[:place], other, *items[place + 1 :]]


def _is_none(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def _is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str))
