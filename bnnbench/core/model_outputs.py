"""Turn what a model of a user returns into logits (N, K)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, get_args

from bnnbench.core.arrays import array_of, is_tensor, refuse_masked, stacked, strided, tensor_of_array
from bnnbench.core.network_outputs import Outputs, as_logits, check_meaning, described_output, named
from bnnbench.errors import NetworkError, one_line
from bnnbench.plugins.described import described

if TYPE_CHECKING:
    from torch import Tensor, nn

FLOOR = 87.0
"""Nats by which the logit of a class of probability zero lies below the largest: the range of float32's normal numbers.

Minus infinity, as a random forest gives for a class that no tree votes for, would make the objectives infinite.
"""


class LogitsOf:
    """Turns what a model returns into logits (N, K), by what is declared of it.

    What the outputs are is checked until a call had several images. Copies of a model share this object.

    Args:
        name: the model in messages.
        output: a function from what the model returns to an array (N, K), or None.
        outputs: what that array is declared to hold; None for logits without a declaration.
        classes: the number K, or None if it is not known.

    Attributes: `name`, `output` and `outputs` are the arguments.
    """

    def __init__(
        self, name: str, output: Callable[[Any], Any] | None, outputs: Outputs | None, classes: int | None = None
    ) -> None:
        self.name, self.output, self.outputs, self._classes = name, output, outputs, classes
        self._checked = False

    def __deepcopy__(self, memo: Any) -> LogitsOf:
        return self

    def scores(self, returned: Any, images: int) -> Tensor:
        """The array (N, K) in what a model returned for N images, as a tensor; minus infinity is made finite.

        Raises `NetworkError`, with a remedy, if it is something else.
        """
        import torch

        if self.output is not None:
            try:
                returned = self.output(returned)
            except Exception as error:
                raise NetworkError(
                    f"output= fails on what {self.name} returns, {described_output(returned)}: "
                    f"{type(error).__name__}: {one_line(str(error), 200)}"
                ) from error
        values = self._as_tensor(returned, images)
        self._check_shape(values, images)
        if not values.is_floating_point() or values.dtype in (torch.float16, torch.bfloat16):
            values = values.to(torch.float32)  # Logarithms in half precision would be coarse.
        # The logits of all other classes stay as they are, with their gradients.
        return torch.where(values == -torch.inf, values.detach().amax(-1, keepdim=True) - FLOOR, values)

    def logits(self, returned: Any, images: int) -> Tensor:
        """Logits (N, K) from what a model returned for N images."""
        values = self.scores(returned, images)
        if not self._checked:
            check_meaning(values, self.outputs, self.name)
            self._checked = len(values) > 1
        return as_logits(values, self.outputs)

    def after_forward(self, module: Any, inputs: Any, returned: Any) -> Tensor:
        """A forward hook of a module, which makes it return logits."""
        return self.logits(returned, len(inputs[0]))

    def after_network(self, module: Any, inputs: Any, returned: Any) -> Any:
        """The forward hook of a network that must return a tensor: anything else is left to `checked_logits`."""
        import torch

        if isinstance(returned, torch.Tensor) and returned.ndim == 2 and returned.is_floating_point():
            return self.logits(returned, len(returned))
        return returned

    def _as_tensor(self, returned: Any, images: int) -> Tensor:
        """The array in what a model returned as a tensor, with its graph."""
        argument, parts = f"the outputs of {self.name}", isinstance(returned, list | tuple)
        if parts and len(returned) == images and all(is_tensor(row) and row.ndim == 1 for row in returned):
            returned = stacked(returned)
        try:
            refuse_masked(returned, argument)
            if is_tensor(returned):
                return strided(returned, argument)
        except TypeError as error:
            raise NetworkError(str(error)) from None
        wrong = f"{self.name} returns {described_output(returned)}, not one array of scores (N, classes)"
        if isinstance(returned, Mapping | str | bytes) or returned is None or not hasattr(returned, "__len__"):
            raise NetworkError(f"{wrong}{self._remedy(returned)}")
        try:
            array = array_of(returned, argument)
        except (TypeError, ValueError) as error:
            told = str(error) if hasattr(returned, "shape") else f"{wrong}{self._remedy(returned)}"
            raise NetworkError(told) from error
        if array.ndim > 2 and parts:
            raise NetworkError(f"{wrong}{self._remedy(returned)}")
        return tensor_of_array(array)

    def _check_shape(self, values: Tensor, images: int) -> None:
        shape, hint = tuple(values.shape), ""
        if values.ndim == 2 and shape[0] == images and shape[1] > 1 and not values.is_complex():
            if self._classes is None or shape[1] == self._classes:
                return
            raise NetworkError(f"{self.name} gives {shape[1]} classes, not the {self._classes} of classes=")
        if shape in ((images,), (images, 1)):
            hint = f"; of two classes both are needed: output=lambda z: {self._both(values)}"
            if not values.is_floating_point():
                hint = "; these look like predicted labels, and attacks need the scores of all classes"
        raise NetworkError(
            f"{self.name} returns {values.dtype} of shape {shape} for {images} inputs, not scores ({images}, classes)"
            f"{hint}"
        )

    def _both(self, values: Tensor) -> str:
        """The scores of two classes, in code, from those of the second one, z."""
        first = {"logits": "0 * z", "probabilities": "1 - z", "log-probabilities": "torch.log1p(-z.exp())"}
        form = "torch.stack" if values.ndim == 1 else "torch.cat"
        return f"{form}([{first[self.outputs or 'logits']}, z], 1)"

    def _remedy(self, returned: Any) -> str:
        """The end of a message: the `output` that takes logits from what was returned, as far as it can be guessed."""
        if self.output is not None:
            return "; output= must give an array"
        access = _access(returned)
        return f"; take the logits from it: bnnbench.predictive(model, output=lambda out: out{access})"


def with_outputs(network: nn.Module, outputs: Outputs | None) -> nn.Module:
    """The network itself, changed so that it returns logits whatever its outputs are; None leaves it as it is.

    What turns its outputs into logits is kept as its attribute `bnnbench_reading`. Raises `ValueError` for an unknown
    word, and for a network whose outputs are declared to be something else already.
    """
    if outputs is None:
        return network
    if outputs not in get_args(Outputs):
        raise ValueError(f"outputs is {outputs!r}, not one of {', '.join(get_args(Outputs))}")
    declared = getattr(network, "bnnbench_reading", None)
    if declared is None:
        reading = LogitsOf(named(network), None, outputs)
        network.bnnbench_reading = reading  # type: ignore[assignment]
        network.register_forward_hook(reading.after_network)
    elif outputs not in ("logits", declared.outputs):  # Whatever was declared, it is logits now.
        raise ValueError(f"outputs is {outputs!r}, but the network has declared {declared.outputs or 'logits'!r}")
    return network


def check_output(output: Any) -> None:
    """Raise `TypeError` unless `output` is a function."""
    if not callable(output):
        raise TypeError(f"output is a function, such as lambda out: out.logits, not {described(output)}")


def _access(returned: Any) -> str:
    """How the logits are reached in what a model returns: `.logits`, `['logits']`, `[0]`."""
    if hasattr(returned, "logits"):
        return ".logits"
    if isinstance(returned, Mapping):
        names = [name for name in returned if str(name) in ("logits", "scores", "output", "outputs", "pred", "y_hat")]
        return f"[{next(iter(names or returned), 'logits')!r}]"
    return "[0]" if isinstance(returned, tuple | list) else ".logits"
