"""Adds hints to usage errors: options that other programs have, and what does the same here."""

from __future__ import annotations

import click

__all__ = ["HintingCommand"]

_OPTIONS = {
    "-r": "captures are given without an option, as in opendump decode FILE",
    "-w": "to write a file give -o FILE; to record a capture use tcpdump -w FILE or Wireshark",
    "-n": "addresses are never looked up, so -n is not needed",
    "-x": "to see every field of a message give -V",
    "-Y": "to choose messages give --where EXPR",
    "-f": "to choose messages give --where EXPR",
    "-T": "to choose the form of the output give --format jsonl or csv, with -e for single fields",
    "-v": "to see every field of a message give -V",
    "--limit": "to stop after some messages give -c COUNT",
    "--filter": "to choose messages give --where EXPR",
    "--key": "the RSA private key is given with --rsa-key PEM",
    "--json": "give --format jsonl",
    "--csv": "give --format csv",
}
"""Options of tcpdump, tshark and common habit, and what to give instead."""


class HintingCommand(click.Command):
    """A command whose errors about unknown options say what to give instead."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            hint = _OPTIONS.get(error.option_name)
            if hint is not None:
                raise click.UsageError(f"No such option: {error.option_name}. Hint: {hint}", ctx) from None
            raise
        except click.BadParameter as error:
            if isinstance(error, click.MissingParameter):
                raise
            if error.param is not None and error.param.name == "output_format" and "'json'" in error.message:
                raise click.UsageError(
                    f"{error.format_message()} Hint: give --format jsonl, an object per line", ctx
                ) from None
            raise
