"""Keeps what is known at the end of a partition's captures, so that later ones can be added without decoding it again.

A checkpoint holds the open connections with the session keys that they use and the bytes that are no whole message
yet, requests that wait for an answer, and the ledgers: what `opendump stats` and `opendump orders` know.  RSA keys are
not in it.  It is plain data (`decoder.output.plain_state`), which can be read without running anything.
"""

from __future__ import annotations

import io
import pickle
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from decoder.errors import OpenDError
from decoder.output.plain_state import from_plain, to_plain

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["packed", "unpacked"]

_FORMAT = 1
"""Counted up when the form of checkpoints changes, beside the version of the package."""
_PROTOCOL = 5
"""Of pickle: the first that has bytearray, and the last that Python 3.10 knows."""


class _PlainUnpickler(pickle.Unpickler):
    """Reads numbers, texts, bytes and containers of them, and nothing else."""

    def find_class(self, module_name: str, global_name: str) -> Any:
        raise pickle.UnpicklingError(f"names {module_name}.{global_name}")

    def persistent_load(self, pid: Any) -> Any:
        raise pickle.UnpicklingError("names something else")


def packed(state: object, known: Mapping[str, object]) -> bytes:
    """Returns `state` as the content of a checkpoint, without the objects in `known`."""
    return pickle.dumps((_FORMAT, version("scapy-opend"), *to_plain(state, known)), _PROTOCOL)


def unpacked(content: bytes, known: Mapping[str, object]) -> Any:
    """Returns the state that `packed` was given; objects in `known` take the places of those that it was not.

    :raises OpenDError: if it was written by another version, or is damaged
    """
    try:
        form, made_by, *rest = _PlainUnpickler(io.BytesIO(content)).load()
        if (form, made_by) == (_FORMAT, version("scapy-opend")):
            data, classes = rest
            return from_plain(data, classes, known)
    except Exception as error:  # pickle raises whatever comes to it on bytes that it does not expect
        raise OpenDError(f"the checkpoint is damaged ({type(error).__name__})") from None
    raise OpenDError(f"the checkpoint was written by version {made_by!s:.20}, this is {version('scapy-opend')}")
