"""Every plugin that breaks a rule is caught, named and recorded, in a program of one's own and in a matrix."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import bad_plugins
import pytest
import torch
from plugged import bnnbench, install, rows

import bnnbench as bb
from bnnbench.matrix.config import read_config
from bnnbench.matrix.plan import make_plan
from bnnbench.matrix.results import Results
from bnnbench.matrix.store import FITS, Store

FILE = """\
epsilons: [0.05]
evaluate: {images: 20, draws: 4}
"""
HALF_MOONS = bb.dataset("half-moons", train_size=100, test_size=50)


def network(data: bb.Data) -> torch.nn.Module:
    return bb.network("fc", hidden=(4,)).build(data)


@pytest.mark.parametrize("name", bad_plugins.ATTACKS)
def test_an_attack_is_caught_in_a_program(name: str) -> None:
    data = HALF_MOONS.load(seed=0)
    predictive = bb.fit(bb.posterior("sgd", epochs=1), network(data), data)

    def tried() -> None:
        for _ in range(20):  # A moody one may be in the same mood twice, but 20 times once in 10^6 times.
            bb.evaluate(predictive, bad_plugins.ATTACKS[name](), data, epsilon=0.05, images=20)

    with pytest.raises(bb.ContractBreach, match=bad_plugins.WRONG["attack"][name]) as caught:
        tried()
    assert "bad_plugins." in str(caught.value)


@pytest.mark.parametrize("name", [name for name in bad_plugins.POSTERIORS if name not in ("stuck", "all-diverged")])
def test_a_posterior_is_caught_in_a_program(name: str) -> None:
    data = HALF_MOONS.load(seed=0)

    def tried() -> None:
        predictive = bb.fit(bad_plugins.POSTERIORS[name](), network(data), data)
        bb.evaluate(predictive, bb.attack("fgsm"), data, epsilon=0.05, images=20)

    with pytest.raises(bb.ContractBreach, match=bad_plugins.WRONG["posterior"][name]):
        tried()


class Continuing(bb.Attack):
    """Goes on, under each threat, from where the one before has ended."""

    def perturb(self, victim, x, y, threat, rng):
        return self.perturb_each(victim, x, y, [threat], [rng])[0]

    def perturb_each(self, victim, x, y, threats, rngs):
        made, start = [], x
        for threat in threats:
            start = threat.project(x, start + 0.02)
            made.append(start)
        return made


def test_what_is_made_under_a_threat_depends_on_no_other_one() -> None:
    from bnnbench.evidence.evaluate import Defence, evaluate_each

    data = HALF_MOONS.load(seed=0)
    predictive = bb.fit(bb.posterior("sgd", epochs=1), network(data), data)
    threats = [bb.Threat(epsilon=epsilon) for epsilon in (0.02, 0.1)]
    defence = Defence(predictive, data, threats[0], images=20, draws=None, seed=0)
    evaluate_each(Continuing(), defence, threats[1:])
    with pytest.raises(bb.ContractBreach, match="gave two results for one seed"):
        evaluate_each(Continuing(), defence, threats)


class Peeking(bb.Attack):
    """Asks for gradients under a threat of its own making."""

    def perturb(self, victim, x, y, threat, rng):
        victim.under(replace(threat, access="gradient")).gradient(x, y, "predictive-nll")
        return x.clone()


def test_an_attack_gives_itself_no_more_than_its_threat_allows() -> None:
    data = HALF_MOONS.load(seed=0)
    predictive = bb.fit(bb.posterior("sgd", epochs=1), network(data), data)
    with pytest.raises(ValueError, match="differs in more than norm and epsilon"):
        bb.evaluate(predictive, Peeking(), data, threat=bb.Threat(epsilon=0.1, access="scores"), images=20)


class Bribing(bb.Attack):
    """Makes the victim say that it is always wrong."""

    def perturb(self, victim, x, y, threat, rng):
        judge = victim._predictive.draw_log_probs
        victim._predictive.draw_log_probs = lambda *arguments: judge(*arguments).flip(-1)
        return x.clone()


def test_what_an_attack_puts_into_its_victim_judges_nobody() -> None:
    data = HALF_MOONS.load(seed=0)
    predictive = bb.fit(bb.posterior("sgd", epochs=1), network(data), data)
    outcome = bb.evaluate(predictive, Bribing(), data, epsilon=0.0, images=20)
    assert outcome.robust_accuracy == outcome.clean_accuracy


class Noisy(torch.nn.Linear):
    """Draws at each look."""

    def __init__(self) -> None:
        super().__init__(2, 2)

    def forward(self, x):
        return torch.nn.functional.dropout(super().forward(x), training=True)


def test_a_network_that_draws_at_each_look_is_caught() -> None:
    data = HALF_MOONS.load(seed=0)
    predictive = bb.Predictive(Noisy(), {"weight": torch.randn(3, 2, 2), "bias": torch.zeros(3, 2)})
    with pytest.raises(bb.ContractBreach, match="the predictive drew from the global random state of torch"):
        bb.evaluate(predictive, bb.attack("random-sign"), data, epsilon=0.1, images=20)


def test_a_network_that_mixes_its_images_is_caught() -> None:
    """Its outcomes would depend on how many images are looked at together."""

    class Mixing(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = torch.nn.Linear(2, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            hidden: torch.Tensor = self.layer(x)
            return hidden - hidden.mean(0)

    data = bb.dataset("half-moons", train_size=40, test_size=20).load(0)
    predictive = bb.fit(bb.posterior("sgd", epochs=1), Mixing(), data)
    with pytest.raises(bb.ContractBreach, match="each must be judged by itself"):
        bb.evaluate(predictive, bb.attack("fgsm"), data, epsilon=0.05, images=20)


@pytest.mark.parametrize("epsilon", [0.0, 0.05])
def test_draws_of_half_precision_move_no_image(epsilon: float) -> None:
    """The ball is around the caller's image, not around what half precision makes of it."""
    data = HALF_MOONS.load(seed=0)
    weights = {name: value[0].half() for name, value in bad_plugins.weights(network(data), 3).items()}
    predictive = bb.Predictive(network(data), weights)
    for attack in ("fgsm", "random-sign", "pgd"):
        outcome = bb.evaluate(predictive, bb.attack(attack), data, epsilon=epsilon, images=20)
        assert outcome.distance.max() <= epsilon + 1e-6


def test_every_bad_plugin_is_caught_in_a_matrix(tmp_path: Path) -> None:
    environment = install(tmp_path, Path(bad_plugins.__file__).read_text(), "bad_plugins")
    attacks = "".join(f"  {name}: {{}}\n" for name in bad_plugins.ATTACKS)
    posteriors = "".join(f"  {name}: {{}}\n" for name in bad_plugins.POSTERIORS)
    datasets = "".join(f"  {name}: {{}}\n" for name in bad_plugins.DATASETS)
    (tmp_path / "benchmarks.yaml").write_text(
        f"{FILE}datasets:\n{datasets}  moons: {{use: half-moons, train_size: 100, test_size: 50}}\n"
        f"networks: {{fc: {{hidden: [4]}}}}\nposteriors:\n{posteriors}  sgd: {{epochs: 1}}\n"
        f"attacks:\n{attacks}  fgsm: {{}}\ninclude:\n  - {{dataset: moons, posterior: sgd}}\n  - {{attack: fgsm}}\n"
    )
    good = ("--only", "moons", "--only", "sgd", "--only", "fgsm")
    assert bnnbench("run", *good, "--store", "clean", folder=tmp_path, environment=environment).returncode == 0
    done = bnnbench("run", folder=tmp_path, environment=environment)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr + done.stdout
    done = bnnbench("report", "--format", "json", folder=tmp_path, environment=environment)
    found = {(row["dataset"], row["posterior"], row["attack"]): row for row in json.loads(done.stdout)}
    done = bnnbench("report", *good, "--store", "clean", "--format", "json", folder=tmp_path, environment=environment)
    # What came before it in the same workers has left no trace in it.
    assert [found.pop(("moons", "sgd", "fgsm"))] == json.loads(done.stdout)
    for (dataset, posterior, attack), row in found.items():
        kind, name = (
            ("dataset", dataset)
            if dataset != "moons"
            else ("posterior", posterior)
            if posterior != "sgd"
            else ("attack", attack)
        )
        if name == "moody" and row["status"] == "ok":
            continue  # In the same mood twice.
        assert row["status"] == "invalid", row
        assert re.search(bad_plugins.WRONG[kind][name], row["reason"]), row
        assert row["robust_accuracy"] is None


OTHER_DATA = """
import os
import torch
from bnnbench import Data, Dataset, hookimpl

class Wandering(Dataset):
    '''Other points in each process.'''
    def load(self, seed):
        generator = torch.Generator().manual_seed(os.getpid())
        x = torch.rand(60, 2, generator=generator)
        y = torch.arange(60) % 2
        return Data(train=(x[:40], y[:40]), test=(x[40:], y[40:]))

class Retested(Dataset):
    '''Another test set for each seed.'''
    def load(self, seed):
        x = torch.rand(60, 2, generator=torch.Generator().manual_seed(seed))
        y = torch.arange(60) % 2
        return Data(train=(x[:40], y[:40]), test=(x[40:], y[40:]))

@hookimpl
def bnnbench_register(registry):
    registry.dataset("wandering", Wandering)
    registry.dataset("retested", Retested)
"""


def test_data_that_differ_between_fit_and_attack_are_caught(tmp_path: Path) -> None:
    environment = install(tmp_path, OTHER_DATA, "wandering")
    (tmp_path / "benchmarks.yaml").write_text(
        f"{FILE}datasets: {{wandering: }}\nnetworks: {{fc: {{hidden: [4]}}}}\n"
        "posteriors: {sgd: {epochs: 1}}\nattacks: {fgsm: , random: {use: random-sign}}\n"
    )
    assert bnnbench("run", "--only", "fgsm", folder=tmp_path, environment=environment).returncode == 0
    assert bnnbench("run", folder=tmp_path, environment=environment).returncode == 1
    done = bnnbench("report", "--format", "json", folder=tmp_path, environment=environment)
    before, after = json.loads(done.stdout)
    assert before["status"] == "ok"
    assert after["status"] == "invalid"
    assert "wandering.Wandering gave other data than before" in after["reason"]


def test_test_data_that_differ_between_seeds_are_caught(tmp_path: Path) -> None:
    environment = install(tmp_path, OTHER_DATA, "wandering")
    (tmp_path / "benchmarks.yaml").write_text(
        f"{FILE}seeds: [3, 4]\ndatasets: {{retested: , moons: {{use: half-moons, train_size: 40, test_size: 20}}}}\n"
        "networks: {fc: {hidden: [4]}}\nposteriors: {sgd: {epochs: 1}}\nattacks: {random: {use: random-sign}}\n"
    )
    done = bnnbench("run", "-j", "1", folder=tmp_path, environment=environment)
    assert done.returncode == 1
    found = {(row["dataset"], row["seed"]): (row["status"], row["reason"]) for row in rows(tmp_path, environment)}
    reason = (
        "data set wandering.Retested gave other test data for seed 4 than for seed 3: "
        "a seed varies the training sample alone"
    )
    fine = ("ok", "")
    assert found == {
        ("retested", 3): fine,
        ("retested", 4): ("invalid", reason),
        ("moons", 3): fine,
        ("moons", 4): fine,
    }


def test_test_data_that_another_computer_rounds_otherwise_are_no_breach(tmp_path: Path) -> None:
    (tmp_path / "benchmarks.yaml").write_text(
        f"{FILE}seeds: [0, 1, 2]\ndatasets: {{half-moons: }}\nnetworks: {{fc: }}\n"
        "posteriors: {sgd: }\nattacks: {random-sign: }\n"
    )
    plan, store = make_plan(read_config(tmp_path / "benchmarks.yaml")), Store(tmp_path / "store")
    made = [("here", "a"), ("elsewhere", "b"), ("here", "b")]
    with store.held():
        for key, (cpu, test) in zip(plan.fits, made, strict=True):
            store.write(FITS, key, {"status": "ok", "environment": {"cpu": cpu}, "test_data": test})
    assert [row["status"] for row in Results(plan, store).rows()] == ["missing", "missing", "invalid"]
