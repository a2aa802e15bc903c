"""Reads and writes key logs: text files with the AES keys of past connections, a line per connection."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from decoder.crypto.ciphers import SessionKey
from decoder.errors import KeyFileError

if TYPE_CHECKING:
    pass

__all__ = ["key_log_line", "read_key_log"]

_TAG = "OPEND_AES"


_MAX_KEY_LOG = 64 * 1024 * 1024


def key_log_line(key: SessionKey) -> str:
    """`key` as a line of a key log, without the line's end."""
    iv = "" if key.iv is None else f" {key.iv.hex()}"
    return f"{_TAG} {key.conn_id or 0} {key.key.hex()}{iv}"


def read_key_log(path: str | os.PathLike[str]) -> list[SessionKey]:
    """The entries of the key log at `path`; blank lines, comments (#) and lines of other tools are passed over.

    Raises KeyFileError if it cannot be read, or a line with our tag is malformed.
    """
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            text = file.read(_MAX_KEY_LOG)
    except OSError as error:
        raise KeyFileError(f"{os.fspath(path)}: cannot read the key log: {error.strerror}") from None
    entries = []
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split()
        if not words or words[0] != _TAG:
            continue
        try:
            conn_id = int(words[1])
            key = SessionKey(conn_id, bytes.fromhex(words[2]), bytes.fromhex(words[3]) if len(words) > 3 else None)
        except (IndexError, ValueError):
            key = None
        if key is None or len(words) > 4 or not key.usable or conn_id < 0:
            raise KeyFileError(
                f"{os.fspath(path)}:{number}: not a key log entry; expected: {_TAG} <connID> <key in hex> [<iv in hex>]"
            )
        entries.append(key)
    if not entries:
        raise KeyFileError(
            f"{os.fspath(path)}: no {_TAG} line in it; make a key log with: opendump keys CAPTURE -o FILE"
        )
    return entries
