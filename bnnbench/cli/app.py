"""The application: all commands, and the conversion of errors to one line and an exit code."""

from __future__ import annotations

import os
import sys
from typing import Annotated, Any

import typer

from bnnbench.cli import audit, compare, draws, plan, plugins, replay, report, run, schema, show, store
from bnnbench.cli.commands import Command
from bnnbench.cli.output import lost_output
from bnnbench.cli.printing import say
from bnnbench.errors import BnnbenchError, ConfigError, clean, message_of

app = typer.Typer(
    help="Is this Bayesian neural network robust to adversarial attack, or was the attack just weak?",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("run", cls=Command)(run.run)
app.command("plan", cls=Command)(plan.plan)
app.command("report", cls=Command)(report.report)
app.command("audit", cls=Command)(audit.audit)
app.command("compare", cls=Command)(compare.compare)
app.command("show", cls=Command)(show.show)
app.command("schema", cls=Command)(schema.schema)
app.command("replay", cls=Command)(replay.replay)
app.add_typer(plugins.app, name="plugins")
app.add_typer(store.app, name="store")
app.add_typer(draws.app, name="draws")


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        print(f"bnnbench {version('bnnbench')}")
        raise typer.Exit


@app.callback()
def _options(
    block: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Do not load this plugin or distribution; repeatable.")
    ] = None,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    if block:
        # In the environment the names also reach worker processes.
        known = os.environ.get("BNNBENCH_BLOCK", "")
        os.environ["BNNBENCH_BLOCK"] = ",".join([*filter(None, [known]), *block])
    if {"BNNBENCH_BLOCK", "BNNBENCH_PLUGINS"} & {*os.environ}:
        from bnnbench.plugins.loading import names_without_plugin

        for line in names_without_plugin():
            say(f"bnnbench: {clean(line)}", sys.stderr)


def run_app() -> int:
    """Run the command in `sys.argv` and return its exit code. Errors are printed to standard error on one line."""
    command = typer.main.get_command(app)
    try:
        code = command.main(prog_name="bnnbench", standalone_mode=False) or 0
        if lost := lost_output():  # A text of help, for instance.
            say(f"bnnbench: {lost}", sys.stderr)
        return 2 if lost else code
    except ConfigError as error:
        for problem in error.problems:
            say(clean(problem), sys.stderr)
    except BnnbenchError as error:
        say(f"bnnbench: {clean(' '.join(message_of(error).split()))}", sys.stderr)
    except OSError as error:
        # For example a full disk, or a folder without write permission: print the message of the operating system.
        place = f"{error.filename}: " if error.filename else ""
        say(f"bnnbench: {clean(f'{place}{(error.strerror or str(error)).lower()}')}", sys.stderr)
    except Exception as error:
        # Usage errors of the command line have a method that prints them.
        if not hasattr(error, "exit_code") or not hasattr(error, "show"):
            raise
        _reword(error)
        error.show()
        return int(error.exit_code)
    return 2


def _reword(error: Any) -> None:
    """Let a usage error that pydantic caused say what was given, without words about pydantic's own types."""
    from pydantic import ValidationError

    from bnnbench.plugins.described import refusals

    if isinstance(error.__cause__, ValidationError):
        error.message = refusals(error.__cause__, ())
