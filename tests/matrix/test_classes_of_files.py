"""Mistakes in a benchmarks file that names classes of files: one line each, with the place."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from own_files import CONFIG, written

import bnnbench as bb
from bnnbench.matrix.config_reader import read_config

STEP = "step: {use: 'mine.py:Step', objective: {use: 'mine.py:Loss', power: 2.0}}"
PLAIN = "plain: {use: 'mine.py:Plain'}"
WRONG = {
    "unknown parameter": (
        STEP,
        "step: {use: 'mine.py:Step', lenth: 1}",
        ":8:",
        "no parameter 'lenth'; did you mean 'l",
    ),
    "value out of bounds": (STEP, "step: {use: 'mine.py:Step', length: 0.0}", ":8:", "attacks.step.length is 0.0: "),
    "value of another type": ("offset: 1", "offset: '1'", ":11:", "measures.size.offset is '1': "),
    "swept value": ("width: [3, 4]", "width: [3, x]", ":4:", "networks.net.width is 'x': "),
    "misspelt class": ("mine.py:Prior", "mine.py:Prio", ":6:", "defines no class 'Prio'; did you mean 'Prior'?"),
    "function": ("mine.py:Prior", "mine.py:function", ":6:", "mine.py defines no class 'function'"),
    "imported module": (STEP, "step: {use: 'mine.py:bb'}", ":8:", "defines no class 'bb'"),
    "no file": ("mine.py:Prior", "gone.py:Prior", ":6:", "gone.py: no such file or directory"),
    "another kind": (
        "mine.py:Prior",
        "mine.py:Net",
        ":6:",
        "mine.py:Net is a network, not a posterior: it must derive",
    ),
    "objective as attack": (STEP, "step: {use: 'mine.py:Loss'}", ":8:", "mine.py:Loss is an objective, not an attack"),
    "module": ("mine.py:Prior", "mine.py:Plain", ":6:", "mine.py:Plain is a torch.nn.Module, not a posterior"),
    "plain class": ("mine.py:Prior", "mine.py:Nothing", ":6:", "derive from bnnbench.Posterior"),
    "plain class as network": (
        PLAIN,
        "plain: {use: 'mine.py:Nothing'}",
        ":5:",
        "from torch.nn.Module or bnnbench.Netw",
    ),
    "attack as network": (PLAIN, "plain: {use: 'mine.py:Step'}", ":5:", "mine.py:Step is an attack, not a network"),
    "raises": (STEP, "step: {use: 'raises.py:Step'}", ":8:", "raises.py: ValueError: no licence for you"),
    "exits": (STEP, "step: {use: 'exits.py:Step'}", ":8:", "exits.py: SystemExit: 3"),
    "not Python": (STEP, "step: {use: 'text.py:Step'}", ":8:", "text.py: SyntaxError: "),
    "network not Python": (PLAIN, "plain: {use: 'text.py:Net'}", ":5:", "text.py is not Python: "),
    "field that shadows": (STEP, "step: {use: 'shadows.py:Step'}", ":8:", "shadows.py:Step: parameter 'copy' shadows"),
    "missing library": (STEP, "step: {use: 'lacks.py:Step'}", ":8:", "No module named 'no_such_library'"),
    "objective's class": (
        "'mine.py:Loss'}",
        "'mine.py:Los'}",
        ":9:",
        "mine.py defines no class 'Los'; did you mean 'Lo",
    ),
    "objective's kind": ("'mine.py:Loss'}", "'mine.py:Step'}", ":9:", "mine.py:Step is an attack, not an objective"),
    "objective's parameter": ("power: 2.0", "powr: 2.0", ":8:", "no parameter 'powr'; did you mean 'power'?"),
    "objective's bounds": ("power: 2.0", "power: 0.0", ":8:", "objective mine.py:Loss: power: input should be greater"),
    "objective's file": ("'mine.py:Loss'}", "'raises.py:Loss'}", ":9:", "raises.py: ValueError: no licence for you"),
}
BROKEN = {
    "raises.py": "raise ValueError('no licence\\n for \\x1b you'.replace('\\x1b ', ''))\n",
    "exits.py": "raise SystemExit(3)\n",
    "text.py": "no Python (\n",
    "shadows.py": "import bnnbench\nclass Step(bnnbench.Attack):\n    copy: int = 1\n",
    "lacks.py": "import no_such_library\n",
}


@pytest.mark.filterwarnings("ignore:Field name")
@pytest.mark.parametrize(("right", "wrong", "line", "message"), WRONG.values(), ids=WRONG)
def test_a_mistake_is_one_line_with_its_place(right: str, wrong: str, line: str, message: str, tmp_path: Path) -> None:
    assert CONFIG.count(right) == 1
    for name, text in BROKEN.items():
        (tmp_path / name).write_text(text)
    path = written(tmp_path, CONFIG.replace(right, wrong))
    with pytest.raises(bb.ConfigError) as caught:
        read_config(path)
    (problem,) = caught.value.problems
    assert problem.startswith(f"{path}{line}")
    assert message in problem
    assert problem.isprintable()


@pytest.mark.integration
def test_all_mistakes_are_told_at_once_with_exit_2_and_no_traceback(tmp_path: Path) -> None:
    for name, text in BROKEN.items():
        (tmp_path / name).write_text(text)
    written(tmp_path, CONFIG.replace(STEP, "step: {use: 'raises.py:Step'}").replace("mine.py:Prior", "exits.py:Prior"))
    command = [sys.executable, "-m", "bnnbench", "plan", "benchmarks.yaml"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert [line.partition(": ")[0] for line in done.stderr.splitlines()] == [
        "benchmarks.yaml:6:27",
        "benchmarks.yaml:8:15",
    ]
