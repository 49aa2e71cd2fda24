"""Building blocks for authors of components. The bundled components use the same ones; all of them are stable.

    data sets     split, training_sample, test_sample          choose the points of a sample
                  checksum_of_file                             for the fingerprint of a data set that reads a file
                  training_generator, test_generator           numpy generators for data that are drawn
    posteriors    fresh_network, kept_buffers                  start from the template, return its buffers
                  check_gradient                               whether a network has a gradient in its weights
                  in_train_mode, in_eval_mode                  the modes of a network, whatever its `train` method is
                  BatchNormStatistics, recalibrated            statistics of batch norm for each draw
                  training_seeds, layers_seed, chain_seeds     uint32 seeds for the streams of a fit
                  member_seeds                                 the same for the members of an ensemble
                  joined                                       one `Draws` from those of several chains
                  PartMemory, PartState, NO_MEMORY             where a chain keeps its state, to go on from it
                  HamiltonianSampler, FixedLength, Chain       parameters and bookkeeping of Hamiltonian samplers
                  ChainLoop, Engine, Transition                the loop of such a chain around an engine; what it makes
                  Start, started, chain_texts                  how any chains start; the texts among their diagnostics
                  JaxNetwork, MODULES, FUNCTIONS, METHODS      run a torch network in JAX
                  asked_device, tf32_allowed                   what was asked of the device, for other libraries
    attacks       Maximising, Best                             an objective parameter; the best candidates so far
                  best_of_each                                 the best of several candidates of each image
                  GOALS                                        the names of all goals, for the property `goals`
                  per_image                                    values of images that broadcast over a batch
    certificates  traced, described_node                       the torch.fx graph of a network, names in messages
                  refuse_hooks, refuse_overwriting             what a graph does not show
                  independence, mixing                         whether draws are independent; R-hat and ESS of chains
                  last_that_holds                              where a condition on a number ceases to hold
    measures      metrics, wilson                              metrics of predictions; an interval of a proportion
                  paired_interval, mcnemar                     interval and test of the difference of paired proportions
                  across_seeds, holm                           test of a mean over seeds; the correction for many tests
                  measure_generator                            a torch generator for the random numbers of a measure

A data set of an author's own, for example:

    from bnnbench import Data, Dataset
    from bnnbench.authoring import split, test_sample, training_sample

    class Wine(Dataset):
        train_size: int | None = None

        def load(self, seed):
            x, y = ...                                          # arrays (N, 13), scaled to [0, 1], and (N,)
            train, test = split(x, y, test_share=0.25)
            return Data(train=training_sample(*train, self.train_size, seed), test=test)

Names are imported when they are first used, so that importing this module loads no framework. `JaxNetwork` and its
tables import torch and JAX: import them inside of methods.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bnnbench.authoring.batch_norm import BatchNormStatistics as BatchNormStatistics
    from bnnbench.authoring.batch_norm import recalibrated as recalibrated
    from bnnbench.authoring.best_iterate import Best as Best
    from bnnbench.authoring.best_iterate import best_of_each as best_of_each
    from bnnbench.authoring.chain_loop import ChainLoop as ChainLoop
    from bnnbench.authoring.chain_loop import Engine as Engine
    from bnnbench.authoring.chain_loop import Transition as Transition
    from bnnbench.authoring.chain_record import Chain as Chain
    from bnnbench.authoring.chain_record import chain_texts as chain_texts
    from bnnbench.authoring.hamiltonian import FixedLength as FixedLength
    from bnnbench.authoring.hamiltonian import HamiltonianSampler as HamiltonianSampler
    from bnnbench.authoring.jax_network import JaxNetwork as JaxNetwork
    from bnnbench.authoring.jax_tables import FUNCTIONS as FUNCTIONS
    from bnnbench.authoring.jax_tables import METHODS as METHODS
    from bnnbench.authoring.jax_tables import MODULES as MODULES
    from bnnbench.authoring.maximising import Maximising as Maximising
    from bnnbench.authoring.random_streams import chain_seeds as chain_seeds
    from bnnbench.authoring.random_streams import layers_seed as layers_seed
    from bnnbench.authoring.random_streams import measure_generator as measure_generator
    from bnnbench.authoring.random_streams import member_seeds as member_seeds
    from bnnbench.authoring.random_streams import test_generator as test_generator
    from bnnbench.authoring.random_streams import training_generator as training_generator
    from bnnbench.authoring.random_streams import training_seeds as training_seeds
    from bnnbench.authoring.samples import split as split
    from bnnbench.authoring.samples import test_sample as test_sample
    from bnnbench.authoring.samples import training_sample as training_sample
    from bnnbench.authoring.starts import Start as Start
    from bnnbench.authoring.starts import started as started
    from bnnbench.authoring.templates import check_gradient as check_gradient
    from bnnbench.authoring.templates import fresh_network as fresh_network
    from bnnbench.authoring.templates import kept_buffers as kept_buffers
    from bnnbench.authoring.tracing import described_node as described_node
    from bnnbench.authoring.tracing import refuse_hooks as refuse_hooks
    from bnnbench.authoring.tracing import refuse_overwriting as refuse_overwriting
    from bnnbench.authoring.tracing import traced as traced
    from bnnbench.core.broadcasting import per_image as per_image
    from bnnbench.core.chains import joined as joined
    from bnnbench.core.computing import asked_device as asked_device
    from bnnbench.core.computing import tf32_allowed as tf32_allowed
    from bnnbench.core.goals import GOALS as GOALS
    from bnnbench.core.independence import independence as independence
    from bnnbench.core.network_copy import in_eval_mode as in_eval_mode
    from bnnbench.core.network_copy import in_train_mode as in_train_mode
    from bnnbench.core.part_memory import NO_MEMORY as NO_MEMORY
    from bnnbench.core.part_memory import PartMemory as PartMemory
    from bnnbench.core.part_memory import PartState as PartState
    from bnnbench.core.user_code.file_sums import checksum_of_file as checksum_of_file
    from bnnbench.statistics import metrics as metrics
    from bnnbench.statistics.bisection import last_that_holds as last_that_holds
    from bnnbench.statistics.intervals import wilson as wilson
    from bnnbench.statistics.mixing import mixing as mixing
    from bnnbench.statistics.paired import holm as holm
    from bnnbench.statistics.paired import mcnemar as mcnemar
    from bnnbench.statistics.paired import mcnemar_more as mcnemar_more
    from bnnbench.statistics.paired import paired_interval as paired_interval
    from bnnbench.statistics.ranking import auroc_interval as auroc_interval
    from bnnbench.statistics.two_way import across_seeds as across_seeds

_NAMES_OF = {
    "authoring.batch_norm": ["BatchNormStatistics", "recalibrated"],
    "authoring.best_iterate": ["Best", "best_of_each"],
    "authoring.chain_loop": ["ChainLoop", "Engine", "Transition"],
    "authoring.chain_record": ["Chain", "chain_texts"],
    "authoring.hamiltonian": ["FixedLength", "HamiltonianSampler"],
    "authoring.jax_network": ["JaxNetwork"],
    "authoring.jax_tables": ["FUNCTIONS", "METHODS", "MODULES"],
    "authoring.maximising": ["Maximising"],
    "authoring.random_streams": [
        "chain_seeds",
        "layers_seed",
        "measure_generator",
        "member_seeds",
        "test_generator",
        "training_generator",
        "training_seeds",
    ],
    "authoring.samples": ["split", "test_sample", "training_sample"],
    "authoring.starts": ["Start", "started"],
    "authoring.templates": ["check_gradient", "fresh_network", "kept_buffers"],
    "authoring.tracing": ["described_node", "refuse_hooks", "refuse_overwriting", "traced"],
    "core.broadcasting": ["per_image"],
    "core.chains": ["joined"],
    "core.computing": ["asked_device", "tf32_allowed"],
    "core.goals": ["GOALS"],
    "core.independence": ["independence"],
    "core.user_code.file_sums": ["checksum_of_file"],
    "core.network_copy": ["in_eval_mode", "in_train_mode"],
    "core.part_memory": ["NO_MEMORY", "PartMemory", "PartState"],
    "statistics.bisection": ["last_that_holds"],
    "statistics.intervals": ["wilson"],
    "statistics.mixing": ["mixing"],
    "statistics.paired": ["holm", "mcnemar", "mcnemar_more", "paired_interval"],
    "statistics.ranking": ["auroc_interval"],
    "statistics.two_way": ["across_seeds"],
}
"""Public names by the module that defines them. `metrics` is a module itself."""
_MODULE_OF = {name: module for module, names in _NAMES_OF.items() for name in names}

__all__ = sorted([*_MODULE_OF, "metrics"])


def __getattr__(name: str) -> Any:
    value: Any
    if name == "metrics":
        value = importlib.import_module("bnnbench.statistics.metrics")
    elif name in _MODULE_OF:
        value = getattr(importlib.import_module(f"bnnbench.{_MODULE_OF[name]}"), name)
    else:
        raise AttributeError(f"module 'bnnbench.authoring' has no attribute '{name}'")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
