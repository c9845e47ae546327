"""Texts in Python: every string of several words that no programmer's context claims."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

__all__ = ["python_messages"]

PROSE = re.compile(r"[^\W\d_]{2,}\S* +\S|[^\W\d_]{3,}[.!?…:]\s*$|^[A-Z][a-z]+: ")
"""Two words, or one that ends or begins a sentence."""

PROGRAMMERS_ERRORS = {
    "AssertionError",
    "AttributeError",
    "IndexError",
    "KeyError",
    "NotImplementedError",
    "RuntimeError",
    "TypeError",
    "ValueError",
}
"""Exceptions that blame the program that calls; their texts are shown only by `SHOWN`."""

SHOWN = frozenset(
    {
        "peer/channel/chat/protocol.py",
        "peer/transfer/protocol/manifest.py",
        "peer/transfer/protocol/names.py",
        "peer/transfer/protocol/plan.py",
    }
)
"""Modules whose `ValueError` becomes part of a sentence."""

LOGS = {"debug", "info", "warning", "error", "exception", "critical", "log"}


def python_messages(path: Path, module: str) -> Iterator[str]:
    """Yield the texts of a module, in the order of the source.

    Args:
        path: The file.
        module: Its path in the repository.
    """
    tree = ast.parse(path.read_text(encoding="utf-8"))
    yield from _Collector(shown=module in SHOWN).collect(tree)


class _Collector:
    def __init__(self, *, shown: bool) -> None:
        self._shown = shown

    def collect(self, node: ast.AST) -> Iterator[str]:
        if self._is_programmers(node):
            return
        if isinstance(node, ast.FunctionDef) and _is_command(node):
            doc = ast.get_docstring(node) or ""
            yield from re.split(r"\n\s*\n", doc.replace("\b\n", ""))
        if isinstance(node, ast.JoinedStr):
            text = render(node)
            if PROSE.search(re.sub(r"\{[^{}]*\}", "0", text)):
                yield text
            for value in node.values:
                if isinstance(value, ast.FormattedValue):
                    yield from self._inside(value.value)
            return
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            if PROSE.search(node.value):
                yield node.value
            return
        for child in _children(node):
            yield from self.collect(child)

    def _inside(self, node: ast.expr) -> Iterator[str]:
        """Texts inside a placeholder that `render` does not show."""
        if isinstance(node, ast.IfExp):
            for branch in (node.body, node.orelse):
                if not isinstance(branch, ast.Constant | ast.JoinedStr):
                    yield from self._inside(branch)
            return
        yield from self.collect(node)

    def _is_programmers(self, node: ast.AST) -> bool:
        if isinstance(node, ast.Call):
            name = _name(node.func)
            if isinstance(node.func, ast.Attribute) and name in LOGS:
                return True
            if name in PROGRAMMERS_ERRORS and not (self._shown and name == "ValueError"):
                return True
            return name in {"compile", "TypeVar", "getLogger"}
        if isinstance(node, ast.FunctionDef) and node.name == "__repr__":
            return True
        if isinstance(node, ast.keyword) and node.arg in {"name", "metavar", "thread_name_prefix"}:
            return True
        return isinstance(node, ast.Assert)


def render(node: ast.expr) -> str:
    """Write a string or f-string with `{name}` for what is filled in."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(render(value) for value in node.values)
    if isinstance(node, ast.FormattedValue):
        return f"{{{_placeholder(node.value)}}}"
    return f"{{{_placeholder(node)}}}"


def _placeholder(node: ast.expr) -> str:
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name.lstrip("_")
        case ast.IfExp():
            return f"{_branch(node.body)}|{_branch(node.orelse)}"
        case ast.Call(args=[first, *_]) if not isinstance(first, ast.Constant):
            return _placeholder(first)
        case ast.Call(func=ast.Attribute(value=value)):
            return _placeholder(value)
        case ast.Call(func=function):
            return _placeholder(function)
        case ast.Subscript(value=value) | ast.BinOp(left=value) | ast.Await(value=value):
            return _placeholder(value)
        case ast.BoolOp(values=[first, *_]):
            return _placeholder(first)
    return "..."


def _branch(node: ast.expr) -> str:
    if isinstance(node, ast.Constant | ast.JoinedStr):
        return render(node)
    return _placeholder(node)


def _children(node: ast.AST) -> Iterator[ast.AST]:
    for field, value in ast.iter_fields(node):
        if field in ("annotation", "returns", "decorator_list") and not (
            field == "decorator_list" and isinstance(value, list) and value
        ):
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.Expr) and isinstance(child.value, ast.Constant):
                continue  # a docstring, of anything
            if isinstance(child, ast.AST):
                yield child


def _is_command(node: ast.FunctionDef) -> bool:
    return any(
        isinstance(each, ast.Call) and _name(each.func) in {"command", "group"}
        for each in node.decorator_list
    )


def _name(function: ast.expr) -> str:
    match function:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
    return ""
