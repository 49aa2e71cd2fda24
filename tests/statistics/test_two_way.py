"""The two-way bootstrap against its exact variance, and the coverage of the interval over seeds and images."""

from __future__ import annotations

import numpy as np
import pytest

from bnnbench.statistics.two_way import across_seeds, two_way_bootstrap


def differences(seeds: int, images: int, of_seeds: float, generator: np.random.Generator, shift: float) -> np.ndarray:
    """Differences of two classifiers, -1, 0 or 1, (seeds, images): each fit has an effect, and each image too."""
    image = generator.normal(size=images) * 1.5

    def right(shift: float) -> np.ndarray:
        effect = generator.normal(size=(seeds, 1)) * of_seeds
        return image + effect + shift + generator.normal(size=(seeds, images)) > 0

    return right(shift).astype(int) - right(0.0)


def test_the_variance_of_resamples_is_the_exact_one() -> None:
    """Resampling rows and columns independently adds the variances of both, and that of what is left."""
    values = differences(4, 60, 0.5, np.random.default_rng(0), 0.3)
    of_seeds, of_images = values.mean(1), values.mean(0)
    rest = values - of_seeds[:, None] - of_images + values.mean()
    exact = of_seeds.var() / 4 + of_images.var() / 60 + (rest**2).mean() / (4 * 60)
    means = two_way_bootstrap(values, resamples=20_000)
    assert means.mean() == pytest.approx(values.mean(), abs=4 * (exact / 20_000) ** 0.5)
    assert means.var() == pytest.approx(exact, rel=0.05)
    # The part of the seeds alone grows with the square of the spread.
    spread = two_way_bootstrap(values, 2.0, resamples=20_000)
    assert spread.var() == pytest.approx(exact + 3 * of_seeds.var() / 4, rel=0.05)


def test_equal_values_give_equal_figures() -> None:
    values = differences(3, 50, 0.5, np.random.default_rng(1), 0.3)
    assert across_seeds(values) == across_seeds(values.copy())
    assert (two_way_bootstrap(values) == two_way_bootstrap(values.astype(float))).all()
    low, high, p = across_seeds(values)
    assert across_seeds(-values) == pytest.approx((-high, -low, p))


def test_where_images_alone_differ_it_is_the_interval_of_their_mean() -> None:
    """All fits are equal: the standard error is that of a mean over images, with the t of as many."""
    values = np.tile(np.random.default_rng(2).integers(-1, 2, 400), (3, 1))
    low, high, p = across_seeds(values)
    half = 1.966 * values[0].std() / 400**0.5
    assert (low, high) == (
        pytest.approx(values.mean() - half, abs=0.004),
        pytest.approx(values.mean() + half, abs=0.004),
    )
    assert (p <= 0.05) == (low > 0 or high < 0)


def test_where_seeds_alone_differ_it_is_the_interval_of_a_few_means() -> None:
    """All images are equal: Student's t with two degrees of freedom, whatever the number of images."""
    values = np.tile(np.array([[0.1], [0.2], [0.3]]), (1, 200))
    low, high, p = across_seeds(values)
    half = 4.3027 * 0.1 / 3**0.5
    assert (low, high) == (pytest.approx(0.2 - half, abs=0.01), pytest.approx(0.2 + half, abs=0.01))
    assert p == pytest.approx(0.0742, abs=0.004)


@pytest.mark.parametrize(("seeds", "of_seeds"), [(3, 0.0), (3, 0.1), (3, 0.3), (5, 0.3), (10, 0.3)])
def test_the_interval_covers_at_least_about_as_often_as_it_says(seeds: int, of_seeds: float) -> None:
    """At least 93% of 300 intervals hold the mean over all seeds and images, zero here."""
    generator = np.random.default_rng(3)
    found = [across_seeds(differences(seeds, 100, of_seeds, generator, 0.0)) for _ in range(300)]
    assert np.mean([low <= 0 <= high for low, high, _ in found]) >= 0.93
    assert np.mean([p <= 0.05 for *_, p in found]) <= 0.07


@pytest.mark.parametrize(("seeds", "percentiles"), [(2, 0.82), (3, 0.90)])
def test_the_percentiles_of_a_bootstrap_over_a_few_seeds_cover_too_little(seeds: int, percentiles: float) -> None:
    """Why the quantiles are Student's: fits that differ much are judged by a few means, here of 200 images."""
    generator = np.random.default_rng(4)
    samples = [differences(seeds, 200, 0.3, generator, 0.0) for _ in range(400)]
    bounds = [np.quantile(two_way_bootstrap(values), (0.025, 0.975)) for values in samples]
    assert np.mean([low <= 0 <= high for low, high in bounds]) <= percentiles
    assert np.mean([low <= 0 <= high for low, high, _ in map(across_seeds, samples)]) >= 0.89


def test_what_never_differs_has_no_width() -> None:
    assert across_seeds(np.zeros((2, 10))) == (0.0, 0.0, 1.0)
    assert across_seeds(np.ones((2, 10))) == (1.0, 1.0, 0.0)


@pytest.mark.parametrize("values", [np.zeros(5), np.zeros((2, 1)), np.zeros((0, 5))])
def test_other_shapes_are_refused(values: np.ndarray) -> None:
    with pytest.raises(ValueError, match="values have the shape"):
        two_way_bootstrap(values)


def test_one_seed_says_nothing_about_others() -> None:
    with pytest.raises(ValueError, match="there is one seed"):
        across_seeds(np.zeros((1, 5)))
