"""Chains that fail at once, each in a process of its own."""

from __future__ import annotations

from pathlib import Path

import light

import bnnbench as bb
from bnnbench.store.layout import CHAINS

FILE = """\
epsilons: [0.05]
datasets: {points: {use: 'light.py:Points'}}
networks: {fc: }
posteriors: {failing: {use: 'failing.py:Failing', draws: 8, chains: 8}}
attacks: {fgsm: }
"""
FAILING = '''
import bnnbench as bb

class Failing(bb.NormalPrior, bb.IndependentChains):
    """No chain of it is ever sampled."""

    def fit_chain(self, network, data, *, seed, chain, progress=bb.no_progress):
        raise RuntimeError("on purpose")
'''


def test_chains_that_fail_at_once_fail_their_fit_and_the_next_run_tries_them_again(tmp_path: Path) -> None:
    path = light.written(tmp_path, FILE)
    (tmp_path / "failing.py").write_text(FAILING)
    made = set()
    for _ in range(2):
        results = bb.run(path, store=tmp_path / "store", jobs=2)
        (row,) = results.rows()
        assert (row["status"], row["reason"]) == ("skipped", "its fit failed: chain 1: RuntimeError: on purpose")
        keys = list(results.store.keys(CHAINS))
        assert len(keys) == 8
        made |= {(results.store.place(CHAINS, key) / "record.json").stat().st_mtime_ns for key in keys}
    assert len(made) == 16
