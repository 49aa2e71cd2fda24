"""What a picture of a bundled figure is about: a data set and network under threats that differ in the radius."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from bnnbench import NotApplicable, Results, Threat

PERCENTS = (0, 0.2, 0.4, 0.6, 0.8, 1)
"""The ticks of axes of shares."""
_NORMS = {"linf": "l-infinity", "l2": "l2", "l1": "l1"}
_ACCESS = {"gradient": "gradients", "scores": "scores alone", "decisions": "predicted classes alone"}


@dataclass(frozen=True)
class Place:
    """The lines of a table whose threats agree in all fields but the radius and some others.

    Attributes:
        group: all lines of the data set and network.
        lines: the lines, those of smaller radii first.
        beside: the fields besides the radius in which the threats of these lines may differ.
        suffix: what tells the place from others of the same group, for names of files; may be empty.
    """

    group: Any
    lines: Sequence[Any]
    beside: Sequence[str]
    suffix: str

    @property
    def threat(self) -> Threat:
        """One of the threats of these lines."""
        threat: Threat = self.lines[0].threat
        return threat

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
    def is_about_class(self) -> bool:
        """Whether the attackers' goal is about the predicted class, and not about its uncertainty."""
        return self.threat.goal in ("untargeted", "targeted")

    @property
    def robust(self) -> str:
        """The label of an axis of robust accuracies."""
        return f"{self._shares} (%)"

    @property
    def robust_title(self) -> str:
        """What robust accuracies are, at the start of a title."""
        return self._shares.capitalize()

    @property
    def _shares(self) -> str:
        """What robust accuracies are: only those of untargeted attacks are accuracies."""
        return "robust accuracy" if self.threat.goal == "untargeted" else "images that withstood"

    @property
    def withstood(self) -> str:
        """The images that robust accuracies count, in words."""
        return self.threat.aim.withstood

    @property
    def about(self) -> str:
        """Threat, images, seeds and short posteriors in sentences, for captions."""
        threat, seeds = self.threat, len(self.group.seeds)
        asks = threat.queries is not None and "queries" not in self.beside
        words = [
            f"Threat: {self.norm} ball",
            f"the attacker is given {_ACCESS[threat.access]}",
            f"at most {threat.queries} queries per image" if asks else "",
            _stream(threat.stream, None if "attack_draws" in self.beside else threat.attack_draws),
            "" if threat.goal == "untargeted" else f"goal: {threat.goal_text}",
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


def _stream(stream: str, attack_draws: int | None) -> str:
    """The draws that attacker and defender use; without a limit if `attack_draws` is None."""
    if stream == "fixed":
        if attack_draws is None:
            return "attacker and defender use the same draws"
        return f"the attacker uses at most {attack_draws} of the defender's draws"
    if stream == "fresh":
        return f"every query uses {'' if attack_draws is None else f'{attack_draws} '}draws chosen anew"
    most = "" if attack_draws is None else f", the attacker at most {attack_draws}"
    return f"attacker and defender use different draws{most}"


def _of_group(group: Any, beside: Sequence[str]) -> list[Place]:
    """The places of a group in which something has a result."""
    names = [field.name for field in fields(Threat) if field.name not in ("epsilon", *beside)]
    shared: dict[tuple[Any, ...], list[Any]] = {}
    for line in group.lines:
        if any(cell.ok for cell in line.all):
            shared.setdefault(tuple(getattr(line.threat, name) for name in names), []).append(line)
    differing = [place for place, values in enumerate(zip(*shared, strict=True)) if len(set(values)) > 1]
    return [
        Place(
            group,
            sorted(lines, key=lambda line: line.threat.epsilon),
            beside,
            _suffix({names[place]: values[place] for place in differing}),
        )
        for values, lines in shared.items()
    ]


def _suffix(differing: Mapping[str, Any]) -> str:
    """The values of the fields in which the threats of a group differ."""
    values = {name: value for name, value in differing.items() if value is not None}
    return "-".join(value if isinstance(value, str) else f"{name}-{value}" for name, value in values.items())
