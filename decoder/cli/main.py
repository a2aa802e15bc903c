"""The command ``opendump``: a group that imports a command's module only when that command runs."""

from __future__ import annotations

import os
import sys
from importlib import import_module
from typing import IO, Any, NoReturn

import click

from decoder.cli.options import EXIT_INTERRUPTED, version_option
from decoder.cli.output_file import abandon_stdout, is_closed_pipe
from decoder.errors import OpenDError

__all__ = ["cli", "main"]

_COMMANDS = {
    "decode": "Print every message of a capture.",
    "top": "Show on a screen what happens now.",
    "orders": "Tell what became of every order.",
    "stats": "Count, time and judge what a capture holds.",
    "interfaces": "List the network interfaces that can be captured on.",
    "report": "Write one HTML file that shows a session.",
    "export": "Write a capture as tables: Parquet, CSV or JSON Lines.",
    "plan": "Show how an export of many captures would be divided.",
    "annotate": "Copy a capture with the messages as packet comments.",
    "rewrite": "Write the conversation again, in clear and without secrets.",
    "wireshark": "Give Wireshark what it needs to show messages by name.",
    "open": "Show the packets of messages in Wireshark.",
    "shell": "Open Scapy with a capture decoded.",
    "keys": "Harvest a key log from a capture that has its handshakes.",
    "schema": "Look up protocols, messages and enums.",
}


_OWN_OPTIONS = ("-h", "--help", "--version")
_CAPTURE_NAMES = (".pcap", ".pcapng", ".cap", ".dmp", ".gz", ".zst")


def _is_capture(name: str) -> bool:
    """Returns True for what is meant as a capture where a command is expected, whether it exists or not."""
    return name == "-" or os.path.exists(name) or name.lower().endswith(_CAPTURE_NAMES)


def _meant(name: str) -> str:
    """Returns the rest of a sentence about a command that does not exist: what may have been meant."""
    if name == "help":
        return ": give --help, after a command for its options"
    from difflib import get_close_matches  # takes a millisecond to import

    close = get_close_matches(name, _COMMANDS, n=1)
    return f"; did you mean {close[0]}?" if close else ", and no such file"


class _Failure(click.ClickException):
    def show(self, file: IO[Any] | None = None) -> None:
        click.echo(f"opendump: {self.message}", file=file, err=True)


class _LazyGroup(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        command: click.Command = getattr(import_module(f"decoder.cli.{cmd_name}"), cmd_name)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Finds the command; ``opendump FILE`` means ``opendump decode FILE``."""
        if args[0] not in _COMMANDS and _is_capture(args[0]):
            args = ["decode", *args]
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            raise click.UsageError(f"{error.message.rstrip('.')}{_meant(args[0])}", ctx) from None

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parses what stands before the command; where no command is named, options are those of decode."""
        if args and args[0].startswith("-") and args[0] not in _OWN_OPTIONS and _COMMANDS.keys().isdisjoint(args):
            args = ["decode", *args]
        return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except OpenDError as error:
            raise _Failure(str(error)) from None
        except OSError as error:
            # Only standard output can fail here: files are read and written where their errors get a name.
            abandon_stdout()
            if is_closed_pipe(error):  # its reader had enough
                ctx.exit(0)
            raise _Failure(f"standard output: cannot be written: {error.strerror or error}") from None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(_COMMANDS.items()))


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@version_option
def cli() -> None:
    """Examples:

    \b
      opendump decode day.pcapng                    every message on a line
      opendump decode day.pcapng --rsa-key rsa.pem  encrypted traffic
      opendump decode day.pcapng --where 'proto=Notify' -V
      opendump stats day.pcapng                     who, how much, how fast, what went wrong

    Decode the traffic between trading programs and a Futu/moomoo OpenD gateway (TCP port 11111).
    """


def main() -> NoReturn:
    """Runs the command line and exits: 0 done, 1 failed, 2 usage, 3 not verified (--strict), 130 interrupted."""
    try:
        code = cli.main(prog_name="opendump", standalone_mode=False)
    except OSError as error:  # of help and version, which click prints
        abandon_stdout()
        error_line = _Failure(f"standard output: cannot be written: {error.strerror or error}")
        error_line.show()
        code = error_line.exit_code
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except click.Abort:
        code = EXIT_INTERRUPTED
    sys.exit(code if isinstance(code, int) else 0)
