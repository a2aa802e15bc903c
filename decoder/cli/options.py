"""Defines the options that several commands take, and turns them into one `Options` object."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import wraps
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeVar, overload

import click

from decoder.cli.completion import complete_filter
from decoder.core import CORE

if TYPE_CHECKING:
    from decoder.crypto.keyring import KeyRing
    from decoder.limits import Limits
    from decoder.message import Gap, Message

__all__ = [
    "EXIT_FAILED",
    "EXIT_INTERRUPTED",
    "EXIT_NOT_VERIFIED",
    "Color",
    "DurationType",
    "Filter",
    "Options",
    "Size",
    "captures_argument",
    "checked_options",
    "color_option",
    "common_options",
    "output_option",
    "output_options",
    "use_color",
    "version_option",
]

EXIT_FAILED = 1
"""Exit code: an input could not be read, or held no gateway traffic; or the output could not be written."""
EXIT_NOT_VERIFIED = 3
"""Exit code with ``--strict``: a message was not verified."""
EXIT_INTERRUPTED = 130
"""Exit code after Ctrl-C, as shells report it."""

Command = TypeVar("Command", bound=Callable[..., Any])
Color = Literal["auto", "always", "never"]


class Filter(Protocol):
    """Selects messages and gaps, as ``--where``, ``--from`` and ``--to`` ask for it."""

    def match(self, item: Message | Gap) -> bool:
        """Returns True for a message or gap that is wanted."""


@dataclass(frozen=True)
class Options:
    """Holds the common options, checked."""

    ports: tuple[int | str, ...] | Literal["auto"]
    rsa_keys: tuple[str, ...]
    keylogs: tuple[str, ...]
    show_secrets: bool
    where: Filter | None
    """Filter that ``--where``, ``--from`` and ``--to`` make together; None if none of them was given."""
    strict: bool
    limits: Limits
    color: Color
    dedup: bool = False
    """True if a conversation that is seen on two address pairs counts once."""
    utc: bool = False
    """True if times for people are in UTC instead of local time."""

    def inputs(self, captures: Iterable[str] = ()) -> list[str]:
        """Returns the paths of all files that are read; an output must not replace one of them."""
        return [*captures, *self.rsa_keys, *self.keylogs]

    def key_ring(self) -> KeyRing:
        """Returns the keys that were given; without any, the Python SDK's public sample key if that SDK is installed.

        Asks for a pass phrase on a terminal.  Raises KeyFileError.
        """
        from decoder.crypto.keyring import KeyRing

        ring = KeyRing(self.rsa_keys, self.keylogs, self._passphrase())
        if not self.rsa_keys and not self.keylogs:
            ring.use_sample_key()
        return ring

    def remember_passphrase(self) -> None:
        """Asks for the pass phrase now, if it has to be asked for: once for this process and those it starts."""
        passphrase = self._passphrase()
        if passphrase is not None:
            os.environ["OPENDUMP_RSA_PASSPHRASE"] = passphrase

    def _passphrase(self) -> str | None:
        given = os.environ.get("OPENDUMP_RSA_PASSPHRASE")
        encrypted = next(filter(_is_encrypted, self.rsa_keys), None)
        if given is None and encrypted is not None and sys.stdin is not None and sys.stdin.isatty():
            answer: str = click.prompt(f"Pass phrase of {encrypted}", hide_input=True, err=True)
            return answer
        return given


def _is_encrypted(path: str) -> bool:
    try:
        with open(path, "rb") as file:
            return b"ENCRYPTED" in file.read(65_536)
    except OSError:
        return False  # KeyRing says what is wrong with it


class _Port(click.ParamType):  # type: ignore[type-arg]
    name = "port"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int | str:
        if value == "auto" or (str(value).isdecimal() and 0 < int(value) < 65_536):
            return value if value == "auto" else int(value)
        return self.fail(f"{value!r} is neither a port (1 to 65535) nor auto", param, ctx)


def _key_paths(ctx: click.Context, param: click.Parameter, value: tuple[str, ...]) -> tuple[str, ...]:
    """Refuses a key or a key log given instead of its file, without repeating it: messages end up in logs."""
    for path in value:
        if not path:
            raise click.BadParameter(_EMPTY, ctx, param)
        if (
            "-----BEGIN" in path
            or path.startswith("OPEND_AES ")
            or (_KEY_MATERIAL.fullmatch(path) and not os.path.exists(path))
        ):
            raise click.BadParameter("give the path of the key file, not the key itself", ctx, param)
    return value


_EMPTY = "a name is empty: is a variable of the shell not set?"
_KEY_MATERIAL = re.compile(r"[A-Za-z0-9+/=\s]{32,}")
"""Base64 or hexadecimal, as keys are written; a path of such characters alone would have to exist."""


class Size(click.ParamType):  # type: ignore[type-arg]
    """Reads a number of bytes: 200M, 2G; at least 1M."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        match = re.fullmatch(r"([0-9]{1,12})\s*([kmgt]?)(?:i?b)?", str(value).strip(), re.IGNORECASE)
        size = int(match[1]) * 1024 ** " kmgt".index(match[2].lower() or " ") if match else 0
        if size < 1024 * 1024:
            return self.fail(f"{value!r} is not a size of at least 1M, such as 200M or 2G", param, ctx)
        return size


class DurationType(click.ParamType):  # type: ignore[type-arg]
    """Reads a duration such as ``10s``, ``500ms`` or ``2m``; gives nanoseconds.  A bare number is seconds."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        match = re.fullmatch(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)\s*(ms|s|m|h|)", str(value).strip(), re.IGNORECASE)
        duration = float(match[1]) * _NANOSECONDS[match[2].lower()] if match else 0
        if not duration:
            return self.fail(f"{value!r} is not a duration such as 10s, 500ms or 2m", param, ctx)
        return int(duration)


_NANOSECONDS = {"ms": 10**6, "": 10**9, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}

color_option = click.option(
    "--color",
    type=click.Choice(["auto", "always", "never"]),
    default="auto",
    help="Colour the output; auto: on a terminal, or on standard output if FORCE_COLOR is set; not if NO_COLOR is.",
)
version_option = click.version_option(
    package_name="scapy-opend", prog_name="opendump", message=f"%(prog)s, version %(version)s ({CORE} core)"
)

_OPTIONS = {
    "ports": click.option(
        "--port",
        "ports",
        metavar="N|auto",
        type=_Port(),
        multiple=True,
        help="A gateway's TCP port, instead of 11111; auto finds gateways by their first message. Repeatable.",
    ),
    "rsa_keys": click.option(
        "--rsa-key",
        "rsa_keys",
        metavar="PEM",
        type=click.Path(),
        multiple=True,
        callback=_key_paths,
        envvar="OPENDUMP_RSA_KEY",
        help="The RSA private key that client and OpenD share (OPENDUMP_RSA_KEY). For an encrypted key file the pass "
        "phrase is asked for, or taken from OPENDUMP_RSA_PASSPHRASE. Repeatable.",
    ),
    "keylogs": click.option(
        "--keylog",
        "keylogs",
        metavar="FILE",
        type=click.Path(),
        multiple=True,
        callback=_key_paths,
        help="A key log, as `opendump keys` writes it, for connections whose start is missing. Repeatable.",
    ),
    "show_secrets": click.option(
        "--show-secrets", is_flag=True, help="Show keys, passwords and codes instead of [redacted]."
    ),
    "where": click.option(
        "--where",
        metavar="EXPR",
        shell_complete=complete_filter,
        help="Only messages for which this holds, e.g. 'symbol=HK.00700 and ret_type!=RET_OK'.",
    ),
    "start": click.option(
        "--from",
        "start",
        metavar="TIME",
        help="Only messages from this time on: 10:00, '2026-11-22 16:20:02', with Z or +08:00 unless local.",
    ),
    "end": click.option(
        "--to", "end", metavar="TIME", help="Only messages up to this time; 10:15 includes its minute."
    ),
    "utc": click.option("--utc", is_flag=True, help="Times are UTC instead of local time, shown and given."),
    "strict": click.option("--strict", is_flag=True, help="Exit with 3 if any message was not verified."),
    "max_memory": click.option(
        "--max-memory",
        metavar="SIZE",
        type=Size(),
        help="Bytes that all connections together may buffer, e.g. 200M (default 256M).",
    ),
    "dedup": click.option(
        "--dedup", is_flag=True, help="Count a conversation once that is seen on two address pairs (a proxy, DNAT)."
    ),
    "color": color_option,
}


@overload
def common_options(command: Command) -> Command: ...
@overload
def common_options(*, without: tuple[str, ...]) -> Callable[[Command], Command]: ...
def common_options(command: Any = None, *, without: tuple[str, ...] = ()) -> Any:
    """Adds the common options to a command, which gets them as one keyword argument, ``options``.

    `without` names those that the command could not honour: ``@common_options(without=("color",))``.
    """
    if command is None:
        return lambda decorated: _with_options(decorated, without)
    return _with_options(command, without)


def _with_options(command: Command, without: tuple[str, ...]) -> Command:
    @wraps(command)
    def with_options(*args: Any, **kwargs: Any) -> Any:
        values = {name: kwargs.pop(name, None) for name in _OPTIONS}
        return command(*args, options=checked_options(values), **kwargs)

    decorated: Any = version_option(with_options)
    for name, option in reversed(_OPTIONS.items()):
        if name not in without:
            decorated = option(decorated)
    return decorated  # type: ignore[no-any-return]


def checked_options(values: dict[str, Any]) -> Options:
    """Returns the options of a command by its parameters, other ones among them.

    Raises click.UsageError for a filter or a time that is not understood.
    """
    from decoder.limits import Limits

    values = {name: values.get(name) for name in _OPTIONS}
    limits, ports, utc = Limits(), values["ports"], bool(values["utc"])
    if values["max_memory"] is not None:
        limits = limits.with_memory(values["max_memory"])
    return Options(
        ports="auto" if set(ports) == {"auto"} else ports or (11111,),
        rsa_keys=values["rsa_keys"],
        keylogs=values["keylogs"],
        show_secrets=bool(values["show_secrets"]),
        where=_filter(values["where"], values["start"], values["end"], utc),
        strict=bool(values["strict"]),
        limits=limits,
        color=values["color"] or "auto",
        dedup=bool(values["dedup"]),
        utc=utc,
    )


def _filter(where: str | None, start: str | None, end: str | None, utc: bool) -> Filter | None:
    if where is None and start is None and end is None:
        return None
    from decoder.errors import FilterError
    from decoder.filter.parser import compile_filter, time_filter

    hint = "'--where'"
    try:
        compiled = None if where is None else compile_filter(where, utc=utc)
        hint = "'--from' / '--to'"
        return compiled if start is end is None else time_filter(compiled, start, end, utc=utc)
    except FilterError as error:
        raise click.BadParameter(str(error), param_hint=hint) from None


output_option = click.option(
    "-o",
    "--output",
    metavar="FILE",
    type=click.Path(dir_okay=False, readable=False),
    help="Write to FILE instead of standard output (-). It gets its name when it is complete.",
)
"""Adds ``-o``, for commands that never write secrets."""


def output_options(command: Command) -> Command:
    """Adds ``-o`` and ``--force`` to a command, which gets them as ``output`` and ``force``, meant for `OutputFile`.

    ``--force`` is for commands that take ``--show-secrets``: only secrets are not written over an existing file.
    """
    force = click.option(
        "--force", is_flag=True, help="With --show-secrets: replace FILE if it exists. No other user can read it."
    )
    return output_option(force(command))


@overload
def captures_argument(command: Command) -> Command: ...
@overload
def captures_argument(*, required: bool) -> Callable[[Command], Command]: ...
def captures_argument(command: Any = None, *, required: bool = True) -> Any:
    """Adds ``CAPTURE...``: paths, and ``-`` (once) for standard input."""
    argument = click.argument(
        "captures", metavar="CAPTURE...", nargs=-1, required=required, type=click.Path(), callback=_captures
    )
    return argument if command is None else argument(command)


def _captures(ctx: click.Context, param: click.Parameter, value: tuple[str, ...]) -> tuple[str, ...]:
    if "" in value:
        raise click.BadParameter(_EMPTY, ctx, param)
    if value.count("-") > 1:
        raise click.BadParameter("standard input (-) can be read only once", ctx, param)
    return value


def use_color(color: Color, *, terminal: bool, file: bool = False) -> bool:
    """Returns True if output is to be coloured (https://no-color.org, https://force-color.org).

    FORCE_COLOR is about standard output: a `file` that was named is coloured only where ``--color always`` is given.
    """
    if color == "auto":
        obeys = terminal and os.environ.get("TERM") != "dumb"
        forced = bool(os.environ.get("FORCE_COLOR")) and not file
        return (obeys or forced) and not os.environ.get("NO_COLOR")
    return color == "always"
