"""Selective accuracies have intervals at the number of images that are kept."""

from __future__ import annotations

import numpy as np
import pytest
from bnnbench_plugins.figures import selective
from drawn import attacked, drawn

import bnnbench as bb
from bnnbench.report.figures.files import numbers_of
from bnnbench.statistics.intervals import wilson

HALF = "1111100000"


@pytest.fixture(autouse=True)
def _few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(f"{selective.__name__}.LEAST", 2)


def picture() -> bb.Picture:
    return drawn("selective", [attacked("pgd", "1111111100", epsilon=0.05), attacked("pgd", HALF)])[0]


def test_each_line_has_wilson_intervals_of_the_images_that_are_kept() -> None:
    for row in numbers_of(picture()):
        kept = round(10 * row["x"])
        assert (row["low"], row["high"]) == pytest.approx(wilson(row["y"] * kept, kept)), row


def test_ties_count_with_the_share_of_their_successes() -> None:
    """The uncertainties are all alike, so that of two kept images one is right in the mean."""
    alike = np.log([[0.75, 0.25]] * 5 + [[0.25, 0.75]] * 5)
    cell = attacked("pgd", HALF, changes={"attacked_log_probs": alike})
    rows = [row for row in numbers_of(drawn("selective", [cell])[0]) if row["series"] != "clean"]
    assert rows[0]["x"] == 0.2
    assert rows[0]["y"] == pytest.approx(0.5)
    assert (rows[0]["low"], rows[0]["high"]) == pytest.approx(wilson(1, 2))


def test_only_the_clean_line_and_that_of_the_largest_radius_show_their_band() -> None:
    found = picture()
    assert {one.label: one.band for one in found.panels[0].series} == {
        "clean": True,
        "attacked, radius 0.05": False,
        "attacked, radius 0.1": True,
    }
    assert "Bands, of clean and of the largest radius: 95% Wilson interval of the kept images" in found.caption
