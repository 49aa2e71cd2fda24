"""What a picture of a bundled figure is about: a data set and network under threats that differ in the radius."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from bnnbench import NotApplicable, Results, Threat
from bnnbench.authoring import wilson

PERCENTS = (0, 0.2, 0.4, 0.6, 0.8, 1)
"""The ticks of axes of shares."""
_NORMS = {"linf": "l-infinity", "l2": "l2", "l1": "l1"}
_ACCESS = {"gradient": "gradients", "scores": "scores alone", "decisions": "predicted classes alone"}
_STREAMS = {
    "fixed": "attacker and defender use the same draws",
    "independent": "attacker and defender use different draws",
    "fresh": "every query uses draws chosen anew",
}


@dataclass(frozen=True)
class Place:
    """The lines of a table whose threats agree in all fields but the radius and some others.

    Attributes:
        group: all lines of the data set and network.
        threat: what the threats of these lines share; the other fields are empty.
        lines: the lines, those of smaller radii first.
        suffix: what tells the place from others of the same group, for names of files; may be empty.
    """

    group: Any
    threat: Threat
    lines: Sequence[Any]
    suffix: str

    @property
    def name(self) -> str:
        """The place in names of files."""
        return "-".join(filter(None, [self.group.dataset, self.group.network, self.suffix]))

    @property
    def title(self) -> str:
        """The place in titles."""
        return f"{self.group.dataset} / {self.group.network}"

    @property
    def radius(self) -> str:
        """The label of an axis of radii."""
        return f"{self.norm} radius (in the data's units)"

    @property
    def norm(self) -> str:
        """The norm in words."""
        return _NORMS[self.threat.norm]

    @property
    def posteriors(self) -> dict[str, list[Any]]:
        """The lines of each posterior by its name; `~` marks one that has not converged."""
        found: dict[str, list[Any]] = {}
        for line in self.lines:
            found.setdefault(line.posterior, []).append(line)
        return {name + "~" * any(map(_is_short, lines)): lines for name, lines in found.items()}

    @property
    def images(self) -> int:
        """The number of test images."""
        return max(cell.figures["images"] for line in self.lines for cell in line.all if cell.ok)

    @property
    def about(self) -> str:
        """Threat, images, seeds and short posteriors in sentences, for captions."""
        threat, seeds = self.threat, len(self.group.seeds)
        stream = _STREAMS[threat.stream]
        if threat.stream == "fixed" and threat.attack_draws is not None:
            stream = f"the attacker uses at most {threat.attack_draws} of the defender's draws"
        words = [
            f"Threat: {self.norm} ball",
            f"the attacker is given {_ACCESS[threat.access]}",
            "" if threat.queries is None else f"at most {threat.queries} queries per image",
            stream,
            "" if threat.goal == "untargeted" else f"goal: {threat.goal}",
        ]
        images = f"{self.images} test images{f', mean over {seeds} seeds' if seeds > 1 else ''}"
        short = " ~: short posterior (not converged), so about these draws only." if self._has_short else ""
        return f"{'; '.join(filter(None, words))}. {images}.{short}"

    @property
    def _has_short(self) -> bool:
        return any(map(_is_short, self.lines))


def _is_short(line: Any) -> bool:
    return any(cell.card == "short" for cell in line.all)


def places(results: Results, beside: Iterable[str] = ()) -> list[Place]:
    """The places of results, in the order of the file. Their threats differ in the radius and the fields `beside`.

    Raises `NotApplicable` if no attack and no certificate has a result.
    """
    found = [place for group in results.groups for place in _of_group(group, tuple(beside))]
    if not found:
        raise NotApplicable("no attack and no certificate has a result; bnnbench run computes them")
    return found


def _of_group(group: Any, beside: Sequence[str]) -> list[Place]:
    """The places of a group in which something has a result."""
    shared: dict[Threat, list[Any]] = {}
    for line in group.lines:
        if any(cell.ok for cell in line.all):
            key = replace(line.threat, epsilon=0.0, **dict.fromkeys(beside))
            shared.setdefault(key, []).append(line)
    return [
        Place(group, threat, sorted(lines, key=lambda line: line.threat.epsilon), _suffix(threat, list(shared)))
        for threat, lines in shared.items()
    ]


def _suffix(threat: Threat, threats: Sequence[Threat]) -> str:
    """The values of a threat in the fields in which threats differ."""
    names = [field.name for field in fields(Threat) if len({getattr(one, field.name) for one in threats}) > 1]
    values = {name: value for name in names if (value := getattr(threat, name)) is not None}
    return "-".join(value if isinstance(value, str) else f"{name}-{value}" for name, value in values.items())


def accuracy(cells: Sequence[Any], figure: str = "robust_accuracy") -> tuple[float, float, float] | None:
    """The mean over seeds of a figure of cells, and its Wilson interval at the number of images.

    None if one of them has no result, as tables show no number then.
    """
    if not cells or not all(cell.ok for cell in cells):
        return None
    values = [cell.figures[figure] for cell in cells]
    return with_interval(sum(values) / len(values), cells[0].figures["images"])


def with_interval(share: float, images: int) -> tuple[float, float, float]:
    """A share of images, and the ends of its Wilson interval."""
    return (share, *wilson(share * images, images))
