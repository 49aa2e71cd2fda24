"""Random numbers of chains."""

from __future__ import annotations


def test_the_randomness_of_chains_is_that_of_nothing_else() -> None:
    from bnnbench.authoring import chain_seeds
    from bnnbench.core import seeds

    ours = [seed for chain in range(8) for seed in chain_seeds(0, chain)]
    others = {seeds.words(0, purpose)[0] for purpose in seeds.PURPOSES.values() if purpose != seeds.CHAINS}
    assert len(set(ours)) == len(ours)
    assert not others & set(ours)


def test_each_transition_has_numbers_of_its_own() -> None:
    """Those of the transition, of the trials before it and of its length; they depend on their three arguments."""
    from bnnbench.authoring.random_streams import start_seed, transition_fraction, transition_seeds

    places = [(seed, chain, number) for seed in (0, 1) for chain in (0, 1) for number in (0, 1, 2)]
    found = [transition_seeds(*place, trial=trial) for place in places for trial in (False, True)]
    fractions = [transition_fraction(*place) for place in places]
    assert len({word for pair in found for word in pair}) == 2 * len(found)
    assert len(set(fractions)) == len(places)
    assert all(0 <= fraction < 1 for fraction in fractions)
    assert found[0] == transition_seeds(0, 0, 0)
    assert len({start_seed(seed, chain) for seed in (0, 1) for chain in (0, 1)}) == 4
