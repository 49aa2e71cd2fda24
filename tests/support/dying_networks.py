"""Networks that fail, die, hang or eat memory when they are built, and benchmarks files that name them."""

from __future__ import annotations

from pathlib import Path

import light

NETWORKS = """
import ctypes, os, pathlib, subprocess, sys, time
import torch

HERE = pathlib.Path(__file__).parent

class Named(torch.nn.Linear):
    def __init__(self):
        super().__init__(2, 2)
        self.happen()
    def happen(self):
        pass

class Fine(Named):
    pass

class Leaves(Named):
    def happen(self):
        os._exit(0)

class CrashesOnce(Named):
    def happen(self):
        if not (HERE / "crashed").exists():
            (HERE / "crashed").touch()
            os._exit(7)

class Segfaults(Named):
    def happen(self):
        ctypes.string_at(0)

class Fails(Named):
    def happen(self):
        raise RuntimeError("on purpose\\nand \\x1b[31mred")

class Exits(Named):
    def happen(self):
        sys.exit("goodbye")

class Aborts(Named):
    '''Raises what nobody else knows, and is no Exception.'''
    class Abort(BaseException):
        pass
    def happen(self):
        raise self.Abort("enough")

class Patient(Named):
    def happen(self):
        (HERE / "child").write_text(str(os.getpid()))
        time.sleep(5)

class LoopsInC(Named):
    '''Holds the interpreter's lock in C, deaf to signals, with a child in a session of its own.'''
    environment = None
    def happen(self):
        command = [sys.executable, "-c", "import time; time.sleep(600)"]
        lives_on = subprocess.Popen(command, start_new_session=True, env=self.environment)
        (HERE / "child").write_text(str(lives_on.pid))
        ctypes.PyDLL(None).sleep(600)

class Hides(LoopsInC):
    '''Its child bears no mark.'''
    environment = {}

class Hungry(Named):
    '''Its child is the one that eats.'''
    def happen(self):
        code = "import time; kept = [bytearray(3 * 10**8) for _ in range(20) if not time.sleep(0.2)]; time.sleep(60)"
        subprocess.run([sys.executable, "-c", code])
"""
MATRIX = """
epsilons: [0.05]
evaluate: {images: 20}
datasets: {points: {use: 'light.py:Points'}}
posteriors: {fixed: {use: 'light.py:Fixed'}}
attacks: {random: {use: random-sign}}
"""


def matrix(folder: Path, names: list[str], more: str = "") -> Path:
    (folder / "nets.py").write_text(NETWORKS)
    networks = "".join(f"  {name.lower()}: {{use: 'nets.py:{name}'}}\n" for name in names)
    return light.written(folder, f"{MATRIX}networks:\n{networks}{more}\n")
