"""The commands, put together; errors become one clear line and an exit code."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from bnnbench.cli import plan, plugins, replay, report, run, schema, show, store
from bnnbench.cli.printing import say, silence
from bnnbench.errors import BnnbenchError, ConfigError, clean

app = typer.Typer(
    help="Is this Bayesian neural network robust to adversarial attack, or was the attack just weak?",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("run")(run.run)
app.command("plan")(plan.plan)
app.command("report")(report.report)
app.command("show")(show.show)
app.command("schema")(schema.schema)
app.command("replay")(replay.replay)
app.add_typer(plugins.app, name="plugins")
app.add_typer(store.app, name="store")


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
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print it.")
    ] = False,
) -> None:
    if block:
        # The environment, so that worker processes see it too.
        known = os.environ.get("BNNBENCH_BLOCK", "")
        os.environ["BNNBENCH_BLOCK"] = ",".join([*filter(None, [known]), *block])


def run_app() -> int:
    """Run the command that `sys.argv` asks for and return the exit code."""
    command = typer.main.get_command(app)
    try:
        code = command.main(prog_name="bnnbench", standalone_mode=False) or 0
        sys.stdout.flush()
        return code
    except ConfigError as error:
        for problem in error.problems:
            say(clean(problem), sys.stderr)
    except BnnbenchError as error:
        say(f"bnnbench: {clean(' '.join(str(error).split()))}", sys.stderr)
    except (BrokenPipeError, SystemExit) as error:
        # The reader went away (`| head`), which the command line's own library makes an exit of: nothing is wrong, and
        # nothing more can be said.
        if not isinstance(error, BrokenPipeError) and not isinstance(error.__context__, BrokenPipeError):
            raise
        silence(sys.stdout)
        return 0
    except OSError as error:
        # A full disk, a folder that may not be written: the system's own words say it best.
        place = f"{error.filename}: " if error.filename else ""
        say(f"bnnbench: {place}{(error.strerror or str(error)).lower()}", sys.stderr)
    except Exception as error:
        # Usage errors of the command line know how to show themselves.
        if not hasattr(error, "exit_code") or not hasattr(error, "show"):
            raise
        error.show()
        return int(error.exit_code)
    return 2
