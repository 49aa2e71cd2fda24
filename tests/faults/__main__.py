"""Run the whole fault suite, and print its figures as the table of docs/reliability.md.

python tests/faults [--quick] [PART ...]

All parts together take an hour. The part `strace` does nothing unless strace is installed.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "support"))

from faults import configs, damage, disk, kills, order, planted, stops, traced

import bnnbench as bb

Row = tuple[str, str, object]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python tests/faults", description=__doc__.partition("\n")[0])
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}; all of them by default")
    parser.add_argument("--quick", action="store_true", help="fewer of everything")
    asked = parser.parse_args()
    if unknown := set(asked.parts) - set(PARTS):
        parser.error(f"there is no part {', '.join(unknown)}")
    failures = 0
    print("| fault | trials | wrong |\n| --- | --- | --- |", flush=True)
    with tempfile.TemporaryDirectory(prefix="faults-") as folder:
        for part in asked.parts or PARTS:
            for name, trials, wrong in PARTS[part](Path(folder), asked.quick):
                failures += bool(wrong) if part != "planted" else not wrong
                print(f"| {name} | {trials} | {wrong} |", flush=True)
    return 1 if failures else 0


def _disk(folder: Path, quick: bool) -> Iterator[Row]:
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


def _traced(folder: Path, quick: bool) -> Iterator[Row]:
    for fault in traced.FAULTS if traced.is_there() else ():
        for call in traced.CALLS:
            found = traced.sweep(_new(folder), call, fault, 5 if quick else 1)
            _explain(found.wrong)
            yield f"strace: {fault} at each `{call}`", str(found.trials), len(found.wrong)


def _fuzzed(folder: Path, quick: bool) -> Iterator[Row]:
    fuzzed = configs.campaign(_new(folder), 300 if quick else 5000)
    _explain(fuzzed.wrong)
    trials = f"{fuzzed.files} ({fuzzed.good} good, {fuzzed.refused} refused; slowest {fuzzed.slowest:.2f} s)"
    yield "fuzzed configurations: traceback, or over 2 s", trials, len(fuzzed.wrong)


def _ordered(folder: Path, quick: bool) -> Iterator[Row]:
    trials = 3 if quick else 20
    yield "cells in another order: other bits", f"{trials} orders", order.different(_new(folder), trials)


def _damaged(folder: Path, quick: bool) -> Iterator[Row]:
    place, count = _new(folder), 400 if quick else 4000
    (place / "benchmarks.yaml").write_text(order.FILE)
    found = damage.campaign(bb.run(place / "benchmarks.yaml", store=place / "store"), place, count)
    _explain(found.believed)
    for name, tried in found.tried.items():
        believed = sum(line.startswith(f"{name}: ") for line in found.believed)
        yield f"flipped bits and cut ends, {name}: believed", str(tried), believed


def _planted(folder: Path, quick: bool) -> Iterator[Row]:
    trials = 3 if quick else 20
    for bug, (plant, fault) in planted.PLANTED.items():
        found = disk.sweep(_new(folder), fault, plant)
        caught = len({line.partition(":")[0] for line in found.wrong})
        yield f"planted: {bug} (caught by {fault})", f"{found.trials} calls", f"caught at {caught}"
    caught = sum(planted.lock_survives(_new(folder) / "store", planted.stale_lock) for _ in range(trials))
    yield "planted: stale lock (caught by SIGKILL)", str(trials), f"caught in {caught}" if caught else 0
    place = _new(folder)
    (place / "benchmarks.yaml").write_text(order.FILE)
    results = bb.run(place / "benchmarks.yaml", store=place / "store")
    with planted.unverified_artefacts():
        believed = damage.flipped_bits(results, place, 20 * trials).believed
    yield "planted: unverified artefacts (caught by flipped bits)", f"{20 * trials} files", f"caught in {len(believed)}"
    caught = order.different(_new(folder), trials, order.SeedsByPosition)
    yield "planted: seeds by position (caught by other orders)", f"{trials} orders", f"caught in {caught}"


def _killed(folder: Path, quick: bool) -> Iterator[Row]:
    found = kills.campaign(_new(folder), 5 if quick else 120)
    yield (
        "killed runs, group and runner alone in turn: report differs",
        (f"{found.kills} kills, {found.finished} runs"),
        found.different,
    )
    yield "acknowledged outcomes after a kill: computed again", str(found.kept), found.recomputed
    yield "orphans 5 s after a kill", f"{found.kills} kills", found.orphans


def _stopped(folder: Path, quick: bool) -> Iterator[Row]:
    stopped = stops.campaign(_new(folder), 5 if quick else 60)
    _explain(stopped.wrong)
    trials = f"{stopped.stops} stops, {stopped.finished} runs (slowest {stopped.slowest:.1f} s)"
    yield "Ctrl-C and SIGTERM: over 2 s, another exit code, a traceback, or another report", trials, len(stopped.wrong)


PARTS: dict[str, Callable[[Path, bool], Iterator[Row]]] = {
    "disk": _disk,
    "strace": _traced,
    "damage": _damaged,
    "configurations": _fuzzed,
    "orders": _ordered,
    "planted": _planted,
    "kills": _killed,
    "stops": _stopped,
}


def _new(folder: Path) -> Path:
    return Path(tempfile.mkdtemp(dir=folder))


def _explain(wrong: list[str]) -> None:
    for line in wrong[:5]:
        print(line, file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
