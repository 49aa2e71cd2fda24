"""bnnbench from a program of your own: fit a posterior, attack it, and use the pieces by themselves.

Run it:  python docs/embedding.py      (about half a minute; nothing is downloaded)
"""

import numpy as np
import torch

import bnnbench as bb

# Data of a registered data set; or bb.Data(train=(x, y), test=(x, y), bounds=(0, 1)) from arrays of your own.
data = bb.dataset("half-moons", noise=0.1).load(seed=0)

# A registered network; or any torch.nn.Module of your own, from inputs (N, *shape) to logits (N, classes).
network = bb.network("fc", hidden=(32, 32)).build(data)

# A fitted ensemble of 50 draws. The same seed gives what a benchmarks file gives at that seed, to the bit where threads
# and cores are the same; chains amplify rounding.
posterior = bb.posterior("numpyro-nuts", draws=50, warmup=50, max_tree_depth=5, prior_scale=1.0)
predictive = bb.fit(posterior, network, data, seed=0)
print(f"{len(predictive)} draws from {predictive.chains} chain(s)")

# Is it a posterior at all? The figures below are about these draws; the card says whether they stand for the method.
card = bb.posterior_card(predictive, data)
print(f"card: {card['level']} ({card['why']})")

# Attack it. The outcome keeps every image, so every figure can be recomputed from it.
for name, parameters in {"random-sign": {}, "fgsm": {}, "pgd": {"restarts": 3}}.items():
    attack = bb.attack(name, **parameters)
    outcome = bb.evaluate(predictive, attack, data, epsilon=0.05, images=500, seed=0)
    low, high = outcome.interval
    print(
        f"{name:12} clean {outcome.clean_accuracy:.3f}  robust {outcome.robust_accuracy:.3f} "
        f"[{low:.3f}, {high:.3f}]  softmax robustness {outcome.softmax_robustness:.3f}"
    )
    assert outcome.robust.shape == (500,)

# An attack by itself: tensors in, tensor out, the core's rules applied.
x, y = data.test[0][:100], data.test[1][:100]
x_adv = bb.attack("fgsm")(predictive, x, y, bb.Threat(epsilon=0.1), seed=0)
assert (x_adv - x).abs().max() <= 0.1 + 1e-6

# Objectives by name or instance; gradients streamed over the draws; log-probabilities as a module for other libraries.
pgd = bb.attack("pgd", steps=10, objective=bb.objective("log-margin"))
gradient = predictive.gradient(x, y, "expected-loss")
log_probs = predictive.as_module()(x)
print(f"norm of the expected loss gradient: {gradient.norm(dim=1).mean():.4f}")
assert torch.allclose(log_probs.exp().sum(-1), torch.ones(100), atol=1e-5)

# Draws from anywhere: name -> array of shape (draws, *weight).
rng = np.random.default_rng(0)
own = torch.nn.Sequential(torch.nn.Linear(2, 16), torch.nn.ReLU(), torch.nn.Linear(16, 2))
prior = bb.Predictive(own, {name: rng.normal(size=(20, *w.shape)).astype("f4") for name, w in own.state_dict().items()})
print(f"20 draws from the prior: {bb.evaluate(prior, pgd, data, epsilon=0.05).robust_accuracy:.3f} robust")
