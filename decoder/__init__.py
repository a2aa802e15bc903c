"""Decode what trading programs and a Futu/moomoo OpenD gateway say to each other.

>>> import decoder
>>> for message in decoder.read("day.pcap", rsa_keys=["rsa.pem"]):  # doctest: +SKIP
...     print(message.time, message.direction, message.proto, message.body)

`read` decodes capture files, `decode` Scapy packets, `Decoder` packets that come from anywhere else.  All give
`Message` and `Gap` objects.  `orders` tells what became of every order, `stats` counts and judges.  `OpenD` and
`OpenDSession` are the Scapy layer and session; Scapy loads them with
``conf.exts.load("scapy-opend"); load_contrib("opend")``.  What is raised on purpose is an `OpenDError`.

Importing this package imports none of its modules: each name brings its own when it is first used, so that neither
Scapy nor protobuf is loaded for a program that does not need it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from decoder.crypto.keyring import KeyRing
    from decoder.engine.decoder import Decoder, read
    from decoder.errors import BodyError, CaptureError, FilterError, KeyFileError, OpenDError, SchemaError
    from decoder.limits import Limits
    from decoder.message import Gap, Message
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
    "decode",
    "orders",
    "read",
    "scapy_ext",
    "stats",
]

_DISTRIBUTION = "scapy-opend"
_HOMES = {
    "crypto.keyring": ("KeyRing",),
    "engine.decoder": ("Decoder", "read"),
    "errors": ("BodyError", "CaptureError", "FilterError", "KeyFileError", "OpenDError", "SchemaError"),
    "limits": ("Limits",),
    "message": ("Gap", "Message"),
    "scapy.layer": ("OpenD",),
    "scapy.session": ("OpenDSession", "decode"),
    "statistics.answers": ("orders", "stats"),
}
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
    return sorted({*globals(), *__all__})


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(_DISTRIBUTION)
    except PackageNotFoundError:  # run from a source tree that was never installed
        return "0+unknown"


def scapy_ext(ext: Any) -> None:
    """Register the extension; called by Scapy's ``conf.exts.load("scapy-opend")``.

    :param ext: the ``ScapyExt`` that Scapy hands over
    """
    from pathlib import Path

    ext.config(_DISTRIBUTION, _version())
    ext.register("opend", mode=ext.MODE.CONTRIB, path=Path(__file__).with_name("scapy") / "opend.py")
