"""The audit of a benchmarks file: its cases, the further cells that they need, and their audits."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from bnnbench.core.attack import Attack
from bnnbench.core.certificate import Certificate
from bnnbench.core.component import Component
from bnnbench.core.named_components import registered_name
from bnnbench.core.threat import Threat
from bnnbench.errors import NotApplicable
from bnnbench.evidence.audit.audit import Audits
from bnnbench.evidence.audit.bracket import Proofs
from bnnbench.evidence.audit.case import Case, Contradicted, Find
from bnnbench.evidence.audit.check import Ask, Check
from bnnbench.evidence.audit.looking import Checks, asked_by, asks_of, audit_of, installed_checks
from bnnbench.evidence.cell import Cell
from bnnbench.evidence.results import Results
from bnnbench.matrix.config import Config
from bnnbench.matrix.plan import Plan, make_plan
from bnnbench.matrix.specs import CellSpec


@dataclass(frozen=True)
class Subject:
    """What one audit is about: the cells of attacks and certificates on one fit under one threat."""

    attacks: dict[str, CellSpec]
    proofs: Proofs
    radii: list[Threat]
    others: list[Attack]
    """The attacks that are reported on the fit under other threats alone."""

    @property
    def spec(self) -> CellSpec:
        """One of the cells of attacks."""
        return next(iter(self.attacks.values()))

    @property
    def threat(self) -> Threat:
        """The threat."""
        assert self.spec.threat is not None, "every attack has a threat"
        return self.spec.threat

    @property
    def fit(self) -> Labels:
        """The labels of its data set, network and posterior, and its seed."""
        return _place(self.spec, self.threat)[0]

    @property
    def labels(self) -> dict[str, Any]:
        """The fields of an `Audit` that say what it is about."""
        spec = self.spec
        return {
            "dataset": spec.dataset,
            "network": spec.network,
            "posterior": spec.posterior,
            "radius": spec.epsilon_text,
            "seed": spec.seed,
        }

    def case(self, find: Find) -> Case:
        """The case of the reported attacks, whose results `find` gives."""
        attacks = {label: _attack(spec) for label, spec in self.attacks.items()}
        box = self.spec.fit.dataset.known_bounds
        return Case(self.threat, attacks, find, radii=self.radii, others=self.others, box=box)

    def asked(self, ask: Ask, check: str = "") -> CellSpec:
        """The cell of a measurement that a check asks for, or of a certificate of the bracket.

        `check` is the name of the check, or `bracket`, for the cell's label.
        """
        labels = [label for label, one in self.proofs.left_out.items() if one == ask.component]
        # A check may ask for any radius, the width of the box included.
        return replace(
            self.spec,
            label=labels[0] if labels else ":".join(filter(None, ["audit", check, registered_name(ask.component)])),
            component=ask.component,
            threat=ask.threat,
            radius="",
            allow_whole_box=True,
        )


Labels = tuple[str, str, str, int]
"""The labels of data set, network and posterior, and the seed."""
Place = tuple[Labels, Threat]
"""What one audit is about."""


def checks_of(config: Config) -> dict[str, Check]:
    """The checks of a benchmarks file by label: those of its section `checks`, and all others that are installed."""
    return installed_checks({variant.name: variant.component for variant in config.variants["check"]})


def subjects(plan: Plan) -> list[Subject]:
    """The subjects of the audits of a plan, in the order of the file."""
    attacks: dict[Place, dict[str, CellSpec]] = {}
    for spec in plan.cells:
        if spec.threat is not None and isinstance(spec.component, Attack):
            attacks.setdefault(_place(spec, spec.threat), {})[spec.label] = spec
    radii: dict[Labels, list[Threat]] = {}
    of_fit: dict[Labels, dict[str, CellSpec]] = {}
    for (fit, threat), cells in attacks.items():
        radii.setdefault(fit, []).append(threat)
        of_fit.setdefault(fit, {}).update(cells)
    reported = _certificates(plan)
    # What is proven does not depend on which attacks are looked at.
    whole = _certificates(make_plan(plan.config)) if plan.only else reported
    return [
        Subject(
            cells,
            Proofs.beside(reported.get((fit, threat), {}), whole.get((fit, threat), {})),
            radii[fit],
            [_attack(spec) for label, spec in of_fit[fit].items() if label not in cells],
        )
        for (fit, threat), cells in attacks.items()
    ]


def _certificates(plan: Plan) -> dict[Place, dict[str, Certificate]]:
    """The certificates of a plan that are about the predictive, by place and label."""
    found: dict[Place, dict[str, Certificate]] = {}
    for spec in plan.cells:
        if spec.threat is not None and isinstance(spec.component, Certificate) and spec.about_predictive:
            found.setdefault(_place(spec, spec.threat), {})[spec.label] = spec.component
    return found


def _place(spec: CellSpec, threat: Threat) -> Place:
    """What the audit of a cell is about. Labels tell places apart: two labels may stand for one fit."""
    return (spec.dataset, spec.network, spec.posterior, spec.seed), threat


def extended(plan: Plan) -> Plan:
    """The plan with the further cells that the checks of its file ask for."""
    checks, known = checks_of(plan.config), {spec.key for spec in plan.cells}
    further: dict[str, CellSpec] = {}
    for subject in subjects(plan):
        for ask, check in asked_by(subject.case(_not_yet), checks, list(subject.proofs.run.values())):
            spec = subject.asked(ask, check)
            if spec.key not in known:
                further.setdefault(spec.key, spec)
    return Plan(plan.config, [*plan.cells, *further.values()], plan.only)


def _not_yet(component: Component, threat: Threat | None) -> Any:
    """Always raises `NotApplicable`: nothing is measured while a plan is made."""
    raise NotApplicable("nothing is measured while a plan is made")


def audits(results: Results) -> Audits:
    """The audits of a plan's results. Checks whose cells are absent from the store have not looked."""
    checks = checks_of(results.plan.config)
    return Audits(audit_of(*made) for made in _cases(results, checks))


def free_audits(results: Results) -> Audits:
    """The audits of a plan's results by the checks that ask for no further cell, without brackets."""
    checks = checks_of(results.plan.config)
    found = []
    for case, _, _, labels in _cases(results, checks):
        free = {name: check for name, check in checks.items() if _is_free(check, case)}
        found.append(audit_of(case, free, labels=labels))
    return Audits(found)


def _is_free(check: Check, case: Case) -> bool:
    """Whether a check asks for nothing in a case; a check that fails is not."""
    try:
        return not asks_of(check, case)
    except NotApplicable:
        return False


def _cases(results: Results, checks: Checks) -> Iterator[tuple[Case, Checks, Proofs, Mapping[str, Any]]]:
    """The arguments of `audit_of` for each subject."""
    reported = {spec.key for spec in results.plan.cells}
    for _, of_fit in itertools.groupby(subjects(results.plan), lambda subject: subject.fit):
        kept: dict[str, Any] = {}
        for subject in of_fit:
            # Several checks look at one outcome, and the audits of larger radii at those that are reported.
            kept = {key: found for key, found in kept.items() if key in reported}
            yield subject.case(_find(results, subject, kept)), checks, subject.proofs, subject.labels


def _find(results: Results, subject: Subject, kept: dict[str, Any]) -> Find:
    """The function that gives the results of a subject's case, and keeps what it has given by key."""

    def find(component: Component, threat: Threat | None) -> Any:
        spec = subject.asked(Ask(component, threat))
        if spec.key not in kept:
            kept[spec.key] = _result(results, results.checked(spec))
        if isinstance(kept[spec.key], NotApplicable):
            raise kept[spec.key]
        return kept[spec.key]

    return find


def _result(results: Results, cell: Cell) -> Any:
    """The result of a cell; a `NotApplicable` that says why there is none."""
    if (found := cell.outcome) is not None:
        return found
    # The store has a result that other cells contradict.
    if cell.status == "invalid" and results.cell(cell.spec).ok:
        return Contradicted(cell.reason)
    return NotApplicable(f"{cell.status}: {cell.reason}")


def _attack(spec: CellSpec) -> Attack:
    assert isinstance(spec.component, Attack)
    return spec.component
