"""The sentences of a table of attacks: the threat that its lines share, and the notes below it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Mapping, Sequence

from bnnbench.core.threat import Threat
from bnnbench.evidence.cell import Cell
from bnnbench.evidence.lines import ATTACK, threat_of
from bnnbench.evidence.threat_names import goal_notes
from bnnbench.plugins.described import counted

_NORMS = {
    "linf": "l-infinity ball of radius eps",
    "l2": "l2 ball of radius eps",
    "l1": "l1 ball of radius eps",
}
_ACCESS = {
    "gradient": "white box (gradients)",
    "scores": "black box (scores)",
    "decisions": "black box (predicted classes)",
}


def about(cells: Sequence[Cell]) -> str:
    """The sentence about the threat of a table: that of its attackers, or what its certificates are about."""
    attacks = [cell for cell in cells if cell.spec.kind == ATTACK]
    if attacks:
        return attacker(attacks)
    norms = {_NORMS[threat_of(cell).norm] for cell in cells}
    draws = _numbers(cells, "draws")
    proven = f"proofs about the defender's draws{f' ({draws})' if draws else ''}"
    return f"Threat: {'; '.join([*(norms if len(norms) == 1 else []), proven])}."


def attacker(cells: Sequence[Cell]) -> str:
    """The sentence about the attackers of a table: norm, access, queries, goal and draws.

    What differs between lines is left out.
    """
    threats = [threat_of(cell) for cell in cells]
    accesses = {_ACCESS[threat.access] for threat in threats}
    budgets = {"" if threat.queries is None else f"at most {threat.queries} queries per image" for threat in threats}
    norm, goal = norm_and_goal(threats)
    return f"Threat: {'; '.join(filter(None, [norm, _shared(accesses), _shared(budgets), goal, _draws(cells)]))}."


def norm_and_goal(threats: Sequence[Threat]) -> tuple[str, str]:
    """The ball and the goal that threats share, in words; empty where they differ, and for the goal `untargeted`."""
    goals = {"" if threat.goal == "untargeted" else f"goal: {threat.goal_text}" for threat in threats}
    return _shared({_NORMS[threat.norm] for threat in threats}), _shared(goals)


def _shared(words: Collection[str]) -> str:
    """The only one of these words; empty if there are several."""
    return next(iter(words)) if len(words) == 1 else ""


def notes(cells: Sequence[Cell]) -> list[str]:
    """The notes below a table: what numbers count, why cells have none, warnings about images, draws and posteriors."""
    lines = goal_notes(cells) + absences(cells)
    lines += dict.fromkeys(warning for cell in cells for warning in cell.warnings if warning.startswith("the test set"))
    if any(map(_is_weaker, _with_results([cell for cell in cells if cell.spec.kind == ATTACK]))):
        lines.append("with stream fixed and all draws the attacker is stronger: report that too, not this alone")
    return lines + posterior_notes(cells)


def absences(cells: Sequence[Cell]) -> list[str]:
    """Why cells have no result: a line for each posterior, status and reason, with the number of cells."""
    reasons = Counter((cell.spec.posterior, cell.status, cell.reason) for cell in cells if not cell.ok)
    return [
        f"{posterior}: {status} ({counted(count, 'cell')}): {reason}"
        for (posterior, status, reason), count in reasons.items()
    ]


def posterior_notes(cells: Sequence[Cell]) -> list[str]:
    """The warnings about posteriors: a line for each posterior and kind of warning, which begins as all of them do.

    If a warning differs between seeds, or is not about all of them, its seeds are named: `nuts: posterior is short:
    R-hat 1.52, ESS 12 (seed 0); R-hat 1.20, ESS 40 (seeds 1, 2)`. Of more than three texts those with the largest
    R-hat are given.
    """
    seeds: dict[str, set[int]] = {}
    found: dict[tuple[str, str], dict[str, dict[int, float]]] = {}
    for cell in cells:
        seeds.setdefault(cell.spec.posterior, set()).add(cell.spec.seed)
        for warning in cell.warnings:
            start, _, text = warning.partition(": ")
            if start.startswith("posterior is"):
                texts = found.setdefault((cell.spec.posterior, start), {})
                # A reason without an R-hat, such as too few draws for one, must not be left out.
                texts.setdefault(text, {})[cell.spec.seed] = math.inf if cell.rhat is None else cell.rhat
    return [
        f"{posterior}: {start}: {_by_seed(texts, len(seeds[posterior]))}" for (posterior, start), texts in found.items()
    ]


_MOST_TEXTS = 3
"""The largest number of texts of one warning that are given."""


def _by_seed(texts: Mapping[str, Mapping[int, float]], seeds: int) -> str:
    """Texts with the seeds that they are about; these are given as mappings from seeds to R-hat.

    `seeds` is the number of all seeds. A text that is about all of them stands alone.
    """
    if len(texts) == 1 and all(len(where) == seeds for where in texts.values()):
        return next(iter(texts))
    shown = list(texts)
    if len(shown) > _MOST_TEXTS:
        shown = sorted(shown, key=lambda text: -max(texts[text].values()))[:_MOST_TEXTS]
    parts = [f"{text} (seed{'s' * (len(texts[text]) > 1)} {', '.join(map(str, texts[text]))})" for text in shown]
    left = sum(len(where) for text, where in texts.items() if text not in shown)
    return "; ".join([*parts, *([f"and {counted(left, 'more seed')}"] if left else [])])


def _draws(cells: Sequence[Cell]) -> str:
    """The draws that attacker and defender use, with their numbers if any cell has a result."""
    threat = threat_of(cells[0])  # The stream is a setting of the whole file.
    attack, defend = _numbers(cells, "attack_draws"), _numbers(cells, "draws")
    words, numbers = {
        "fixed": ("attacker and defender use the same draws", defend),
        "independent": ("attacker and defender use different draws", f"attacker: {attack}; defender: {defend}"),
        "fresh": ("every query uses draws chosen anew", attack),
    }[threat.stream]
    weaker = [*map(_is_weaker, _with_results(cells))]
    if threat.stream == "fixed" and any(weaker):
        asked = {threat_of(cell).attack_draws for cell in cells}
        some = "some" if (defend and all(weaker)) or len(asked) > 1 else f"at most {threat.attack_draws}"
        words, numbers = f"the attacker uses {some} of the defender's draws", f"attacker: {attack}; defender: {defend}"
    if threat.stream == "fresh" and not any(weaker):
        words = "every query uses all draws"
    return f"{words} ({numbers})" if defend else words


def _numbers(cells: Sequence[Cell], figure: str) -> str:
    """A figure of the cells that have one, such as `50`, or `1 for sgd, 50 otherwise`; empty if none has."""
    by_posterior: dict[str, set[int]] = {}
    for cell in cells:
        if cell.ok:
            by_posterior.setdefault(cell.spec.posterior, set()).add(int(cell.figures[figure]))
    texts = {posterior: _range(numbers) for posterior, numbers in by_posterior.items()}
    if len(set(texts.values())) < 2:
        return next(iter(texts.values()), "")
    counts = Counter(texts.values())
    most_frequent = max(reversed(counts), key=lambda text: counts[text])
    others = [f"{text} for {posterior}" for posterior, text in texts.items() if text != most_frequent]
    return ", ".join([*others, f"{most_frequent} otherwise"])


def _range(numbers: set[int]) -> str:
    """`50`, or `1 to 50`."""
    low, high = min(numbers), max(numbers)
    return f"{low}" if low == high else f"{low} to {high}"


def _with_results(cells: Sequence[Cell]) -> Sequence[Cell]:
    """The cells that have a result; all of them if none has."""
    return [cell for cell in cells if cell.ok] or cells


def _is_weaker(cell: Cell) -> bool:
    """Whether the attacker of a cell does not have all the draws that defend, as far as its settings and result say."""
    threat = threat_of(cell)
    if threat.stream == "independent" or threat.attack_draws is None:
        return threat.stream == "independent"
    if threat.stream == "fixed" and cell.ok:
        return int(cell.figures["attack_draws"]) < int(cell.figures["draws"])
    return threat.attack_draws < cell.spec.draws
