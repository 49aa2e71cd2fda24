"""Use bnnbench from Python: fit a posterior, attack it, and use single components.

Run it:  python docs/embedding.py      (about half a minute; nothing is downloaded)
"""

import numpy as np
import torch

import bnnbench as bb

# The data of a registered data set. For your own arrays: bb.Data(train=(x, y), test=(x, y), bounds=(0, 1)).
data = bb.dataset("half-moons", noise=0.1).load(seed=0)

# A registered network. Any torch.nn.Module from inputs (N, *shape) to logits (N, classes) can be used instead.
network = bb.network("fc", hidden=(32, 32)).build(data)

# A fitted ensemble of 50 draws. The same seed gives the same draws as in a run of a benchmarks file, bit by bit if the
# threads and cores are the same. (With others, results round differently, and chains amplify rounding.)
posterior = bb.posterior("numpyro-nuts", draws=50, warmup=50, max_tree_depth=5, prior_scale=1.0)
predictive = bb.fit(posterior, network, data, seed=0)
print(f"{len(predictive)} draws from {predictive.chains} chain(s)")

# The posterior card judges whether the draws represent the posterior. The figures below hold for these draws alone.
card = bb.posterior_card(predictive, data)
print(f"card: {card['level']} ({card['why']})")

# Attack it. The outcome holds the results of every image, from which all figures are computed.
for name, parameters in {"random-sign": {}, "fgsm": {}, "pgd": {"restarts": 3}}.items():
    attack = bb.attack(name, **parameters)
    outcome = bb.evaluate(predictive, attack, data, epsilon=0.05, images=500, seed=0)
    low, high = outcome.interval
    print(
        f"{name:12} clean {outcome.clean_accuracy:.3f}  robust {outcome.robust_accuracy:.3f} "
        f"[{low:.3f}, {high:.3f}]  softmax robustness {outcome.softmax_robustness:.3f}"
    )
    assert outcome.robust.shape == (500,)

# Call an attack directly: it takes tensors and returns a tensor, and the core checks its rules.
x, y = data.test[0][:100], data.test[1][:100]
x_adv = bb.attack("fgsm")(predictive, x, y, bb.Threat(epsilon=0.1), seed=0)
assert (x_adv - x).abs().max() <= 0.1 + 1e-6

# An objective is given by name or as an instance. Gradients need no memory for all draws at once. `as_module` gives a
# torch module for other libraries.
pgd = bb.attack("pgd", steps=10, objective=bb.objective("log-margin"))
gradient = predictive.gradient(x, y, "expected-loss")
log_probs = predictive.as_module()(x)
print(f"norm of the expected loss gradient: {gradient.norm(dim=1).mean():.4f}")
assert torch.allclose(log_probs.exp().sum(-1), torch.ones(100), atol=1e-5)

# An ensemble from draws of any origin: name -> array of shape (draws, *weight).
rng = np.random.default_rng(0)
module = torch.nn.Sequential(torch.nn.Linear(2, 16), torch.nn.ReLU(), torch.nn.Linear(16, 2))
weights = {name: rng.normal(size=(20, *tensor.shape)).astype("f4") for name, tensor in module.state_dict().items()}
prior = bb.Predictive(module, weights)
print(f"20 draws from the prior: {bb.evaluate(prior, pgd, data, epsilon=0.05).robust_accuracy:.3f} robust")
