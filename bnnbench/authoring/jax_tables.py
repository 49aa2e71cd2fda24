"""The tables of JAX forms with which `JaxNetwork` runs torch networks: layers, functions and tensor methods.

`bnnbench.authoring.jax_network` says how to add a form.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import torch
import torch.nn.functional as F
from torch import nn

from bnnbench.authoring import jax_layers as layers
from bnnbench.authoring import jax_normalisation as normalisation
from bnnbench.authoring.jax_recurrent import recurrent_module

MODULES: dict[type[nn.Module], Callable[..., Any]] = {
    nn.Linear: lambda m, get, x: layers.linear(x, get("weight"), get("bias") if m.bias is not None else None),
    nn.Conv2d: layers.conv2d_module,
    nn.BatchNorm1d: layers.batch_norm_module,
    nn.BatchNorm2d: layers.batch_norm_module,
    nn.LayerNorm: layers.layer_norm_module,
    nn.GroupNorm: normalisation.group_norm_module,
    nn.MaxPool2d: layers.max_pool_module,
    nn.AvgPool2d: layers.average_pool_module,
    nn.AdaptiveAvgPool2d: lambda m, get, x: layers.adaptive_average_pool(x, m.output_size),
    nn.Flatten: lambda m, get, x: layers.flatten(x, m.start_dim, m.end_dim),
    nn.Identity: lambda m, get, x: x,
    nn.Dropout: lambda m, get, x: x,  # networks run in eval mode
    nn.Dropout2d: lambda m, get, x: x,
    nn.ReLU: lambda m, get, x: jax.nn.relu(x),
    nn.LeakyReLU: lambda m, get, x: layers.leaky_relu(x, m.negative_slope),
    nn.ELU: lambda m, get, x: jax.nn.elu(x, m.alpha),
    nn.GELU: lambda m, get, x: layers.gelu(x, m.approximate),
    nn.SiLU: lambda m, get, x: jax.nn.silu(x),
    nn.Softplus: lambda m, get, x: layers.softplus(x, m.beta, m.threshold),
    nn.Tanh: lambda m, get, x: jnp.tanh(x),
    nn.Sigmoid: lambda m, get, x: jax.nn.sigmoid(x),
    nn.Softmax: lambda m, get, x: layers.softmax(x, m.dim),
    nn.LogSoftmax: lambda m, get, x: layers.log_softmax(x, m.dim),
    nn.LSTM: recurrent_module,
    nn.GRU: recurrent_module,
    nn.RNN: recurrent_module,
}
"""JAX forms of layers: class -> `form(layer, get, x)`. `get("weight")` is the array of the layer's own tensor `weight`.

A layer is looked up by its exact class, because a subclass may compute something else; torch.fx traces a subclass.
"""

FUNCTIONS: dict[Any, Callable[..., Any]] = {
    operator.add: operator.add,
    operator.sub: operator.sub,
    operator.mul: operator.mul,
    operator.truediv: operator.truediv,
    operator.neg: operator.neg,
    operator.pow: operator.pow,
    operator.matmul: operator.matmul,
    operator.getitem: operator.getitem,
    getattr: getattr,
    torch.add: layers.add,
    torch.sub: layers.subtract,
    torch.mul: operator.mul,
    torch.div: layers.divide,
    torch.matmul: operator.matmul,
    torch.cat: lambda tensors, dim=0: jnp.concatenate(tensors, dim),
    torch.flatten: layers.flatten,
    torch.reshape: layers.reshape,
    torch.mean: layers.mean,
    torch.sum: layers.total,
    torch.relu: jax.nn.relu,
    torch.tanh: jnp.tanh,
    torch.sigmoid: jax.nn.sigmoid,
    torch.sin: jnp.sin,
    torch.exp: jnp.exp,
    torch.softmax: layers.softmax,
    torch.log_softmax: layers.log_softmax,
    F.linear: layers.linear,
    F.conv2d: layers.conv2d,
    F.group_norm: normalisation.group_norm,
    F.max_pool2d: layers.max_pool,
    F.avg_pool2d: layers.average_pool,
    F.adaptive_avg_pool2d: layers.adaptive_average_pool,
    F.dropout: layers.dropout,
    F.relu: lambda x, inplace=False: jax.nn.relu(x),
    F.leaky_relu: lambda x, negative_slope=0.01, inplace=False: layers.leaky_relu(x, negative_slope),
    F.elu: lambda x, alpha=1.0, inplace=False: jax.nn.elu(x, alpha),
    F.gelu: lambda x, approximate="none": layers.gelu(x, approximate),
    F.softmax: layers.softmax,
    F.log_softmax: layers.log_softmax,
    F.silu: lambda x, inplace=False: jax.nn.silu(x),
    F.softplus: lambda x, beta=1.0, threshold=20.0: layers.softplus(x, beta, threshold),
}
"""JAX forms of functions and operators, which take the same arguments."""

METHODS: dict[str, Callable[..., Any]] = {
    "add": layers.add,
    "sub": layers.subtract,
    "mul": operator.mul,
    "div": layers.divide,
    "flatten": layers.flatten,
    "view": layers.reshape,
    "reshape": layers.reshape,
    "size": lambda x, dim=None: x.shape if dim is None else x.shape[dim],
    "mean": layers.mean,
    "sum": layers.total,
    "transpose": lambda x, dim0, dim1: jnp.swapaxes(x, dim0, dim1),
    "permute": lambda x, *axes: jnp.transpose(x, axes[0] if isinstance(axes[0], tuple | list) else axes),
    "unsqueeze": lambda x, dim: jnp.expand_dims(x, dim),
    "squeeze": layers.squeeze,
    "contiguous": lambda x, memory_format=None: x,
    "t": lambda x: x.T,
    "relu": jax.nn.relu,
    "tanh": jnp.tanh,
    "sigmoid": jax.nn.sigmoid,
    "softmax": layers.softmax,
    "log_softmax": layers.log_softmax,
}
"""JAX forms of tensor methods: name -> function of the tensor and the method's arguments."""
