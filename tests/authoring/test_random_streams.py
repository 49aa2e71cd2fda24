"""Random numbers of chains."""

from __future__ import annotations


def test_the_randomness_of_chains_is_that_of_nothing_else() -> None:
    from bnnbench.authoring import chain_seeds
    from bnnbench.core import seeds

    ours = [seed for chain in range(8) for seed in chain_seeds(0, chain)]
    others = {seeds.words(0, purpose)[0] for purpose in seeds.PURPOSES.values() if purpose != seeds.CHAINS}
    assert len(set(ours)) == len(ours)
    assert not others & set(ours)
