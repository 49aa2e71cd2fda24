"""Read a YAML file into plain values that still know their lines."""

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
"""A file is refused past these: a few hundred bytes of aliases can unfold to billions of values, and a number of
thousands of hexadecimal digits cannot even be printed."""
_SEPARATOR = re.compile(r"[,\[{]?[\n\r\x85\u2028\u2029] *(?:[-?][ \t])?|[,\[{:]|[-?][ \t]")
"""Each value of a file but the first has one of its own before it."""

Path_ = tuple[str | int, ...]


class Source:
    """The values of a YAML 1.2 file, where each stands, and the problems found in it.

    `text` stands for the file's content, if it is given. Raises `ConfigError` if the file cannot be read, or is not
    YAML.
    """

    def __init__(self, path: str | Path, text: str | None = None) -> None:
        self.path = Path(path)
        self.text = self._read() if text is None else text
        self.problems: list[str] = []
        self._places: dict[Path_, tuple[int, int]] = {}
        self._key_places: dict[Path_, tuple[int, int]] = {}
        self._nodes = 0
        self.values = self._plain(self._parse(), ())
        if self.problems:
            raise ConfigError(self.problems)

    def problem(self, path: Path_, message: str, *, at_key: bool = False) -> None:
        """Note a problem with the value (or the key) at a path such as `("posteriors", "nuts", "warmup")`."""
        self.problems.append(f"{self.path}{self._where(path, at_key)}: {message}")

    def raise_problems(self) -> None:
        """Raise `ConfigError` with all problems noted, in the order of their lines; do nothing if there are none."""
        if self.problems:
            raise ConfigError(sorted(dict.fromkeys(self.problems), key=_line_of))

    def mapping(self, path: Path_, value: Any) -> dict[str, Any]:
        """The value as a mapping; nothing (`digits:`) is an empty one."""
        if value is None:
            return {}
        if isinstance(value, dict):
            return value
        self.problem(path, f"{dotted(path)} must be a mapping, not {shown(value)}")
        return {}

    def unknown_keys(self, path: Path_, mapping: dict[str, Any], known: Sequence[str]) -> None:
        """Note every key that is not known, with what was probably meant."""
        for key in mapping:
            if key not in known:
                where = f"{dotted(path)} has" if path else "there is"
                self.problem((*path, key), f"{where} no key '{clean(key)}'{did_you_mean(key, known)}", at_key=True)

    def _where(self, path: Path_, at_key: bool) -> str:
        places = self._key_places if at_key else self._places
        for end in range(len(path), -1, -1):
            place = places.get(path[:end]) or self._places.get(path[:end])
            if place is not None:
                return f":{place[0] + 1}:{place[1] + 1}"
        return ""

    def _read(self) -> str:
        try:
            with self.path.open("rb") as file:
                content = file.read(MAX_BYTES + 1)  # It may be a device that never ends.
            if len(content) > MAX_BYTES:
                raise ConfigError([f"{self.path}: larger than {MAX_BYTES >> 10} KiB"])
            return content.decode("utf-8")
        except OSError as error:
            raise ConfigError([f"{self.path}: {(error.strerror or str(error)).lower()}"]) from error
        except UnicodeDecodeError as error:
            raise ConfigError([f"{self.path}: not UTF-8 text"]) from error

    def _parse(self) -> Any:
        from ruamel.yaml import YAML
        from ruamel.yaml.error import MarkedYAMLError

        text = self.text
        if text.count("<<") > MAX_MERGES or _depth(text) > MAX_DEPTH:
            raise ConfigError([f"{self.path}: more than {MAX_MERGES} merge keys (<<), or nested too deep"])
        # Making values takes a hundred times as long as counting what must stand between them.
        if sum(1 for _ in _SEPARATOR.finditer(text)) > MAX_NODES:
            raise ConfigError([f"{self.path}: more than {MAX_NODES} values"])
        try:
            return YAML(typ="rt", pure=True).load(text)
        except MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            place = f":{mark.line + 1}:{mark.column + 1}" if mark else ""
            problem = (error.problem or error.context or "not YAML").partition("\n")[0].partition(" with value")[0]
            raise ConfigError([f"{self.path}{place}: {clean(problem)}"]) from error
        except Exception as error:  # The parser meets what no file should hold with any error at all.
            raise ConfigError([f"{self.path}: not YAML: {clean(str(error).partition(chr(10))[0])}"]) from error

    def _plain(self, node: Any, path: Path_) -> Any:
        """Ruamel's nodes as plain Python values; it fills in where each stands."""
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
        # Ruamel's booleans with an anchor are integers of their own; dates and tagged values end here too.
        self.problem(path, f"{dotted(path)} is a {type(node).__name__}: put it in quotes if it is text")
        return None

    def _items(self, node: Any, path: Path_) -> list[tuple[str, Any]]:
        items = []
        for key in node:
            place = (*path, key if isinstance(key, str) else shown(key))
            try:
                self._key_places[place] = tuple(node.lc.key(key))
                self._places[place] = tuple(node.lc.value(key))
            except (KeyError, TypeError, AttributeError):
                pass  # A merged key stands elsewhere: the mapping's own place will do.
            if not isinstance(key, str):
                self.problem(place, f"the key {shown(key)} of {dotted(path) or 'the file'} is not text", at_key=True)
                continue
            items.append((str(key), self._plain(node[key], place)))
        return items


def _depth(text: str) -> int:
    """How deep brackets are nested; those inside of quotes count too, which does no harm."""
    steps = ({"[": 1, "{": 1, "]": -1, "}": -1}.get(char, 0) for char in text)
    return max(itertools.accumulate(steps), default=0)


def did_you_mean(word: str, known: Sequence[str]) -> str:
    """A suggestion, or what there is to choose from."""
    close = closest(word, known)
    return f"; did you mean '{close}'?" if close else f" (known: {', '.join(known)})"


def dotted(path: Path_) -> str:
    """`posteriors.nuts.warmup`."""
    return ".".join(clean(str(part)) for part in path)


def shown(value: Any) -> str:
    """A value as it stands in YAML, shortened, with nothing that a terminal would obey."""
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
    parts = problem.split(":")
    numbers = [int(part) for part in parts[1:3] if part.isdigit()]
    return (numbers[0], numbers[1]) if len(numbers) == 2 else (0, 0)
