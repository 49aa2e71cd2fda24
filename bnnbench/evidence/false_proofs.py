"""Proofs that another cell contradicts: an input of another class was found where a certificate says there is none.

What was found lies in the certified ball if its own ball does, or if its distance says so. Nothing is added to the
radius for rounding: a proof covers the rounding that perturbed inputs are allowed, at every radius and in every norm,
and distances are computed in float64.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from bnnbench.errors import one_line
from bnnbench.evidence.cell import Cell
from bnnbench.evidence.lines import threat_of
from bnnbench.plugins.described import counted


def without_false_proofs(cells: Sequence[Cell]) -> list[Cell]:
    """The cells, in which those of certificates that another cell contradicts are `invalid`.

    A cell contradicts a certificate if it is about the same fit, images and draws, and found an input of another class
    at a certified image within the certificate's ball, whatever its own norm and radius. The core has scored the inputs
    of attacks itself, so that the certificate is wrong. Of two certificates it is not known which one is, unless an
    attack contradicts one of them, so that both are invalid.
    """
    false: dict[int, str] = {}
    for fit in _by_fit(cells):
        proofs = [cell for cell in fit if cell.certified is not None]
        for proof, attack in itertools.product(proofs, [cell for cell in fit if cell.certified is None]):
            if images := _contradicted(proof, attack):
                false.setdefault(id(proof), f"{_told(proof, attack, images, 'breaks')}: the proof is wrong")
        left = [proof for proof in proofs if id(proof) not in false]
        for proof, other in itertools.product(left, left):
            if images := _contradicted(proof, other):
                for cell in (proof, other):
                    false.setdefault(id(cell), f"{_told(proof, other, images, 'refutes')}: one of them is wrong")
    return [_invalid(cell, false[id(cell)]) if id(cell) in false else cell for cell in cells]


def _by_fit(cells: Sequence[Cell]) -> Iterator[list[Cell]]:
    """The cells of each fit that has a certificate's result, as far as they are about the same images and draws."""
    groups: dict[tuple[object, ...], list[Cell]] = {}
    for cell in cells:
        threat = cell.spec.threat
        if threat is not None and cell.ok:
            key = (cell.spec.fit.key, cell.spec.images, cell.spec.draws, threat.stream)
            groups.setdefault(key, []).append(cell)
    yield from (group for group in groups.values() if any(cell.certified is not None for cell in group))


def _contradicted(proof: Cell, other: Cell) -> int:
    """The number of images that `proof` certifies and at which `other` found an input of another class in its ball."""
    if proof.certified is None or other.counterexample is None:
        return 0
    return int(np.sum(proof.certified & other.counterexample & _found_inside(proof, other)))


def _found_inside(proof: Cell, other: Cell) -> NDArray[np.bool_] | np.bool_:
    """Whether what `other` found at each image surely lies in the ball of `proof`."""
    if _is_nested(proof, other):
        return np.True_
    if other.distance is None:
        return np.False_
    inner, outer = threat_of(other), threat_of(proof)
    return np.asarray(longest(inner.norm, outer.norm, other.coordinates) * other.distance <= outer.epsilon)


def _is_nested(proof: Cell, other: Cell) -> bool:
    """Whether the ball of `other` lies in that of `proof`: it is no larger, and its norm no smaller at any step."""
    inner, outer = threat_of(other), threat_of(proof)
    return _RECIPROCAL[inner.norm] >= _RECIPROCAL[outer.norm] and inner.epsilon <= outer.epsilon


_RECIPROCAL = {"linf": 0.0, "l2": 0.5, "l1": 1.0}
"""1 / p of each norm: the larger it is, the larger the norm of a step."""


def longest(norm: str, other: str, coordinates: int) -> float:
    """The largest length in the norm `other` of a step of so many coordinates whose length in `norm` is one."""
    return float(coordinates ** max(0.0, _RECIPROCAL[other] - _RECIPROCAL[norm]))


def _told(proof: Cell, other: Cell, images: int, verb: str) -> str:
    """Which certificate certifies so many images that which other cell breaks or refutes, and where."""
    inner, outer = threat_of(other), threat_of(proof)
    claim = f"certificate '{proof.spec.label}' certifies {counted(images, 'image')}"
    norm = "" if inner.norm == outer.norm else f"{inner.norm} "
    certified = f"{outer.norm} {proof.spec.epsilon_text}"
    near = "" if _is_nested(proof, other) else f", by inputs within the certified {certified}"
    return f"{claim} that {other.spec.kind} '{other.spec.label}' {verb} at {norm}radius {other.spec.epsilon_text}{near}"


def _invalid(cell: Cell, reason: str) -> Cell:
    """A cell of a certificate without its result."""
    return replace(
        cell,
        status="invalid",
        reason=one_line(reason),
        warnings=[],
        figures=cell.spec.measurement.row(None),
        marks={},
        certified=None,
        counterexample=None,
        distance=None,
    )
