"""The base of modes that look at torch's operations as they run."""

from __future__ import annotations

from torch.utils._python_dispatch import TorchDispatchMode


class Watch(TorchDispatchMode):
    """The base of modes that look at every operation of the calling thread, higher-order ones too."""

    supports_higher_order_operators = True

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """False, since torch would import its compiler, for a second, to keep it away from this class."""
        return False
