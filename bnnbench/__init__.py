"""Is this Bayesian neural network robust to adversarial attack, or was the attack just weak?

The names below are the public interface; everything else may change between releases. They are imported when first
used, so that `import bnnbench` costs nothing and loads no framework.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bnnbench.components import attack as attack
    from bnnbench.components import certificate as certificate
    from bnnbench.components import check as check
    from bnnbench.components import dataset as dataset
    from bnnbench.components import figure as figure
    from bnnbench.components import measure as measure
    from bnnbench.components import metric as metric
    from bnnbench.components import network as network
    from bnnbench.components import objective as objective
    from bnnbench.components import posterior as posterior
    from bnnbench.core.attack import Attack as Attack
    from bnnbench.core.attack import AttackParameter as AttackParameter
    from bnnbench.core.attacked import Attacked as Attacked
    from bnnbench.core.certificate import Certificate as Certificate
    from bnnbench.core.certificate import Proof as Proof
    from bnnbench.core.chains import IndependentChains as IndependentChains
    from bnnbench.core.chains import InParts as InParts
    from bnnbench.core.component import Component as Component
    from bnnbench.core.dataset import Data as Data
    from bnnbench.core.dataset import Dataset as Dataset
    from bnnbench.core.dataset_parameter import DatasetParameter as DatasetParameter
    from bnnbench.core.derived import Derived as Derived
    from bnnbench.core.draws import Draws as Draws
    from bnnbench.core.draws import Progress as Progress
    from bnnbench.core.draws import no_progress as no_progress
    from bnnbench.core.ensemble.precision import fast_products as fast_products
    from bnnbench.core.foreign import predictive as predictive
    from bnnbench.core.input_path import InputPath as InputPath
    from bnnbench.core.network import Network as Network
    from bnnbench.core.network import initialise as initialise
    from bnnbench.core.objective import Objective as Objective
    from bnnbench.core.objective import ObjectiveParameter as ObjectiveParameter
    from bnnbench.core.objective import OddsTerm as OddsTerm
    from bnnbench.core.posterior import NormalPrior as NormalPrior
    from bnnbench.core.posterior import Posterior as Posterior
    from bnnbench.core.posterior import PosteriorParameter as PosteriorParameter
    from bnnbench.core.predictive import Predictive as Predictive
    from bnnbench.core.rules.fit_run import fit as fit
    from bnnbench.core.saved_predictive import load as load
    from bnnbench.core.threat import Threat as Threat
    from bnnbench.core.victim import Victim as Victim
    from bnnbench.errors import AccessRefused as AccessRefused
    from bnnbench.errors import BnnbenchError as BnnbenchError
    from bnnbench.errors import ClusterLost as ClusterLost
    from bnnbench.errors import ConfigError as ConfigError
    from bnnbench.errors import ContractBreach as ContractBreach
    from bnnbench.errors import DamagedArtefact as DamagedArtefact
    from bnnbench.errors import DataError as DataError
    from bnnbench.errors import GradientRefused as GradientRefused
    from bnnbench.errors import Incompatible as Incompatible
    from bnnbench.errors import InvalidData as InvalidData
    from bnnbench.errors import NetworkError as NetworkError
    from bnnbench.errors import NotApplicable as NotApplicable
    from bnnbench.errors import NotLogits as NotLogits
    from bnnbench.errors import NotRepeatable as NotRepeatable
    from bnnbench.errors import ParameterError as ParameterError
    from bnnbench.errors import PluginError as PluginError
    from bnnbench.errors import QueriesSpent as QueriesSpent
    from bnnbench.errors import ScoresRefused as ScoresRefused
    from bnnbench.errors import StoreError as StoreError
    from bnnbench.errors import StoreUnwritable as StoreUnwritable
    from bnnbench.errors import UnknownComponent as UnknownComponent
    from bnnbench.evidence.audit.audit import Audit as Audit
    from bnnbench.evidence.audit.audit import Audits as Audits
    from bnnbench.evidence.audit.case import Case as Case
    from bnnbench.evidence.audit.check import Ask as Ask
    from bnnbench.evidence.audit.check import Check as Check
    from bnnbench.evidence.audit.check import Look as Look
    from bnnbench.evidence.audit.program import audit as audit
    from bnnbench.evidence.card import posterior_card as posterior_card
    from bnnbench.evidence.difference import Difference as Difference
    from bnnbench.evidence.difference import Differences as Differences
    from bnnbench.evidence.figures.figure import Figure as Figure
    from bnnbench.evidence.figures.picture import Area as Area
    from bnnbench.evidence.figures.picture import Axis as Axis
    from bnnbench.evidence.figures.picture import Panel as Panel
    from bnnbench.evidence.figures.picture import Picture as Picture
    from bnnbench.evidence.figures.picture import Series as Series
    from bnnbench.evidence.opening import results as results
    from bnnbench.evidence.results import Results as Results
    from bnnbench.measurements.certification import Certification as Certification
    from bnnbench.measurements.certification import Certifications as Certifications
    from bnnbench.measurements.certifying import certify as certify
    from bnnbench.measurements.defence import Defence as Defence
    from bnnbench.measurements.defence import Judgement as Judgement
    from bnnbench.measurements.evaluation import evaluate as evaluate
    from bnnbench.measurements.findings import Finding as Finding
    from bnnbench.measurements.findings import Findings as Findings
    from bnnbench.measurements.measure import Measure as Measure
    from bnnbench.measurements.metric import Metric as Metric
    from bnnbench.measurements.outcome import Outcome as Outcome
    from bnnbench.measurements.outcome import Outcomes as Outcomes
    from bnnbench.measurements.sample import Sample as Sample
    from bnnbench.measurements.schema import Quantity as Quantity
    from bnnbench.plugins.hookspecs import hookimpl as hookimpl
    from bnnbench.report.figures.files import WrittenFigure as WrittenFigure
    from bnnbench.report.figures.files import write_figures as write_figures
    from bnnbench.running.observer import Observer as Observer
    from bnnbench.running.run import run as run

_HOMES = {
    "components": [
        "attack",
        "certificate",
        "check",
        "dataset",
        "figure",
        "measure",
        "metric",
        "network",
        "objective",
        "posterior",
    ],
    "core.attack": ["Attack", "AttackParameter"],
    "core.attacked": ["Attacked"],
    "core.certificate": ["Certificate", "Proof"],
    "core.chains": ["InParts", "IndependentChains"],
    "core.derived": ["Derived"],
    "core.component": ["Component"],
    "core.input_path": ["InputPath"],
    "core.dataset": ["Data", "Dataset"],
    "core.dataset_parameter": ["DatasetParameter"],
    "core.draws": ["Draws", "Progress", "no_progress"],
    "core.ensemble.precision": ["fast_products"],
    "core.foreign": ["predictive"],
    "core.network": ["Network", "initialise"],
    "core.objective": ["Objective", "ObjectiveParameter", "OddsTerm"],
    "core.posterior": ["NormalPrior", "Posterior", "PosteriorParameter"],
    "core.predictive": ["Predictive"],
    "core.rules.fit_run": ["fit"],
    "core.saved_predictive": ["load"],
    "core.threat": ["Threat"],
    "core.victim": ["Victim"],
    "errors": [
        "AccessRefused",
        "BnnbenchError",
        "ClusterLost",
        "ConfigError",
        "ContractBreach",
        "DamagedArtefact",
        "DataError",
        "GradientRefused",
        "Incompatible",
        "InvalidData",
        "NetworkError",
        "NotApplicable",
        "NotLogits",
        "NotRepeatable",
        "ParameterError",
        "PluginError",
        "QueriesSpent",
        "ScoresRefused",
        "StoreError",
        "StoreUnwritable",
        "UnknownComponent",
    ],
    "evidence.audit.audit": ["Audit", "Audits"],
    "evidence.audit.case": ["Case"],
    "evidence.audit.check": ["Ask", "Check", "Look"],
    "evidence.audit.program": ["audit"],
    "evidence.card": ["posterior_card"],
    "evidence.difference": ["Difference", "Differences"],
    "evidence.figures.figure": ["Figure"],
    "evidence.figures.picture": ["Area", "Axis", "Panel", "Picture", "Series"],
    "evidence.opening": ["results"],
    "evidence.results": ["Results"],
    "measurements.certification": ["Certification", "Certifications"],
    "measurements.certifying": ["certify"],
    "measurements.defence": ["Defence", "Judgement"],
    "measurements.evaluation": ["evaluate"],
    "measurements.findings": ["Finding", "Findings"],
    "measurements.measure": ["Measure"],
    "measurements.metric": ["Metric"],
    "measurements.outcome": ["Outcome", "Outcomes"],
    "measurements.sample": ["Sample"],
    "measurements.schema": ["Quantity"],
    "plugins.hookspecs": ["hookimpl"],
    "report.figures.files": ["WrittenFigure", "write_figures"],
    "running.observer": ["Observer"],
    "running.run": ["run"],
}
_HOME = {name: home for home, names in _HOMES.items() for name in names}

__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("bnnbench")
    if name not in _HOME:
        raise AttributeError(f"module 'bnnbench' has no attribute '{name}'")
    value = getattr(importlib.import_module(f"bnnbench.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
