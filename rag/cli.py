"""The command `cloister`: global options, errors and exit codes; subcommands on first use.

Subcommands come from the installed packages through the entry-point group `cloister.commands`,
so that `rag` imports neither `ingest` nor `web`, and a package of someone else can add its own.
Only the module of the command that runs is imported. The help lists all of them without
importing any: it takes the line of a known command from `SHORT_HELPS`.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NoReturn

import click

from rag import __version__

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

    from rag.errors import CloisterError

GROUP = "cloister.commands"
INTERRUPTED = 130
SHORT_HELPS = {
    "ask": "Answer a question from the documents, with citations.",
    "collections": "List the collections, and set how answers from them are generated.",
    "evaluate": "Measure retrieval, answers, citations and abstention on labelled questions.",
    "feedback": "List and export what people said of answers.",
    "ingest": "Add, sync, list and remove documents.",
    "models": "Choose, fetch, compare, change and tune the open models.",
    "questions": "Draft questions from the documents, and approve them.",
    "replay": "Ask a recorded question again, and tell whether the answer is the same.",
    "search": "Find passages in the documents.",
    "serve": "Serve the web pages and the REST interface.",
}

_ARGUMENTS = "cloister.arguments"


class Commands(click.Group):
    """A group whose commands are entry points, loaded when one is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names of all commands; nothing is imported."""
        return sorted({*super().list_commands(ctx), *_entry_points()})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return a command, or None when there is none of that name."""
        found = super().get_command(ctx, cmd_name)
        if found is None and cmd_name in (points := _entry_points()):
            found = points[cmd_name].load()
        return found

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """As click does; remembers the arguments for `prepare`."""
        ctx.meta[_ARGUMENTS] = list(args)
        return super().parse_args(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list of commands in the help, with a line for each known one."""
        rows = [(name, SHORT_HELPS.get(name, "")) for name in self.list_commands(ctx)]
        if rows:
            with formatter.section("Commands"):
                formatter.write_dl(rows)

    def main(self, args: Sequence[str] | None = None, *rest: Any, **extra: Any) -> NoReturn:
        """Run a command and end the process with its exit code.

        An error that Cloister can explain is a line on standard error and, with `--json`, one
        JSON line on standard output. Any other error is a bug and keeps its trace.
        """
        from rag.errors import DISK_ERRORS, CloisterError, storage_error

        arguments = list(sys.argv[1:] if args is None else args)
        extra["standalone_mode"] = False
        try:
            code = super().main(arguments, *rest, **extra)
        except CloisterError as error:
            _report(error, arguments)
            sys.exit(error.exit_code)
        except OSError as error:
            if error.errno not in DISK_ERRORS:
                raise
            full = storage_error(error)
            _report(full, arguments)
            sys.exit(full.exit_code)
        except click.ClickException as error:
            error.show()
            _say_json(arguments, "usage-error", error.format_message(), error.exit_code)
            sys.exit(error.exit_code)
        except (click.Abort, KeyboardInterrupt):
            click.echo("Interrupted.", err=True)
            sys.exit(INTERRUPTED)
        sys.exit(code if isinstance(code, int) else 0)


@click.group(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog='Example: cloister ask "How many days of leave may I carry over?"',
)
@click.option(
    "--home",
    metavar="FOLDER",
    help="Data directory. Default: CLOISTER_HOME, else data/ in the current folder.",
)
@click.version_option(__version__, prog_name="cloister")
@click.pass_context
def main(ctx: click.Context, home: str | None) -> None:
    """Answers questions about your private documents, with sources you can check."""
    from rag.home import be_private

    be_private()
    os.environ["HF_HUB_OFFLINE"] = "1"  # `models pull` alone asks a hub
    if home is not None:
        os.environ["CLOISTER_HOME"] = home  # so that child processes have the same
    if not {"-h", "--help"}.intersection(ctx.meta[_ARGUMENTS]):  # help needs no valid settings
        from rag.settings import load_settings

        ctx.obj = load_settings()


def _entry_points() -> dict[str, EntryPoint]:
    from importlib.metadata import entry_points

    return {point.name: point for point in entry_points(group=GROUP)}


def _report(error: CloisterError, arguments: Sequence[str]) -> None:
    from rag.printing import printable

    click.echo(f"Error: {printable(error)}", err=True)
    _say_json(arguments, error.code, str(error), error.exit_code)


def _say_json(arguments: Sequence[str], code: str, message: str, exit_code: int) -> None:
    if "--json" in arguments:
        from rag.printing import json_line

        line = {"error": {"code": code, "message": message, "exit_code": exit_code}}
        click.echo(json_line(line))


if __name__ == "__main__":
    main()
