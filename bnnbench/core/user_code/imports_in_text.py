"""What the text of a Python file imports and defines; nothing is run."""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple


class Import(NamedTuple):
    """One name that an import statement asks for: `level` dots, a module, and a name of it, or None for `import`."""

    level: int
    module: str
    name: str | None


def parsed(path: Path, content: bytes) -> ast.Module:
    """The syntax tree of a file with this content. Raises `ValueError` if it is not Python."""
    try:
        return ast.parse(content, path.name)
    except (SyntaxError, ValueError) as error:
        raise ValueError(f"{path} is not Python: {error}") from error
    except (RecursionError, MemoryError) as error:
        raise ValueError(f"{path} is nested too deep to be read") from error


@functools.lru_cache(maxsize=4096)
def imports(path: Path, content: bytes) -> tuple[Import, ...]:
    """The imports of a file with this content, wherever they stand; none if it is not Python."""
    try:
        tree = parsed(path, content)
    except ValueError:
        return ()  # Importing the file raises the error.
    return tuple(_imports(tree))


def _imports(tree: ast.Module) -> Iterator[Import]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (Import(0, alias.name, None) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (Import(node.level, node.module or "", alias.name) for alias in node.names)


def defined(tree: ast.Module) -> dict[str, ast.AST]:
    """The names that the statements of a module bind, however they are nested in `if`, `try`, `with` and loops.

    Each comes with the statement that binds it last: a class, a function, an assignment, an import.
    """
    found: dict[str, ast.AST] = {}
    for statement in _statements(tree.body):
        found |= dict.fromkeys(_bound(statement), statement)
    return found


def may_define_more(tree: ast.Module) -> bool:
    """Whether a module may have names that its text does not show: `import *`, `__getattr__`, `globals()`, `exec`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and any(alias.name == "*" for alias in node.names):
            return True
        if isinstance(node, ast.Name) and node.id in ("globals", "vars", "locals", "exec", "setattr"):
            return True
    return "__getattr__" in defined(tree)


def _statements(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    for statement in body:
        yield statement
        if isinstance(statement, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        for name in ("body", "orelse", "finalbody"):
            yield from _statements(getattr(statement, name, []))
        for part in (*getattr(statement, "handlers", ()), *getattr(statement, "cases", ())):
            yield from _statements(part.body)


def _bound(statement: ast.stmt) -> Iterator[str]:
    """The names that a statement binds in its own module, those in its blocks left out."""
    if isinstance(statement, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
        yield statement.name
        for node in ast.walk(statement):
            if isinstance(node, ast.Global):
                yield from node.names
    elif isinstance(statement, ast.Import):
        yield from (alias.asname or alias.name.partition(".")[0] for alias in statement.names)
    elif isinstance(statement, ast.ImportFrom):
        yield from (alias.asname or alias.name for alias in statement.names)
    else:
        for node in _own_nodes(statement):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                yield node.id
            elif isinstance(node, ast.ExceptHandler | ast.MatchAs | ast.MatchStar) and node.name:
                yield node.name


def _own_nodes(statement: ast.stmt) -> Iterator[ast.AST]:
    """The nodes of a statement without those of the statements inside of it."""
    unseen: list[ast.AST] = [statement]
    while unseen:
        node = unseen.pop()
        yield node
        unseen += [child for child in ast.iter_child_nodes(node) if not isinstance(child, ast.stmt)]


def bases_elsewhere(tree: ast.Module, name: str) -> Iterator[str]:
    """The dotted names of the classes from elsewhere that a class of a module derives from, through others of it.

    What is no plain name is given as it is written.
    """
    classes = {name: node for name, node in defined(tree).items() if isinstance(node, ast.ClassDef)}
    imported = dict(_imported_as(tree))
    unseen, seen = [name], set()
    while unseen:
        current = unseen.pop()
        if current in seen or current not in classes:
            continue
        seen.add(current)
        for base in classes[current].bases:
            head, dot, rest = ast.unparse(base).partition(".")
            if not dot and head in classes:
                unseen.append(head)
            else:
                yield f"{imported.get(head, head)}{dot}{rest}"


def _imported_as(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Each name that an import of a file binds, and what it stands for: `nn` for `torch.nn`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                top = alias.name.partition(".")[0]
                yield (alias.asname, alias.name) if alias.asname else (top, top)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield from ((alias.asname or alias.name, f"{node.module}.{alias.name}") for alias in node.names)
