"""Writes the manual page of `opendump` from the help texts: ``python tests/tools/man_page.py build/opendump.1``."""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import click

from decoder.cli.main import cli

_TAIL = r"""
.SH ENVIRONMENT
.TP
.B OPENDUMP_RSA_KEY
Key files for \-\-rsa\-key, separated as in PATH.
.TP
.B OPENDUMP_RSA_PASSPHRASE
The pass phrase of an encrypted key file.
.TP
.BR NO_COLOR ", " FORCE_COLOR
Never, or always (files given with \-o excepted), colour the output, unless \-\-color says otherwise.
.SH EXIT STATUS
.TP
.B 0
The capture was decoded.
.TP
.B 1
An input could not be read, the output could not be written, or there was no gateway traffic.
.TP
.B 2
The command line was wrong.
.TP
.B 3
With \-\-strict: a message was not verified.
.TP
.B 130
Interrupted.
"""


def page() -> str:
    """Returns the page in the man macros of roff."""
    context = click.Context(cli, info_name="opendump")
    lines = [
        f'.TH OPENDUMP 1 "" "scapy-opend {version("scapy-opend")}" "User Commands"',
        ".SH NAME",
        r"opendump \- decode what a trading program and a Futu/moomoo OpenD gateway said",
        ".SH SYNOPSIS",
        ".B opendump",
        "COMMAND [OPTIONS] CAPTURE...",
        ".SH DESCRIPTION",
        *_text(cli),
        ".SH COMMANDS",
    ]
    for name in cli.list_commands(context):
        command = cli.get_command(context, name)
        assert command is not None
        lines += [f".SS {_escaped(name)}", *_text(command), *_options(command, context)]
    return "\n".join(lines) + _TAIL


def _text(command: click.Command) -> Iterator[str]:
    """Yields the help text; what stands after a backspace character keeps its lines."""
    for paragraph in re.split(r"\n\n+", inspect.cleandoc(command.help or "")):
        verbatim = paragraph.startswith("\b")
        yield ".PP"
        if verbatim:
            yield ".nf"
        yield from (_escaped(line) for line in paragraph.lstrip("\b\n").splitlines())
        if verbatim:
            yield ".fi"


def _options(command: click.Command, parent: click.Context) -> Iterator[str]:
    context = click.Context(command, info_name=command.name, parent=parent)
    for param in command.get_params(context):
        record = param.get_help_record(context)
        if record is not None:
            names, text = record
            yield from (".TP", f".B {_escaped(names)}", _escaped(re.sub(r"\s+", " ", text)))


def _escaped(text: str) -> str:
    """Returns `text` without a meaning for roff: backslashes, dashes, and a dot or quote that begins a line."""
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return f"\\&{text}" if text[:1] in ".'" else text


def main() -> None:
    target = Path(sys.argv[1] if len(sys.argv) > 1 else "build/opendump.1")
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(page(), encoding="utf-8")
    print(f"{target}: man -l {target}")


if __name__ == "__main__":
    main()
