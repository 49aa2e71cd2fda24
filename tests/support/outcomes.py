"""Outcomes and cells of ten images, made by hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

import bnnbench as bb
from bnnbench.evidence import lines
from bnnbench.evidence.cell import Cell
from bnnbench.matrix.specs import CellSpec, FitSpec
from bnnbench.measurements.certification import Certification
from bnnbench.measurements.outcome import Outcome
from bnnbench.report import tables


def outcome(robust: str, clean: str = "1111111111", *, zero: bool = False) -> Outcome:
    """Ten images of two classes, all of label 0: 1 where right, 0 where wrong."""

    def log_probs(pattern: str) -> np.ndarray:
        return np.log([[0.9, 0.1] if bit == "1" else [0.2, 0.8] for bit in pattern])

    nothing, no = np.zeros(10), np.zeros(10, bool)
    return Outcome(
        index=np.arange(10),
        label=np.zeros(10, int),
        clean_log_probs=log_probs(clean),
        attacked_log_probs=log_probs(robust),
        clean_entropy=nothing,
        attacked_entropy=nothing,
        distance=nothing + 0.1,
        passes=nothing,
        objective=nothing,
        zero_gradient=no,
        zero_direction=no | zero,
        inputs=nothing,
        draws=3,
        attack_draws=3,
    )


def cell(
    attack: str,
    seed: int,
    found: Outcome | None,
    *,
    status: str = "ok",
    card: str = "converged",
    posterior: str = "sgd",
) -> Cell:
    fit = FitSpec(bb.dataset("half-moons"), bb.network("fc"), bb.posterior("sgd"), seed)
    spec = CellSpec(
        "moons", "fc", posterior, attack, fit, bb.attack("fgsm"), bb.Threat(epsilon=0.1), images=10, draws=3, keep="few"
    )
    measurement, notes = spec.measurement, spec.measurement.notes(found) if found else {}
    robust, wrong = (found.robust, found.counterexample) if found else (None, None)
    figures = measurement.row(found)
    made = Cell(spec, status, "" if found else "on purpose", [], card, figures, notes, robust, counterexample=wrong)
    return replace(made, distance=found.distance, coordinates=1) if found else made


def block_of(dataset: str, network: str, cells: Sequence[Cell]) -> tables.Block:
    """The table of the attack cells of one data set and network."""
    return tables._block_of(lines.group_of(dataset, network, cells))


def certified(certificate: str, seed: int, proven: str, refuted: str | None = None, *, status: str = "ok") -> Cell:
    """A cell of a certificate about the images, draws and threat of `cell`: 1 where it proves or refutes, else 0."""
    from proofs import Linear

    own, made = cell("fgsm", seed, None, status=status), outcome("1111111111")
    bits = np.array([bit == "1" for bit in proven])
    found = Certification(
        index=made.index,
        label=made.label,
        clean_log_probs=made.clean_log_probs,
        clean_entropy=made.clean_entropy,
        certified=bits,
        bound=None,
        refuted=None if refuted is None else np.array([bit == "1" for bit in refuted]),
        draws=3,
    )
    spec = replace(own.spec, label=certificate, component=Linear())
    if status != "ok":
        return replace(own, spec=spec, figures=spec.measurement.row(None))
    figures = spec.measurement.row(found)
    return replace(own, spec=spec, reason="", figures=figures, certified=bits, counterexample=found.refuted)
