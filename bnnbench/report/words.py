"""The sentences of a table of attacks: the threat that its lines share, and the notes below it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from bnnbench.core.threat import Threat
from bnnbench.evidence.results import Cell

_NORMS = {"linf": "l-infinity ball", "l2": "l2 ball"}
_ACCESS = {"gradient": "white box (gradients)", "scores": "black box (scores)"}


def threat_of(cell: Cell) -> Threat:
    """The threat of a cell of an attack."""
    assert cell.spec.threat is not None, "every attack has a threat"
    return cell.spec.threat


def attacker(cells: Sequence[Cell]) -> str:
    """The norm, access, queries and draws of the attackers of a table; what differs between lines is left out."""
    threats = [threat_of(cell) for cell in cells]
    norms = {_NORMS[threat.norm] for threat in threats}
    accesses = {_ACCESS[threat.access] for threat in threats}
    budgets = {"" if threat.queries is None else f"at most {threat.queries} queries per image" for threat in threats}
    shared = [next(iter(words)) for words in (norms, accesses, budgets) if len(words) == 1]
    return f"Threat: {'; '.join(filter(None, [*shared, _draws(cells)]))}"


def threat_names(threats: Sequence[Threat]) -> dict[Threat, str]:
    """The name of each threat of a table: its radius, and its norm, access or queries if threats differ in these."""
    radii = {threat.epsilon for threat in threats}
    distinct = len({f"{radius:g}" for radius in radii}) == len(radii)
    words = {
        threat: (
            f"{threat.epsilon:g}" if distinct else repr(threat.epsilon),
            str(threat.norm),
            str(threat.access),
            f"{threat.queries or 'unlimited'} queries",
        )
        for threat in threats
    }
    differing = [place for place in (1, 2, 3) if len({texts[place] for texts in words.values()}) > 1]
    return {threat: " ".join([texts[0], *(texts[place] for place in differing)]) for threat, texts in words.items()}


def notes(cells: Sequence[Cell]) -> list[str]:
    """The notes below a table: why cells have no number, and warnings about images, draws and posteriors."""
    reasons = Counter((cell.spec.posterior, cell.status, cell.reason) for cell in cells if not cell.ok)
    lines = [
        f"{posterior}: {status} ({count} cell{'s' * (count > 1)}): {reason}"
        for (posterior, status, reason), count in reasons.items()
    ]
    warnings = [(cell.spec.posterior, warning) for cell in cells for warning in cell.warnings]
    lines += dict.fromkeys(warning for _, warning in warnings if warning.startswith("the test set"))
    if _is_weaker(threat_of(cells[0])):
        lines.append("with stream fixed and all draws the attacker is stronger: report that too, not this alone")
    short = {posterior: warning for posterior, warning in warnings if warning.startswith("posterior is")}
    return lines + [f"{posterior}: {warning}" for posterior, warning in short.items()]


def _draws(cells: Sequence[Cell]) -> str:
    """The draws that attacker and defender use, with their numbers if any cell has a result."""
    threat = threat_of(cells[0])  # The stream is a setting of the whole file.
    attack, defend = _numbers(cells, "attack_draws"), _numbers(cells, "draws")
    words, numbers = {
        "fixed": ("attacker and defender use the same draws", defend),
        "independent": ("attacker and defender use different draws", f"attacker: {attack}; defender: {defend}"),
        "fresh": ("every query uses draws chosen anew", attack),
    }[threat.stream]
    if threat.stream == "fixed" and _is_weaker(threat):
        words, numbers = "the attacker uses some of the defender's draws", f"attacker: {attack}; defender: {defend}"
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


def _is_weaker(threat: Threat) -> bool:
    """Whether the attacker does not have all the draws that defend."""
    return threat.stream != "fixed" or threat.attack_draws is not None
