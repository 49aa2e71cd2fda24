"""Whether BlackJAX is installed."""

from __future__ import annotations

from importlib import metadata

from bnnbench import BnnbenchError


def require_blackjax() -> None:
    """Raise `BnnbenchError`, with the command that installs it, if BlackJAX is not installed or cannot be imported."""
    try:
        metadata.version("blackjax")
    except metadata.PackageNotFoundError:
        raise BnnbenchError("this posterior needs BlackJAX: pip install 'bnnbench[blackjax]'") from None
    try:
        import blackjax  # noqa: F401
    except Exception as error:
        reason = " ".join(str(error).split())
        raise BnnbenchError(f"BlackJAX cannot be imported: {type(error).__name__}: {reason}") from error
