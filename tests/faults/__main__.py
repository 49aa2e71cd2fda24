"""The long part of the fault suite: prints its figures as the table of docs/reliability.md.

python tests/faults [--quick]         (half an hour; strace, from the system's packages, is used where it is installed)
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from faults import configs, damage, disk, kills, order, planted, stops, traced

import bnnbench as bb

parser = argparse.ArgumentParser(prog="python tests/faults", description=__doc__.partition("\n")[0])
parser.add_argument("--quick", action="store_true", help="fewer of everything")


def main() -> int:
    quick = parser.parse_args().quick
    failures = 0
    print("| fault | trials | wrong |\n| --- | --- | --- |", flush=True)
    with tempfile.TemporaryDirectory(prefix="faults-") as folder:
        for name, trials, wrong in _rows(Path(folder), quick):
            failures += bool(wrong) if not name.startswith("planted") else not wrong
            print(f"| {name} | {trials} | {wrong} |", flush=True)
    return 1 if failures else 0


def _rows(folder: Path, quick: bool) -> Iterator[tuple[str, str, object]]:
    for fault, words in {
        "kill": "SIGKILL",
        "ENOSPC": "a full disk (ENOSPC)",
        "EIO": "a broken disk (EIO)",
        "power": "a loss of power",
        "resume": "SIGKILL, the next run, and then a loss of power,",
    }.items():
        found = disk.sweep(_new(folder), fault)
        _explain(found.wrong)
        yield f"{words} at each call that changes a store", str(found.trials), len(found.wrong)
    if traced.is_there():
        for fault in traced.FAULTS:
            for call in traced.CALLS:
                found = traced.sweep(_new(folder), call, fault, 5 if quick else 1)
                _explain(found.wrong)
                yield f"strace: {fault} at each `{call}`", str(found.trials), len(found.wrong)
    yield from _damaged(folder, 400 if quick else 4000)
    fuzzed = configs.campaign(_new(folder), 300 if quick else 5000)
    _explain(fuzzed.wrong)
    told = f"{fuzzed.files} ({fuzzed.good} good, {fuzzed.refused} refused; slowest {fuzzed.slowest:.2f} s)"
    yield "fuzzed configurations: traceback, or over 2 s", told, len(fuzzed.wrong)
    trials = 3 if quick else 20
    yield "cells in another order: other bits", f"{trials} orders", order.different(_new(folder), trials)
    yield from _planted(folder, trials)
    yield from _killed(folder, 5 if quick else 120)


def _damaged(folder: Path, count: int) -> Iterator[tuple[str, str, object]]:
    place = _new(folder)
    (place / "benchmarks.yaml").write_text(order.FILE)
    found = damage.campaign(bb.run(place / "benchmarks.yaml", store=place / "store"), place, count)
    _explain(found.used)
    for name, tried in found.tried.items():
        used = sum(line.startswith(name) for line in found.used)
        yield f"flipped bits and cut ends, {name}: believed", str(tried), used


def _planted(folder: Path, trials: int) -> Iterator[tuple[str, str, object]]:
    for bug, (plant, fault) in planted.PLANTED.items():
        found = disk.sweep(_new(folder), fault, plant)
        caught = len({line.partition(":")[0] for line in found.wrong})
        yield f"planted: {bug} (caught by {fault})", f"{found.trials} calls", f"caught at {caught}"
    caught = sum(planted.lock_survives(_new(folder) / "store", planted.stale_lock) for _ in range(trials))
    yield "planted: stale lock (caught by SIGKILL)", str(trials), f"caught in {caught}" if caught else 0
    caught = order.different(_new(folder), trials, order.SeedsByPosition)
    yield "planted: seeds by position (caught by other orders)", f"{trials} orders", f"caught in {caught}"


def _killed(folder: Path, count: int) -> Iterator[tuple[str, str, object]]:
    found = kills.campaign(_new(folder), count)
    yield (
        "killed runs, group and runner alone in turn: report differs",
        (f"{found.kills} kills, {found.finished} runs"),
        found.different,
    )
    yield "acknowledged outcomes after a kill: computed again", str(found.kept), found.recomputed
    yield "orphans 5 s after a kill", f"{found.kills} kills", found.orphans
    stopped = stops.campaign(_new(folder), max(5, count // 2))
    _explain(stopped.wrong)
    told = f"{stopped.stops} stops, {stopped.finished} runs (slowest {stopped.slowest:.1f} s)"
    yield "Ctrl-C and SIGTERM: over 2 s, another exit code, a traceback, or another report", told, len(stopped.wrong)


def _new(folder: Path) -> Path:
    return Path(tempfile.mkdtemp(dir=folder))


def _explain(wrong: list[str]) -> None:
    for line in wrong[:5]:
        print(line, file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
