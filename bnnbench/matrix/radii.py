"""The radii of a benchmarks file: as they are written, in patterns, and compared with the boxes of the data sets."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from bnnbench.core.radius import fraction_of, radius_of, radius_text
from bnnbench.core.threat import Threat
from bnnbench.core.whole_box import refused_radius
from bnnbench.matrix.config import Config, WrittenThreat
from bnnbench.matrix.settings import Evaluate, Settings
from bnnbench.matrix.source import KeyPath, dotted
from bnnbench.matrix.specs import CellSpec


def written_threats(
    path: KeyPath, wanted: Mapping[str, Any], listed: Settings, evaluate: Evaluate
) -> Iterator[WrittenThreat]:
    """The threats of the mapping at a path: of its `epsilons` (linf balls), then of its `threats`.

    `wanted` holds both keys as they are written, and `listed` their checked values.
    """
    stream: dict[str, Any] = {"stream": evaluate.stream, "attack_draws": evaluate.attack_draws}
    for number, epsilon in enumerate(listed.epsilons or []):
        place = (*path, "epsilons", number)
        text = _as_written(wanted["epsilons"][number], epsilon)
        yield WrittenThreat(Threat(epsilon=epsilon, **stream), text, evaluate.allow_whole_box, place)
    for number, threat in enumerate(listed.threats or []):
        place = (*path, "threats", number, "epsilon")
        text = _as_written(wanted["threats"][number]["epsilon"], threat.epsilon)
        allowed = evaluate.allow_whole_box if threat.allow_whole_box is None else threat.allow_whole_box
        fields = threat.model_dump(exclude={"allow_whole_box"}, exclude_none=True)
        yield WrittenThreat(Threat(**{**stream, **fields}), text, allowed, place)


def _as_written(written: Any, epsilon: float) -> str:
    """A radius as text: a fraction as it is written, without spaces, and a number in its shortest form."""
    return "".join(written.split()) if isinstance(written, str) else radius_text(epsilon)


def number_of(value: Any) -> Any:
    """A value of a pattern: the number that a fraction states, and any other value as it is."""
    try:
        return fraction_of(value) if isinstance(value, str) else value
    except ValueError:
        return value


def has_radius(cell: CellSpec, word: str) -> bool:
    """Whether the radius of a cell's threat is what a word states, such as `8/255` or `0.05`."""
    try:
        return cell.threat is not None and cell.threat.epsilon == radius_of(word)
    except ValueError:
        return False


def check_radii(config: Config, cells: Iterable[CellSpec]) -> None:
    """Raise `ConfigError`, with a line for each radius that looks like one in other units than its data set.

    Only boxes that are known before the data are loaded (`Dataset.known_bounds`) are looked at. Workers look at all.
    """
    asked = {(cell.dataset, cell.threat) for cell in cells}
    refused: dict[tuple[KeyPath, str], list[str]] = {}
    for variant in config.variants["dataset"]:
        bounds, shape = variant.component.known_bounds, variant.component.known_shape
        for written in variant.threats or ():
            if bounds is None or written.allow_whole_box or (variant.name, written.threat) not in asked:
                continue
            reason = refused_radius(written.threat, bounds, shape)
            if reason:
                refused.setdefault((written.path, reason), []).append(variant.name)
    for (path, reason), names in refused.items():
        text = f"{dotted(path)} of {', '.join(names)}: {reason} (allow_whole_box: true permits it)"
        config.source.problem(path, text)
    config.source.raise_problems()
