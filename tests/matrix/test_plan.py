"""From a benchmarks file to cells and keys."""

from __future__ import annotations

from pathlib import Path

import pytest
from good_file import GOOD, written

import bnnbench as bb
from bnnbench.matrix.config_reader import read_config
from bnnbench.matrix.plan import make_plan, restricted
from bnnbench.matrix.specs import CellSpec


def test_a_good_file_becomes_cells_in_its_order(tmp_path: Path) -> None:
    plan = make_plan(read_config(written(tmp_path, GOOD)))
    # (1 epsilon on moons + 2 on digits) x 2 seeds x 3 posteriors x 3 attacks, and 2 x 2 x 3 fits.
    assert len(plan.cells) == 54
    assert len(plan.fits) == 12
    assert {cell.posterior for cell in plan.cells} == {"sgd", "nuts@max_tree_depth=2", "nuts@max_tree_depth=3"}
    assert {cell.label for cell in plan.cells} == {"fgsm", "pgd@objective=expected-loss", "pgd@objective=log-margin"}
    assert [cell.threat.epsilon for cell in plan.cells if cell.dataset == "digits"][:4] == [0.1, 0.1, 0.1, 0.001]
    assert {cell.threat.epsilon for cell in plan.cells if cell.dataset == "moons"} == {0.02}
    assert len({cell.key for cell in plan.cells}) == 54


def test_several_sweeps_are_named_together(tmp_path: Path) -> None:
    text = GOOD.replace("sweep: {max_tree_depth: [2, 3]}", "sweep: {max_tree_depth: [2, 3], step_size: [0.1]}")
    plan = make_plan(read_config(written(tmp_path, text)))
    assert "nuts@max_tree_depth=2,step_size=0.1" in {cell.posterior for cell in plan.cells}


def test_labels_order_and_limits_enter_no_key(tmp_path: Path) -> None:
    first = {cell.key for cell in make_plan(read_config(written(tmp_path, GOOD))).cells}
    other = GOOD.replace("moons:", "halfmoons:").replace("mlp:", "net:").replace("seeds: [0, 1]", "seeds: [1, 0]")
    other += "threads: 2\nlimits: {fit: 2h, memory: 1GiB}\ndevice: cpu\n"
    assert {cell.key for cell in make_plan(read_config(written(tmp_path, other))).cells} == first


def test_whatever_changes_an_outcome_changes_its_key(tmp_path: Path) -> None:
    keys = {cell.key for cell in make_plan(read_config(written(tmp_path, GOOD))).cells}
    for old, new in [
        ("images: 20", "images: 21"),
        ("draws: 5", "draws: 6"),
        ("[8, 8]", "[8, 9]"),
        ("epochs: 1", "epochs: 2"),
        ("warmup: 2", "warmup: 3"),
    ]:
        changed = {cell.key for cell in make_plan(read_config(written(tmp_path, GOOD.replace(old, new)))).cells}
        assert changed != keys, (old, new)


def test_include_and_exclude(tmp_path: Path) -> None:
    text = (
        GOOD
        + "include: [{dataset: moons}, {dataset: digits, seed: 1}]\nexclude:\n  - {posterior: nuts, epsilon: [0.1]}\n"
    )
    cells = make_plan(read_config(written(tmp_path, text))).cells
    assert {(cell.dataset, cell.seed) for cell in cells} == {("moons", 0), ("moons", 1), ("digits", 1)}
    assert not any(cell.posterior.startswith("nuts") and cell.threat.epsilon == 0.1 for cell in cells)
    swept = make_plan(read_config(written(tmp_path, GOOD + "exclude: [{posterior: nuts@max_tree_depth=2}]\n"))).cells
    assert {cell.posterior for cell in swept} == {"sgd", "nuts@max_tree_depth=3"}


def test_anchors_and_merge_keys_work(tmp_path: Path) -> None:
    text = GOOD.replace("sgd: {epochs: 1}", "sgd: &base {epochs: 1}\n  again: {<<: *base, use: sgd, batch_size: 16}")
    cells = make_plan(read_config(written(tmp_path, text))).cells
    assert "again" in {cell.posterior for cell in cells}


def test_a_matrix_past_the_limit_is_counted_not_built(tmp_path: Path) -> None:
    text = GOOD.replace("[0, 1]", str(list(range(3000)))).replace("[2, 3]", str(list(range(1, 10))))
    with pytest.raises(bb.ConfigError, match=r"cells, more than 1000 \(--max-cells\)"):
        read_config(written(tmp_path, text), max_cells=1000)


def test_each_threat_is_compared_with_one_group_and_not_with_every_other_threat(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A group of n threats takes n comparisons: n squared of them would take minutes for some ten thousand."""
    compared, joins = [], CellSpec.joins

    def counted(one: CellSpec, other: CellSpec) -> bool:
        compared.append(other)
        return joins(one, other)

    monkeypatch.setattr(CellSpec, "joins", counted)
    epsilons = ", ".join(f"0.{number:05}" for number in range(1, 401))
    text = (
        GOOD.replace("[0.02]", f"[{epsilons}]") + "include: [{dataset: moons, posterior: sgd, attack: fgsm, seed: 0}]\n"
    )
    plan = make_plan(read_config(written(tmp_path, text)))
    (((*cells,),),) = plan.tasks.values()
    assert len(cells) == 400
    assert len(compared) == 399


def test_a_word_of_only_that_selects_nothing_is_named(tmp_path: Path) -> None:
    plan = make_plan(read_config(written(tmp_path, GOOD)))
    for words, told in (
        (["nust"], "no cell has the label or radius 'nust'; did you mean 'nuts'? (there are "),
        (["moons", "0.3"], "no cell has the label or radius '0.3' (there are "),
        (["moons", "0.001"], "no cell has these labels and radii together (there are "),
    ):
        with pytest.raises(bb.ConfigError) as raised:
            restricted(plan, words)
        assert told in str(raised.value)
