"""Networks that are made by calling something of a user's code with arguments from the benchmarks file."""

from __future__ import annotations

from typing import Any, ClassVar, get_args

from pydantic import JsonValue

from bnnbench.core.network import Network
from bnnbench.core.network_outputs import Outputs


class CalledNetwork(Network):
    """The base of networks that are a class, a function or a module, and not a component."""

    not_in_identity: ClassVar[frozenset[str]] = frozenset({"outputs"})

    name: str = ""
    """The class or function; with dots for what is inside of a class."""
    arguments: dict[str, JsonValue] = {}
    """Keyword arguments of the class or function."""
    outputs: Outputs | None = None
    """What the network returns; by default logits or log-probabilities."""

    @classmethod
    def parameters_from(cls, place: dict[str, str], written: dict[str, Any]) -> dict[str, Any]:
        """The parameters for an entry of a benchmarks file, whose parameters are those of the class or function.

        `place` says where that is found. `outputs` with one of the words of `Outputs` says what the network returns;
        any other value of it is an argument.
        """
        arguments = dict(written)
        declared = {"outputs": arguments.pop("outputs")} if arguments.get("outputs") in get_args(Outputs) else {}
        return {**place, **declared, "arguments": arguments}

    def with_outputs(self, fingerprint: str) -> str:
        """The fingerprint of code, with what the network is declared to return."""
        return " ".join(filter(None, [fingerprint, self.outputs]))
