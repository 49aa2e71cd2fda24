"""How often each flag of the audit is raised where it must be, and where it must not: the tables of docs/soundness.md.

python speed/soundness.py [--seeds 20] [--kept FILE]                                               (an hour of one core)

Canaries are cases that are broken in a known way (`bnnbench.testing.canaries`). Sound cases are linear classifiers, and
fits by SGD and variational inference on half moons and digits, all under sound attacks. What an audit says is appended
to the file of `--kept`, so that a run that was stopped goes on where it ended, and several can share the work.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import measuring
from measuring import table
from scipy.stats import binomtest

import bnnbench as bb
from bnnbench.testing.canaries import CANARIES, Canary
from bnnbench.testing.making import SOUND

Record = dict[str, Any]
"""What one audit says: the case and seed, the checks that must fire, that looked and that fired, and CPU seconds."""

STATED = {"unconstrained": "2.5%"} | dict.fromkeys(
    ["single-step", "radius-rise", "transfer", "sample-mismatch", "binarisation"], "5%"
)
"""The rates of false alarms that the thresholds of checks that test state, at most; other checks state facts."""
NOTES = ("zero-gradient", "averaging")
"""Checks whose flags are notes: true of sound fits too, so that no rate is stated."""
WHOLE = 2
"""The number of seeds with which every check looks at a canary; then only those that must raise their flags do."""
REFUSED = ("stochastic",)
"""Canaries whose model is refused, so that nothing is measured."""
RADII = {"half-moons": (0.05, 0.1), "digits": (0.1,)}
POSTERIORS: dict[str, tuple[str, dict[str, Any]]] = {"sgd": ("sgd", {}), "vi": ("bayes-by-backprop", {"draws": 10})}


def fitted(dataset: str, posterior: str) -> Callable[[int], Canary]:
    """A function from a seed to the sound case of a fit on a data set under sound attacks."""

    def made(seed: int) -> Canary:
        data = bb.dataset(dataset).load(seed=seed)
        name, parameters = POSTERIORS[posterior]
        network = bb.network("fc", hidden=(32, 32)).build(data)
        predictive = bb.fit(bb.posterior(name, **parameters), network, data, seed=seed)
        few = bb.Data(test=(data.test[0][:100], data.test[1][:100]), bounds=data.bounds, classes=data.classes)
        threats = tuple(bb.Threat(epsilon=epsilon) for epsilon in RADII[dataset])
        return Canary(f"{posterior}, {dataset}", (), predictive, few, threats, SOUND)

    return made


def cases() -> dict[str, Callable[[int], Canary]]:
    """The functions that make canaries and sound cases, by name."""
    fits = {f"{name}, {data}": fitted(data, name) for data in RADII for name in POSTERIORS}
    return {**CANARIES, **fits}


def audited(name: str, seed: int) -> Record:
    """What the audit of a case says; of a canary, after the first few seeds, what its own checks see alone."""
    started = time.process_time()
    canary = cases()[name](seed)
    whole = seed < WHOLE or not canary.checks or name in REFUSED
    if whole:
        audit = canary.audit(seed=seed)
        looks = {flag.name: flag.look for flag in audit.looked}
    else:
        case = canary.case(seed=seed)
        looks = {check: bb.check(check).look(case) for check in canary.checks}
    return {
        "case": name,
        "seed": seed,
        "whole": whole,
        "checks": canary.checks,
        "looked": list(looks),
        "fired": {check: look.text for check, look in looks.items() if look.fired},
        "seconds": time.process_time() - started,
    }


def records(seeds: int, only: list[str], kept: Path | None) -> list[Record]:
    """What the audits of all cases say. Those in the file `kept` are not made again."""
    known = [json.loads(line) for line in kept.read_text().splitlines()] if kept and kept.exists() else []
    wanted = [(name, seed) for seed in range(seeds) for name in only or cases()]
    for name, seed in wanted:
        if any((one["case"], one["seed"]) == (name, seed) for one in known):
            continue
        known.append(audited(name, seed))
        print(f"{name}, seed {seed}: {known[-1]['seconds']:.1f} CPU seconds", file=sys.stderr, flush=True)
        if kept:
            with kept.open("a") as file:
                file.write(json.dumps(known[-1]) + "\n")
    return [one for one in known if (one["case"], one["seed"]) in set(wanted)]


def rate(fired: int, looked: int) -> list[str]:
    """Two columns: a rate as a count, and its exact 95% interval in percent (Clopper and Pearson 1934)."""
    if not looked:
        return ["-", "-"]
    found = binomtest(fired, looked).proportion_ci(method="exact")
    return [f"{fired} of {looked}", f"{100 * found.low:.0f}-{100 * found.high:.0f}"]


def on_canaries(found: list[Record], flags: dict[str, str]) -> str:
    """The table of canaries: how often the flags that must be raised were, and which others were."""
    rows = []
    for name in dict.fromkeys(one["case"] for one in found if one["checks"]):
        mine = [one for one in found if one["case"] == name]
        for check in mine[0]["checks"]:
            others = {other for one in mine for other in one["fired"]} - set(mine[0]["checks"])
            listed = dict.fromkeys(flag for other, flag in flags.items() if other in others)
            fired = rate(sum(check in one["fired"] for one in mine), len(mine))
            rows.append([name, f"{flags[check]} {check}", *fired, " ".join(listed) or "none"])
    return table("Canaries", ["canary", "must be raised", "was raised", "95% interval, %", "others, in 2 seeds"], rows)


def on_sound_cases(found: list[Record], flags: dict[str, str]) -> str:
    """The table of sound cases: how often each flag was raised by mistake."""
    names = list(dict.fromkeys(one["case"] for one in found if not one["checks"]))
    rows = []
    for check, flag in flags.items():
        looked = {name: [one for one in found if one["case"] == name and check in one["looked"]] for name in names}
        fired = {name: sum(check in one["fired"] for one in each) for name, each in looked.items()}
        each = [f"{fired[name]} of {len(looked[name])}" if looked[name] else "-" for name in names]
        stated = "note" if check in NOTES else STATED.get(check, "0%")
        whole = rate(sum(fired.values()), sum(map(len, looked.values())))
        rows.append([f"{flag} {check}", stated, *whole, *each])
    return table("Sound cases", ["flag", "stated", "all", "95% interval, %", *names], rows)


def report(seeds: int, only: list[str], kept: Path | None) -> str:
    """Both tables in markdown, with every flag that was raised in a sound case, and the time."""
    from bnnbench.evidence.audit.looking import installed_checks

    flags = {name: check.flag for name, check in installed_checks().items()}
    found = records(seeds, only, kept)
    alarms = [
        f"- {one['case']}, seed {one['seed']}: {text}"
        for one in found
        if not one["checks"]
        for check, text in one["fired"].items()
        if check not in NOTES
    ]
    minutes = f"CPU minutes: {sum(one['seconds'] for one in found) / 60:.0f}."
    return "\n".join([on_canaries(found, flags), on_sound_cases(found, flags), *alarms, "", minutes])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=20, help="the number of seeds of each case")
    parser.add_argument("--only", action="append", default=[], metavar="CASE", help="audit this case; may be repeated")
    parser.add_argument("--kept", type=Path, metavar="FILE", help="the file that keeps what audits say, in json lines")
    options = parser.parse_args()
    print(f"{measuring.machine()}\n\n{report(options.seeds, options.only, options.kept)}")
