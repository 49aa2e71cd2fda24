"""The bundled figures show the numbers of tables and outcomes."""

from __future__ import annotations

import numpy as np
import pytest
from bnnbench_plugins.figures import selective
from drawn import attacked, drawn, proven, results_of, series_of

import bnnbench as bb
from bnnbench.statistics.intervals import wilson

ALL, HALF, NONE = "1" * 10, "1111100000", "0" * 10


def test_radius_shows_the_numbers_of_rows() -> None:
    cells = [
        attacked(label, robust, epsilon=epsilon, seed=seed, posterior=posterior, clean="1111111110")
        for epsilon, robust_of in (
            (0.1, {"fgsm": HALF, "pgd": "0111100000"}),
            (0.05, {"fgsm": "1111111100", "pgd": "1111111010"}),
        )
        for label, robust in robust_of.items()
        for seed in (0, 1)
        for posterior in ("sgd", "vi")
    ]
    cells[-1] = attacked("pgd", "1110000000", epsilon=0.05, seed=1, posterior="vi", clean="1111111110")
    cells += [
        proven("linear", bits, epsilon=epsilon, seed=seed, posterior="sgd")
        for epsilon, bits in ((0.05, "1111111000"), (0.1, "1000000000"))
        for seed in (0, 1)
    ]
    (picture,) = drawn("radius", cells)
    rows = {(row["posterior"], row["epsilon"]): row for row in results_of(cells).rows("worst")}
    assert [panel.title for panel in picture.panels] == ["sgd", "vi"]
    for place, posterior in enumerate(("sgd", "vi")):
        found = series_of(picture, place)
        for column in ("worst", "certified"):
            numbers = {epsilon: rows[posterior, epsilon][f"{column}_accuracy"] for epsilon in (0.05, 0.1)}
            assert found.get(column) == (None if numbers[0.1] is None else {0.0: 0.9, **numbers})
        (worst,) = [one for one in picture.panels[place].series if one.label == "worst"]
        assert worst.role == "strong"
        assert list(zip(worst.low, worst.high, strict=True))[1:] == [
            (rows[posterior, epsilon]["worst_low"], rows[posterior, epsilon]["worst_high"]) for epsilon in (0.05, 0.1)
        ]
        assert (worst.low[0], worst.high[0]) == wilson(9, 10)
    assert series_of(picture, 0)["pgd"] == {0.0: 0.9, 0.05: 0.8, 0.1: 0.4}
    assert series_of(picture, 1)["pgd"] == {0.0: 0.9, 0.05: pytest.approx((0.8 + 0.3) / 2), 0.1: 0.4}
    (area,) = picture.panels[0].areas
    assert (area.x, area.low) == ((0, 0.05, 0.1), (0.9, 0.7, 0.1))
    assert area.high == tuple(series_of(picture, 0)["worst"].values())
    assert "10 test images, mean over 2 seeds" in picture.caption


def test_radius_leaves_out_what_tables_have_no_number_for() -> None:
    cells = [
        attacked("fgsm", HALF, epsilon=0.05),
        attacked("pgd", HALF, epsilon=0.05),
        attacked("fgsm", HALF, epsilon=0.1),
        attacked("pgd", None, epsilon=0.1),
    ]
    (picture,) = drawn("radius", cells)
    assert series_of(picture)["pgd"] == {0.0: 1.0, 0.05: 0.5}
    (worst,) = [one for one in picture.panels[0].series if one.label == "worst"]
    assert (worst.x, worst.open) == ((0, 0.05, 0.1), (False, False, True))
    assert "Open markers" in picture.caption


def test_radius_shows_means_of_all_seeds_or_says_that_one_is_missing() -> None:
    cells = [
        attacked("fgsm", HALF),
        attacked("fgsm", "1111111000", seed=1),
        attacked("pgd", HALF),
        attacked("pgd", None, seed=1),
        attacked("square", HALF),
    ]
    (picture,) = drawn("radius", cells)
    found = {one.label: (one.y[-1], one.open[-1]) for one in picture.panels[0].series}
    assert found == {"fgsm": (0.6, False), "square": (0.5, True), "worst": (0.6, True)}


def test_radius_marks_what_is_no_evidence_and_short_posteriors() -> None:
    still = {"zero_direction": np.ones(10, bool)}
    cells = [attacked("fgsm", HALF, card="short", changes=still), attacked("pgd", HALF, card="short")]
    (picture,) = drawn("radius", cells)
    (panel,) = picture.panels
    assert panel.title == "sgd~"
    assert "~: short posterior" in picture.caption
    assert {one.label: one.open[1] for one in panel.series} == {"fgsm": True, "pgd": False, "worst": False}
    (alone,) = drawn("radius", cells[:1])
    assert {one.label: one.open[1] for one in alone.panels[0].series} == {"fgsm": True, "worst": True}


def test_radius_takes_an_outcome_at_radius_0_in_the_place_of_the_clean_accuracy() -> None:
    cells = [attacked("fgsm", "1111111000", epsilon=0.0), attacked("fgsm", HALF, epsilon=0.1)]
    (picture,) = drawn("radius", cells)
    fgsm, _ = picture.panels[0].series
    assert (fgsm.x, fgsm.y) == ((0.0, 0.1), (0.7, 0.5))
    with pytest.raises(bb.NotApplicable, match="no result at a radius above 0"):
        drawn("radius", cells[:1])


def test_threats_that_differ_in_more_than_the_radius_have_pictures_of_their_own() -> None:
    threats = [{}, {"norm": "l2"}, {"access": "scores", "queries": 50}, {"access": "scores"}]
    cells = [attacked("fgsm", HALF, threat=threat) for threat in threats]
    names = ["linf-gradient", "l2-gradient", "linf-scores-queries-50", "linf-scores"]
    assert [picture.name for picture in drawn("radius", cells)] == [f"moons-fc-{name}" for name in names]


def test_bracket_is_the_worst_case_less_what_is_certified() -> None:
    cells = [
        *(
            attacked("fgsm", HALF, epsilon=epsilon, posterior=posterior)
            for epsilon in (0.05, 0.1)
            for posterior in ("sgd", "vi")
        ),
        proven("linear", "1111000000", epsilon=0.05),
        proven("linear", NONE, epsilon=0.1),
        proven("linear", HALF, epsilon=0.1, posterior="vi"),
    ]
    (picture,) = drawn("bracket", cells)
    assert series_of(picture) == {"sgd": {0.05: pytest.approx(0.1), 0.1: 0.5}, "vi": {0.1: 0.0}}
    sgd, _ = picture.panels[0].series
    assert (sgd.low[1], sgd.high[1]) == pytest.approx(wilson(5, 10))
    more = [*cells, proven("other", NONE, epsilon=0.05)]
    assert [one.open for one in drawn("bracket", more)[0].panels[0].series] == [(False, True), (True,)]
    with pytest.raises(bb.NotApplicable, match=r"no line has results of certificates$"):
        drawn("bracket", cells[:4])
    with pytest.raises(bb.NotApplicable, match=r"no line has results of attacks$"):
        drawn("bracket", cells[4:])


def test_sweep_has_a_panel_for_each_number_and_radius() -> None:
    cells = [
        attacked(
            f"pgd@steps={steps},objective={objective}",
            robust,
            epsilon=epsilon,
            component=bb.attack("pgd", steps=steps, objective=objective),
        )
        for epsilon in (0.05, 0.1)
        for steps, robust in ((50, NONE), (1, ALL), (10, HALF))
        for objective in ("predictive-nll", "log-margin")
    ]
    (picture,) = drawn("sweep", cells)
    assert picture.name == "moons-fc-pgd"
    assert [panel.title for panel in picture.panels] == ["radius 0.05", "radius 0.1"]
    for place in (0, 1):
        assert series_of(picture, place) == {
            f"sgd, objective {objective}": {1: 1.0, 10: 0.5, 50: 0.0} for objective in ("predictive-nll", "log-margin")
        }
    first, _ = picture.panels
    assert (first.x.label, first.x.log, first.x.ticks) == ("steps of pgd", True, (1.0, 10.0, 50.0))


def test_sweep_shows_queries_of_threats_for_attacks_that_ask() -> None:
    asking = [
        attacked("square", robust, posterior=posterior, threat={"access": "scores", "queries": queries})
        for queries, robust in ((100, HALF), (20, ALL))
        for posterior in ("sgd", "vi")
    ]
    silent = [
        attacked("random", ALL, threat={"access": "scores", "queries": queries}, changes={"passes": np.zeros(10)})
        for queries in (20, 100)
    ]
    (picture,) = drawn("sweep", [*asking, *silent])
    assert picture.name == "moons-fc-square"
    assert series_of(picture) == {"sgd": {20: 1.0, 100: 0.5}, "vi": {20: 1.0, 100: 0.5}}
    (panel,) = picture.panels
    assert (panel.x.label, panel.x.log) == ("queries per image that the threat allows", False)


def test_sweep_says_what_is_missing() -> None:
    words = [
        attacked(f"pgd@objective={name}", HALF, component=bb.attack("pgd", objective=name))
        for name in ("log-margin", "predictive-nll")
    ]
    for cells in (words, [attacked("fgsm", HALF)], [attacked("fgsm", HALF, threat={"queries": 3})]):
        with pytest.raises(bb.NotApplicable, match="no number was swept"):
            drawn("sweep", cells)


def test_distances_are_those_of_the_largest_radius_and_agree_with_robust_accuracy() -> None:
    distance = np.array([0.1, 0.1, 0.1, 0.1, 0.1, 0.02, 0.03, 0.03, 0.08, 0.05])
    fmn = bb.attack("fmn")
    wide = attacked("fmn", HALF, clean="1111111110", component=fmn, changes={"distance": distance})
    narrow = attacked("fmn", "1111111100", epsilon=0.05, clean="1111111110", component=fmn)
    (picture,) = drawn("distances", [narrow, wide, attacked("pgd", NONE)])
    assert [panel.title for panel in picture.panels] == ["attack: fmn"]
    # The last image is wrong as it is, the first five are not broken.
    steps = {0.0: 0.1, 0.02: 0.2, 0.03: 0.4, 0.08: 0.5, 0.1: 0.5}
    assert series_of(picture)["sgd"] == pytest.approx(steps)
    assert series_of(picture)["sgd"][0.1] == 1 - wide.figures["robust_accuracy"]
    with pytest.raises(bb.NotApplicable, match="trait minimal-norm"):
        drawn("distances", [attacked("pgd", NONE)])


def test_distances_are_means_over_seeds_and_never_beyond_the_radius() -> None:
    fmn, beyond = bb.attack("fmn"), np.full(10, np.nextafter(0.1, 1))
    cells = [
        attacked("fmn", NONE, component=fmn, changes={"distance": beyond}),
        attacked("fmn", HALF, component=fmn, seed=1, changes={"distance": np.full(10, 0.05)}),
    ]
    assert series_of(drawn("distances", cells)[0])["sgd"] == pytest.approx({0.0: 0.0, 0.05: 0.25, 0.1: 0.75})


def test_selective_shows_the_strongest_attack_that_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(f"{selective.__name__}.LEAST", 1)
    cells = [
        attacked("fmn", NONE, component=bb.attack("fmn")),
        attacked("fgsm", "1111111100"),
        attacked("pgd", HALF),
        attacked("pgd", "1010101010", epsilon=0.05),
    ]
    for score in ("entropy", "max-probability"):
        (picture,) = drawn("selective", cells, score=score)
        found = series_of(picture)
        for label, cell in (("attacked, radius 0.1", cells[2]), ("attacked, radius 0.05", cells[3])):
            assert found[label] == {
                share: cell.outcome.selective_accuracy(share, score=score) for share in found["clean"]
            }
        assert found["clean"] == {
            share: cells[2].outcome.selective_accuracy(share, score=score, attacked=False) for share in found["clean"]
        }
        assert found["attacked, radius 0.1"][1.0] == cells[2].outcome.attacked_accuracy
        assert min(found["clean"]) == 0.1
    with pytest.raises(bb.NotApplicable, match="such as pgd"):
        drawn("selective", cells[:1])


def test_selective_shows_no_accuracy_of_few_images() -> None:
    assert list(series_of(drawn("selective", [attacked("pgd", HALF)])[0])["clean"]) == [1.0]


def test_selective_is_the_mean_over_seeds() -> None:
    cells = [attacked("pgd", HALF), attacked("pgd", NONE, seed=1)]
    assert series_of(drawn("selective", cells)[0])["attacked, radius 0.1"][1.0] == 0.25


def test_without_any_result_each_says_so() -> None:
    for name in ("radius", "bracket", "sweep", "distances", "selective"):
        with pytest.raises(bb.NotApplicable, match="no attack and no certificate has a result; bnnbench run computes"):
            drawn(name, [attacked("pgd", None)])
