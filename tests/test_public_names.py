"""Users can name every type that they can reach, and nothing else shows."""

from __future__ import annotations

import ast
import inspect
import sys
from collections.abc import Iterator
from enum import Enum
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import TypeVar

import pytest

import peer

OURS = ("peer", "signaling")


def public_objects() -> Iterator[type | object]:
    for name in peer.__all__:
        yield getattr(peer, name)


def public_classes() -> Iterator[type]:
    return (thing for thing in public_objects() if isinstance(thing, type))


def imported(tree: ast.Module, package: str) -> dict[str, tuple[str, str]]:
    """Where the names of a module come from, those for type checkers included."""
    found = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            if node.level:
                module = f"{package.rsplit('.', node.level - 1)[0]}.{node.module or ''}".rstrip(".")
            for alias in node.names:
                found[alias.asname or alias.name] = (module, alias.name)
    return found


def annotated(node: ast.AST) -> Iterator[ast.expr]:
    """Those that users meet: of fields, properties, and public methods."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        arguments = node.args
        for argument in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs):
            if argument.annotation is not None:
                yield argument.annotation
        if node.returns is not None:
            yield node.returns
    elif isinstance(node, ast.AnnAssign):
        yield node.annotation


def reachable(thing: object) -> set[tuple[str, str]]:
    """Module and name of everything of ours that a public thing's annotations mention."""
    found: set[tuple[str, str]] = set()
    classes = (
        [c for c in thing.__mro__ if c.__module__.startswith(OURS)]
        if isinstance(thing, type)
        else [thing]
    )
    for part in classes:
        module = sys.modules[part.__module__]
        path = Path(inspect.getfile(module))
        tree = ast.parse(path.read_text(encoding="utf-8"))
        package = module.__name__ if path.name == "__init__.py" else module.__package__ or ""
        names = imported(tree, package)
        for node in tree.body:
            if getattr(node, "name", None) == part.__name__:  # type: ignore[attr-defined]
                body = node.body if isinstance(node, ast.ClassDef) else [node]
                break
        else:
            continue
        for member in body:
            target = getattr(member, "target", None)
            name = getattr(member, "name", getattr(target, "id", ""))
            if name.startswith("_") and name not in ("__aiter__", "__anext__", "__aenter__"):
                continue
            for annotation in annotated(member):
                for word in ast.walk(annotation):
                    if isinstance(word, ast.Name):
                        if word.id in names:
                            found.add(names[word.id])
                        elif hasattr(module, word.id):
                            found.add((module.__name__, word.id))
    return found


@pytest.mark.parametrize("name", peer.__all__)
def test_whatever_an_annotation_mentions_is_public(name: str) -> None:
    public = set(peer.__all__)
    for module, word in reachable(getattr(peer, name)):
        if module.split(".")[0] not in OURS or word.startswith("_"):
            continue
        value = getattr(import_module(module), word)
        # Numbers are bounds, modules say where else to look, variables of types mean no type.
        if not isinstance(value, TypeVar | ModuleType | int):
            assert word in public, f"{name} mentions {module}.{word}"
            assert getattr(peer, word) is value


@pytest.mark.parametrize("thing", list(public_classes()), ids=lambda thing: thing.__name__)
def test_what_shows_on_an_object_is_documented(thing: type) -> None:
    for name in dir(thing):
        if name.startswith("_"):
            continue
        value = inspect.getattr_static(thing, name)
        owners = [c for c in thing.__mro__ if name in vars(c)]
        if not owners[-1].__module__.startswith(OURS) or issubclass(thing, Enum):
            continue
        doc = getattr(value, "__doc__", None) if callable(value) or property_like(value) else ""
        said = "" if callable(value) else "".join(inspect.getsource(owner) for owner in owners)
        assert doc or f"{name}:" in said or f"`{name}`" in said, (
            f"{thing.__name__}.{name} says nothing"
        )


def property_like(value: object) -> bool:
    return isinstance(value, property | classmethod | staticmethod)


INTERNAL = {"abort", "attach", "begin", "channel_received", "consume", "deliver_to", "end", "put"}
"""Names of what drivers call, which users' objects had."""


@pytest.mark.parametrize("thing", list(public_classes()), ids=lambda thing: thing.__name__)
def test_what_drivers_call_does_not_show(thing: type) -> None:
    shown = {name for name in dir(thing) if not name.startswith("_")}
    assert not shown & INTERNAL
    if not issubclass(thing, peer.LinkConfig):
        assert not any(name.startswith(("on_", "channel_", "receive_")) for name in shown)


def test_the_names_are_in_order() -> None:
    assert peer.__all__ == sorted(peer.__all__)
    assert set(dir(peer)) >= set(peer.__all__)
