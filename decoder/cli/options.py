"""The options that every decoding command takes, and what they come to."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeVar

import click

if TYPE_CHECKING:
    from decoder.crypto.keyring import KeyRing
    from decoder.limits import Limits
    from decoder.message import Gap, Message

__all__ = [
    "EXIT_FAILED",
    "EXIT_INTERRUPTED",
    "EXIT_NOT_VERIFIED",
    "Filter",
    "Options",
    "captures_argument",
    "color_option",
    "common_options",
    "use_color",
    "version_option",
]

EXIT_FAILED = 1
"""An input could not be read, or held no gateway traffic."""
EXIT_NOT_VERIFIED = 3
"""With ``--strict``: a message was not verified."""
EXIT_INTERRUPTED = 130

Command = TypeVar("Command", bound=Callable[..., Any])
Color = Literal["auto", "always", "never"]


class Filter(Protocol):
    """What `decoder.filter.parser.compile_filter` makes of ``--where``."""

    def match(self, item: Message | Gap) -> bool:
        """Whether a message or gap is wanted."""


@dataclass(frozen=True)
class Options:
    """The common options, checked."""

    ports: tuple[int | str, ...] | Literal["auto"]
    rsa_keys: tuple[str, ...]
    keylogs: tuple[str, ...]
    show_secrets: bool
    where: Filter | None
    strict: bool
    limits: Limits
    color: Color
    dedup: bool = False
    """True if a conversation that is seen on two address pairs counts once."""

    def key_ring(self) -> KeyRing:
        """The keys that were given; without any, the Python SDK's public sample key if that SDK is installed.

        Asks for a pass phrase on a terminal. Raises KeyFileError.
        """
        from decoder.crypto.keyring import KeyRing

        ring = KeyRing(self.rsa_keys, self.keylogs, self._passphrase())
        if not self.rsa_keys and not self.keylogs:
            ring.use_sample_key()
        return ring

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


class _Size(click.ParamType):  # type: ignore[type-arg]
    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        match = re.fullmatch(r"([0-9]{1,12})\s*([kmgt]?)(?:i?b)?", str(value).strip(), re.IGNORECASE)
        size = int(match[1]) * 1024 ** " kmgt".index(match[2].lower() or " ") if match else 0
        if size < 1024 * 1024:
            return self.fail(f"{value!r} is not a size of at least 1M, such as 200M or 2G", param, ctx)
        return size


def _filter(ctx: click.Context, param: click.Parameter, value: str | None) -> Filter | None:
    if value is None:
        return None
    from decoder.errors import FilterError
    from decoder.filter.parser import compile_filter

    try:
        compiled: Filter = compile_filter(value)
    except FilterError as error:
        raise click.BadParameter(str(error), ctx, param) from None
    return compiled


color_option = click.option(
    "--color",
    type=click.Choice(["auto", "always", "never"]),
    default="auto",
    help="Colour the output; auto: on a terminal, unless NO_COLOR is set.",
)
version_option = click.version_option(package_name="scapy-opend", prog_name="opendump")

_OPTIONS = (
    click.option(
        "--port",
        "ports",
        metavar="N|auto",
        type=_Port(),
        multiple=True,
        help="A gateway's TCP port, instead of 11111; auto finds gateways by their first message. Repeatable.",
    ),
    click.option(
        "--rsa-key",
        "rsa_keys",
        metavar="PEM",
        type=click.Path(),
        multiple=True,
        envvar="OPENDUMP_RSA_KEY",
        help="The RSA private key that client and OpenD share (OPENDUMP_RSA_KEY). For an encrypted key file the pass "
        "phrase is asked for, or taken from OPENDUMP_RSA_PASSPHRASE. Repeatable.",
    ),
    click.option(
        "--keylog",
        "keylogs",
        metavar="FILE",
        type=click.Path(),
        multiple=True,
        help="A key log, as `opendump keys` writes it, for connections whose start is missing. Repeatable.",
    ),
    click.option("--show-secrets", is_flag=True, help="Show keys, passwords and codes instead of [redacted]."),
    click.option(
        "--where",
        metavar="EXPR",
        callback=_filter,
        help="Only messages for which this holds, e.g. 'proto=Trd_* and ret_type!=RET_OK'.",
    ),
    click.option("--strict", is_flag=True, help="Exit with 3 if any message was not verified."),
    click.option(
        "--max-memory",
        metavar="SIZE",
        type=_Size(),
        help="Bytes that all connections together may buffer, e.g. 200M (default 256M).",
    ),
    click.option(
        "--dedup", is_flag=True, help="Count a conversation once that is seen on two address pairs (a proxy, DNAT)."
    ),
    color_option,
    version_option,
)


def common_options(command: Command) -> Command:
    """Add the common options to a command, which gets them as one keyword argument, ``options``."""

    @wraps(command)
    def with_options(
        *args: Any,
        ports: tuple[int | str, ...],
        rsa_keys: tuple[str, ...],
        keylogs: tuple[str, ...],
        show_secrets: bool,
        where: Filter | None,
        strict: bool,
        max_memory: int | None,
        dedup: bool,
        color: Color,
        **kwargs: Any,
    ) -> Any:
        from decoder.limits import Limits

        limits = Limits() if max_memory is None else Limits().with_memory(max_memory)
        chosen: tuple[int | str, ...] | Literal["auto"] = ports or (11111,)
        if set(ports) == {"auto"}:
            chosen = "auto"
        options = Options(chosen, rsa_keys, keylogs, show_secrets, where, strict, limits, color, dedup)
        return command(*args, options=options, **kwargs)

    decorated: Any = with_options
    for option in reversed(_OPTIONS):
        decorated = option(decorated)
    return decorated  # type: ignore[no-any-return]


def captures_argument(command: Command) -> Command:
    """Add ``CAPTURE...``: paths, and ``-`` (once) for standard input."""
    return click.argument("captures", metavar="CAPTURE...", nargs=-1, required=True, callback=_captures)(command)


def _captures(ctx: click.Context, param: click.Parameter, value: tuple[str, ...]) -> tuple[str, ...]:
    if value.count("-") > 1:
        raise click.BadParameter("standard input (-) can be read only once", ctx, param)
    return value


def use_color(color: Color, terminal: bool) -> bool:
    """Whether to colour output that goes to a terminal or not (https://no-color.org)."""
    return color == "always" or (color == "auto" and terminal and not os.environ.get("NO_COLOR"))
