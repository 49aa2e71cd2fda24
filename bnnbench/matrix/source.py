"""Read a YAML file into plain values, and find the line of each value for messages."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bnnbench.errors import ConfigError, clean, closest

MAX_BYTES = 1 << 20
MAX_NODES = 20_000
MAX_MERGES = 20
MAX_DEPTH = 50
MAX_BITS = 64
"""Limits beyond which a file is refused. A few hundred bytes of aliases can unfold to billions of values, and integers
of thousands of digits cannot be printed."""
_SEPARATOR = re.compile(r"[,\[{]?[\n\r\x85\u2028\u2029] *(?:[-?][ \t])?|[,\[{:]|[-?][ \t]")
"""Matches a separator of values. A file has at most one value more than separators."""

_IN_PLAIN_WORDS = {
    "found character '\\t' that cannot start any token": "a tab, but YAML is indented with spaces",
    "but found another document": "a second document (---), but a benchmarks file is one",
}
"""Messages of the parser that do not say what to do."""

KeyPath = tuple[str | int, ...]
"""The place of a value in a file: the keys and list positions that lead to it."""


class Source:
    """The plain values of a YAML 1.2 file, the place of each, and the problems found in the file.

    If `text` is given it is read in place of the file's content. Raises `ConfigError` if the file cannot be read, is
    not YAML, or exceeds a limit.
    """

    def __init__(self, path: str | Path, text: str | None = None) -> None:
        self.path = Path(path)
        self.text = self._read() if text is None else text
        self.problems: list[str] = []
        self._places: dict[KeyPath, tuple[int, int]] = {}
        self._key_places: dict[KeyPath, tuple[int, int]] = {}
        self._nodes = 0
        self.values = self._plain(self._parse(), ())
        if self.problems:
            raise ConfigError(self.problems)

    def problem(self, path: KeyPath, message: str, *, at_key: bool = False) -> None:
        """Note a problem with the value (or the key) at a path such as `("posteriors", "nuts", "warmup")`."""
        self.problems.append(f"{self.path}{self._where(path, at_key)}: {message}")

    def raise_problems(self) -> None:
        """Raise `ConfigError` with all noted problems in the order of their lines; do nothing if there are none."""
        if self.problems:
            raise ConfigError(sorted(dict.fromkeys(self.problems), key=_line_of))

    def mapping(self, path: KeyPath, value: Any) -> dict[str, Any]:
        """The value as a mapping: an empty one for no value (`digits:`), and for any other type, which is a problem."""
        if value is None:
            return {}
        if isinstance(value, dict):
            return value
        self.problem(path, f"{dotted(path)} must be a mapping, not {shown(value)}")
        return {}

    def unknown_keys(self, path: KeyPath, mapping: dict[str, Any], known: Sequence[str]) -> None:
        """Note a problem for every key that is not in `known`, with the most similar known key."""
        for key in mapping:
            if key not in known:
                where = f"{dotted(path)} has" if path else "there is"
                self.problem((*path, key), f"{where} no key '{clean(key)}'{did_you_mean(key, known)}", at_key=True)

    def _where(self, path: KeyPath, at_key: bool) -> str:
        """`:line:column` of the value or key at a path, or of the innermost one around it whose place is known."""
        places = self._key_places if at_key else self._places
        for end in range(len(path), -1, -1):
            place = places.get(path[:end]) or self._places.get(path[:end])
            if place is not None:
                return f":{place[0] + 1}:{place[1] + 1}"
        return ""

    def _read(self) -> str:
        try:
            with self.path.open("rb") as file:
                content = file.read(MAX_BYTES + 1)  # The path may be a device without an end.
            if len(content) > MAX_BYTES:
                raise ConfigError([f"{self.path}: larger than {MAX_BYTES >> 10} KiB"])
            return content.decode("utf-8")
        except OSError as error:
            raise ConfigError([f"{self.path}: {(error.strerror or str(error)).lower()}"]) from error
        except UnicodeDecodeError as error:
            raise ConfigError([f"{self.path}: not UTF-8 text"]) from error

    def _parse(self) -> Any:
        """The root node that ruamel makes of the text."""
        from ruamel.yaml import YAML
        from ruamel.yaml.error import MarkedYAMLError
        from ruamel.yaml.reader import ReaderError

        text = self.text
        if text.count("<<") > MAX_MERGES or _depth(text) > MAX_DEPTH:
            raise ConfigError([f"{self.path}: more than {MAX_MERGES} merge keys (<<), or nested too deep"])
        # Counting separators takes a hundredth of the time that parsing takes.
        if next(itertools.islice(_SEPARATOR.finditer(text), MAX_NODES, None), None) is not None:
            raise ConfigError([f"{self.path}: more than {MAX_NODES} values"])
        try:
            return YAML(typ="rt", pure=True).load(text)
        except MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            place = f":{mark.line + 1}:{mark.column + 1}" if mark else ""
            problem = (error.problem or error.context or "not YAML").partition("\n")[0].partition(" with value")[0]
            raise ConfigError([f"{self.path}{place}: {clean(_IN_PLAIN_WORDS.get(problem, problem))}"]) from error
        except ReaderError as error:
            place = f":{text.count(chr(10), 0, error.position) + 1}"
            raise ConfigError([f"{self.path}{place}: YAML has no character U+{error.character:04X}"]) from error
        except Exception as error:  # On malformed input the parser may raise errors of any type.
            raise ConfigError([f"{self.path}: not YAML: {clean(str(error).partition(chr(10))[0])}"]) from error

    def _plain(self, node: Any, path: KeyPath) -> Any:
        """A node of ruamel's as plain Python values. The place of each value is kept."""
        self._nodes += 1
        if self._nodes > MAX_NODES or len(path) > MAX_DEPTH:
            raise ConfigError([f"{self.path}: unfolds to more than {MAX_NODES} values, or is nested too deep"])
        if isinstance(node, dict):
            return dict(self._items(node, path))
        if isinstance(node, list):
            for position in range(len(node)):
                self._places[(*path, position)] = node.lc.item(position)  # type: ignore[attr-defined]
            return [self._plain(item, (*path, position)) for position, item in enumerate(node)]
        if isinstance(node, int) and node.bit_length() > MAX_BITS:
            self.problem(path, f"{dotted(path)} is {shown(node)}: no number of more than {MAX_BITS} bits is meant")
            return None
        for kind in (bool, int, float, str):
            if isinstance(node, kind):
                return kind(node)
        if node is None:
            return None
        # Dates, tagged values, and booleans with an anchor, which are not of type bool in ruamel.
        self.problem(path, f"{dotted(path)} is a {type(node).__name__}: put it in quotes if it is text")
        return None

    def _items(self, node: Any, path: KeyPath) -> list[tuple[str, Any]]:
        """The items of a mapping as plain values. The places of keys and values are kept."""
        items = []
        for key in node:
            place = (*path, key if isinstance(key, str) else shown(key))
            try:
                self._key_places[place] = tuple(node.lc.key(key))
                self._places[place] = tuple(node.lc.value(key))
            except (KeyError, TypeError, AttributeError):
                pass  # A merged key has no place in this mapping: messages give the place of the mapping.
            if not isinstance(key, str):
                self.problem(place, f"the key {shown(key)} of {dotted(path) or 'the file'} is not text", at_key=True)
                continue
            items.append((str(key), self._plain(node[key], place)))
        return items


def _depth(text: str) -> int:
    """The depth of nested brackets. Brackets in quoted text count too: the result is an upper limit."""
    steps = (1 if bracket in "[{" else -1 for bracket in re.findall(r"[\[\]{}]", text))
    return max(itertools.accumulate(steps), default=0)


def did_you_mean(word: str, known: Sequence[str]) -> str:
    """The end of a message about an unknown word: the most similar known word, or else all known words."""
    close = closest(word, known)
    return f"; did you mean '{close}'?" if close else f" (known: {', '.join(known)})"


def dotted(path: KeyPath) -> str:
    """A path as text, such as `posteriors.nuts.warmup`."""
    return ".".join(clean(str(part)) for part in path)


def shown(value: Any) -> str:
    """A value as text for a message: as in YAML, without control characters, at most 60 characters long."""
    words = {None: "nothing", True: "true", False: "false"}
    if isinstance(value, bool) or value is None:
        return words[value]
    if isinstance(value, int) and value.bit_length() > MAX_BITS:
        text = hex(value)
    elif isinstance(value, str | int | float):
        text = repr(value)
    else:
        text = f"a {'mapping' if isinstance(value, dict) else 'list'}"
    return clean(text if len(text) <= 60 else text[:57] + "...")


def _line_of(problem: str) -> tuple[int, int]:
    """The line and column that a problem begins with; (0, 0) if it has none."""
    parts = problem.split(":")
    numbers = [int(part) for part in parts[1:3] if part.isdigit()]
    return (numbers[0], numbers[1]) if len(numbers) == 2 else (0, 0)
