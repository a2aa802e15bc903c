"""Decodes the traffic between trading programs and a Futu/moomoo OpenD gateway.

>>> import decoder
>>> for message in decoder.messages("day.pcap", rsa_keys=["rsa.pem"]):  # doctest: +SKIP
...     print(message.datetime, message.direction, message.proto, message.body)

`messages`      decodes capture files
`read`          the same, and yields a `Gap` wherever bytes are missing
`capture_live`  the same while messages pass on a network interface
`decode`        decodes Scapy packets
`Decoder`       decodes packets from any other source, one by one
`Message`       one message: ``help(decoder.Message)`` lists its attributes
`KeyRing`       RSA keys and key logs for a `Decoder`
`Limits`        bounds of memory and work
`orders`        tells what became of every order
`tables`        makes ``pyarrow`` tables of a capture, and `frame` a data frame of pandas
`stats`         counts connections and protocols, and lists findings
`OpenDSession`  the Scapy session, and `OpenD` the layer: ``conf.exts.load("scapy-opend"); load_contrib("opend")``
`OpenDError`    base class of what this package raises; `decoder.errors` has the tree

Importing this package imports none of its modules: a name loads its module at the first access, so that a program
that needs neither Scapy nor protobuf does not load them.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from decoder.crypto.keyring import KeyRing
    from decoder.engine.decoder import Decoder
    from decoder.engine.live import capture_live
    from decoder.engine.read import messages, read
    from decoder.errors import BodyError, CaptureError, FilterError, KeyFileError, OpenDError, SchemaError
    from decoder.limits import Limits
    from decoder.message import Gap, Message
    from decoder.output.frames import frame, tables
    from decoder.scapy.layer import OpenD
    from decoder.scapy.session import OpenDSession, decode
    from decoder.statistics.answers import orders, stats

    __version__: str

__all__ = [
    "BodyError",
    "CaptureError",
    "Decoder",
    "FilterError",
    "Gap",
    "KeyFileError",
    "KeyRing",
    "Limits",
    "Message",
    "OpenD",
    "OpenDError",
    "OpenDSession",
    "SchemaError",
    "__version__",
    "capture_live",
    "decode",
    "frame",
    "messages",
    "orders",
    "read",
    "scapy_ext",
    "stats",
    "tables",
]

_DISTRIBUTION = "scapy-opend"
_HOMES = {
    "crypto.keyring": ("KeyRing",),
    "engine.decoder": ("Decoder",),
    "engine.live": ("capture_live",),
    "engine.read": ("messages", "read"),
    "errors": ("BodyError", "CaptureError", "FilterError", "KeyFileError", "OpenDError", "SchemaError"),
    "limits": ("Limits",),
    "message": ("Gap", "Message"),
    "output.frames": ("frame", "tables"),
    "scapy.layer": ("OpenD",),
    "scapy.session": ("OpenDSession", "decode"),
    "statistics.answers": ("orders", "stats"),
}
_LONG = frozenset(("OpenD", *(name for name in _HOMES["errors"] if name != "OpenDError")))
"""Names that `dir` omits: help() prints what they inherit from Scapy and Exception, a thousand lines."""
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        value: Any = _version()
    elif name in _HOME_OF:
        value = getattr(import_module(f"{__name__}.{_HOME_OF[name]}"), name)
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [name for name in __all__ if name not in _LONG]


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(_DISTRIBUTION)
    except PackageNotFoundError:  # run from a source tree that was never installed
        return "0+unknown"


def scapy_ext(ext: Any) -> None:
    """Registers the extension; called by Scapy's ``conf.exts.load("scapy-opend")``.

    :param ext: the ``ScapyExt`` that Scapy hands over
    """
    from pathlib import Path

    ext.config(_DISTRIBUTION, _version())
    ext.register("opend", mode=ext.MODE.CONTRIB, path=Path(__file__).with_name("scapy") / "opend.py")
