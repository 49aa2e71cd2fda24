"""How many images certificates prove, and in which time, beside what an attack leaves.

python speed/certificates.py [--quick]       (ten minutes, of which the fit of `numpyro-hmc` takes most)

Percent of all images, 784-128-10 on MNIST, in the linf norm, with one thread. `left` are images that PGD with the
objective `log-margin` leaves, so that the truth lies between it and the certificates. Data are read as
`bnnbench run` reads them.
"""

from __future__ import annotations

import sys
import time
from typing import Any

import measuring

import bnnbench as bb

POSTERIORS: dict[str, dict[str, Any]] = {
    "sgd": {"epochs": 5},
    "bayes-by-backprop": {"epochs": 5, "draws": 50, "prior_scale": 0.1},
    "numpyro-hmc": {
        "draws": 50,
        "warmup": 40,
        "prior_scale": 0.3,
        "leapfrog_steps": 30,
        "step_size": 0.002,
    },
}
CASES = (
    ("sgd", 500, (0.005, 0.01, 0.02, 0.05)),
    ("bayes-by-backprop", 100, (0.01, 0.02, 0.03, 0.05)),
    ("numpyro-hmc", 100, (0.005, 0.01, 0.02)),
)
"""Posterior, number of images, and radii."""
CERTIFICATES: dict[str, tuple[str, dict[str, Any]]] = {
    "interval": ("interval", {}),
    "per draw": ("crown", {"joint": False}),
    "joint": ("crown", {"cuts": 0}),
    "joint, cuts": ("crown", {}),
    "joint, ascent": ("crown", {"cuts": 0, "steps": 20}),
}
"""What is compared: the certificate and its parameters."""


def report(quick: bool) -> str:
    """The table in markdown: percent certified (CPU seconds), for each posterior, radius and certificate."""
    rows = []
    for posterior, images, radii in CASES[: 2 if quick else None]:
        data = bb.dataset("mnist", train_size=20_000 if posterior == "numpyro-hmc" else None).load(seed=0)
        network = bb.network("fc", hidden=(128,)).build(data)
        predictive = bb.fit(bb.posterior(posterior, **POSTERIORS[posterior]), network, data, seed=0)
        x, y = (part[: images // (4 if quick else 1)] for part in data.test)
        for epsilon in radii:
            threat, shown = bb.Threat(epsilon=epsilon), []
            for name, parameters in CERTIFICATES.values():
                started = time.process_time()
                proof = bb.certificate(name, **parameters).prove(predictive, range(len(predictive)), x, y, threat)
                seconds = time.process_time() - started
                shown.append(f"{100 * float(proof.certified.float().mean()):.1f} ({seconds:.1f})")
            attack = bb.attack("pgd", objective="log-margin", restarts=2)
            left = predictive.log_probs(attack(predictive, x, y, threat)).argmax(-1) == y
            rows.append([posterior, f"{epsilon:g}", *shown, f"{100 * float(left.float().mean()):.1f}"])
            print(" | ".join(rows[-1]), file=sys.stderr, flush=True)
    return measuring.table(
        "Certified images in percent (CPU seconds)", ["posterior", "radius", *CERTIFICATES, "left"], rows
    )


if __name__ == "__main__":
    print(f"{measuring.machine()}\n")
    print(report("--quick" in sys.argv))
