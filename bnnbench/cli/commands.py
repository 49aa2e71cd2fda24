"""The class of all commands: what holds while any of them runs."""

from __future__ import annotations

import os
import sys
from typing import Any

import typer
from typer.core import TyperCommand

from bnnbench.cli.output import lost_output, others_apart
from bnnbench.cli.printing import say
from bnnbench.errors import BnnbenchError, PluginError, message_of
from bnnbench.plugins.signals import signals_noted


class Command(TyperCommand):
    """A command whose output holds nothing that a plugin prints, and whose end no plugin decides."""

    def invoke(self, ctx: typer.Context) -> Any:  # type: ignore[override]
        """Run the command, and return what it returns.

        If its output could not be written, an exit code that it returns stays, because it is about outcomes that are
        kept. A command without one has then failed.

        Raises `BnnbenchError` if the working directory is gone, and `PluginError` if a plugin's code raises something
        that is no `Exception`: `SystemExit` would otherwise end the command with the plugin's exit code.
        """
        _check_folder()
        with signals_noted() as arrived, others_apart():
            try:
                code = super().invoke(ctx)
                lost = lost_output()
            except (EOFError, BrokenPipeError) as error:
                # Typer would take the one for the end of a prompt, and the other for the end of the output's reader.
                raise BnnbenchError(message_of(error)) from error
            except BaseException as error:
                if isinstance(error, Exception) or arrived:
                    raise
                raise PluginError(f"a plugin or a component raised {message_of(error)}") from error
        if lost:
            say(f"bnnbench: {lost}", sys.stderr)
        return 2 if lost and code is None else code


def _check_folder() -> None:
    """Raise `BnnbenchError` if the working directory is gone: relative paths, and many libraries, need it."""
    try:
        os.getcwd()
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise BnnbenchError(f"the working directory is gone ({reason}): run the command in another one") from error
