"""The numerics of ensembles of many draws: the choice of draws, batching, precision, and gradients."""
