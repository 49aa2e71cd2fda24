"""The estimate of a plan: from records whose times are made up, so that the sum is known."""

from __future__ import annotations

from pathlib import Path

from bnnbench.matrix.config import read_config
from bnnbench.matrix.plan import Plan, make_plan
from bnnbench.matrix.store import CELLS, CHAINS, FITS, Store
from bnnbench.matrix.timing import estimate

FILE = """\
seeds: [0, 1, 2]
epsilons: [0.05]
datasets: {moons: {use: half-moons}}
networks: {fc: }
posteriors: {hmc: {use: pyro-hmc, draws: 8, chains: 4}}
attacks: {fgsm: }
"""


def planned(folder: Path) -> tuple[Plan, Store]:
    path = folder / "benchmarks.yaml"
    path.write_text(FILE)
    return make_plan(read_config(path)), Store(folder / "store")


def test_what_is_left_takes_as_long_as_its_like_took(tmp_path: Path) -> None:
    plan, store = planned(tmp_path)
    assert estimate(plan, store) == "6 outcomes are left: no earlier timings to estimate from"

    first, second, third = plan.fits.values()
    store.write(FITS, first.key, {"kind": "fit", "identity": first.identity, "status": "ok", "seconds": 100.0})
    assert estimate(plan, store) == (
        "5 outcomes are left: about 200 s of work, and 3 of a kind not timed yet, "
        "beside starting the workers that share it"
    )
    # Three of its four chains are there, and only one must be sampled.
    for chain in range(3):
        store.write(CHAINS, second.chain_key(chain), {"kind": "chain", "identity": second.identity, "status": "ok"})
    for cell, seconds in zip(plan.cells[:2], (3.0, 5.0), strict=True):
        store.write(CELLS, cell.key, {"kind": "attack", "identity": cell.identity, "status": "ok", "seconds": seconds})
    assert estimate(plan, store) == (
        "3 outcomes are left: about 129 s of work, beside starting the workers that share it"
    )
    # What failed is tried again, however long it took to fail.
    store.write(FITS, third.key, {"kind": "fit", "identity": third.identity, "status": "failed", "seconds": 7.0})
    assert estimate(plan, store).startswith("3 outcomes are left: about 129 s")
    for fit in (second, third):
        store.write(FITS, fit.key, {"kind": "fit", "identity": fit.identity, "status": "skipped", "seconds": 1.0})
    assert estimate(plan, store).startswith("1 outcome is left: about 4 s")
    last = plan.cells[2]
    store.write(CELLS, last.key, {"kind": "attack", "identity": last.identity, "status": "ok", "seconds": 4.0})
    assert estimate(plan, store) == "nothing is left to do"
