"""The best iterate of an attack."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from bnnbench.authoring import Best, best_of_each


def test_the_best_iterate_is_kept_misclassified_first() -> None:
    best = Best(torch.zeros(4, 1))
    points = torch.arange(4.0)[:, None]
    best.offer(points, torch.tensor([False, False, True, True]), torch.tensor([1.0, 1.0, 1.0, 1.0]))
    best.offer(points + 10, torch.tensor([True, False, False, True]), torch.tensor([0.0, 2.0, 9.0, 0.5]))
    assert best.inputs[:, 0].tolist() == [10.0, 11.0, 2.0, 3.0]


candidates = st.lists(
    st.tuples(st.integers(0, 4), st.booleans(), st.sampled_from([-1.0, 0.0, 2.0, float("inf"), -float("inf")]))
)


@given(offered=candidates)
def test_the_best_of_several_candidates_of_an_image_is_the_first_of_the_best(
    offered: list[tuple[int, bool, float]],
) -> None:
    chosen = best_of_each(*_tensors(offered))
    best = {}
    for place, (at, broken, value) in enumerate(offered):
        if at not in best or (broken, value) > best[at][0]:
            best[at] = (broken, value), place
    if chosen is None:
        assert len(best) == len(offered)
    else:
        assert chosen.tolist() == [best[at][1] for at in sorted(best)]


@given(offered=candidates)
def test_candidates_of_one_image_may_be_offered_together_or_one_by_one(offered: list[tuple[int, bool, float]]) -> None:
    together, one_by_one = Best(torch.zeros(5, 1)), Best(torch.zeros(5, 1))
    at, broken, value = _tensors(offered)
    points = torch.arange(1.0, len(offered) + 1)[:, None]
    together.offer(points, broken, value, at)
    for place in range(len(offered)):
        one = slice(place, place + 1)
        one_by_one.offer(points[one], broken[one], value[one], at[one])
    for name in ("inputs", "broken", "value", "unbroken"):
        assert torch.equal(getattr(together, name), getattr(one_by_one, name))
    seen = [image in at for image in range(5)]
    assert torch.equal(together.latest_value[seen], together.value[seen])
    assert torch.equal(together.latest_broken[seen], together.broken[seen])


def _tensors(offered: list[tuple[int, bool, float]]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    at, broken, value = zip(*offered, strict=True) if offered else ((), (), ())
    return torch.tensor(at, dtype=torch.long), torch.tensor(broken, dtype=torch.bool), torch.tensor(value)
