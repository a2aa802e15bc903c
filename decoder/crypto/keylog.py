"""Reads and writes key logs: text files with the AES keys of past connections, a line per connection.

::

    OPEND_AES <connID, decimal> <hex of the key's bytes> [<hex of the IV's bytes>]
"""

from __future__ import annotations

import os

from decoder.crypto.ciphers import SessionKey
from decoder.errors import KeyFileError
from decoder.formatting.escape import escape

__all__ = ["key_log_line", "read_key_log"]

_TAG = "OPEND_AES"
_MAX_KEY_LOG = 64 * 1024 * 1024
"""Bytes read of one key log (half a million entries), so that a wrong file cannot fill the memory."""


def key_log_line(key: SessionKey) -> str:
    """Returns `key` as a line of a key log, without a line end."""
    iv = "" if key.iv is None else f" {key.iv.hex()}"
    return f"{_TAG} {key.conn_id or 0} {key.key.hex()}{iv}"


def read_key_log(path: str | os.PathLike[str]) -> list[SessionKey]:
    """Reads the entries of the key log at `path`, skipping blank lines, comments (#) and lines of other tools.

    Raises KeyFileError if the file cannot be read, has no entry, or has a malformed one.
    """
    name = escape(os.fspath(path))
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            text = file.read(_MAX_KEY_LOG)
    except OSError as error:
        raise KeyFileError(f"{name}: cannot read the key log: {error.strerror}") from None
    except ValueError:  # a NUL character
        raise KeyFileError(f"{name}: cannot read the key log: no such file") from None
    entries = []
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split()
        if not words or words[0] != _TAG:
            continue
        key = _entry(words)
        if key is None:
            raise KeyFileError(
                f"{name}:{number}: not a key log entry; expected: {_TAG} <connID> <key in hex> [<iv in hex>]"
            )
        entries.append(key)
    if not entries:
        raise KeyFileError(f"{name}: no {_TAG} line in it; make a key log with: opendump keys CAPTURE -o FILE")
    return entries


def _entry(words: list[str]) -> SessionKey | None:
    """Parses the words of one line; None if they are malformed."""
    if not 3 <= len(words) <= 4:
        return None
    try:
        conn_id = int(words[1])
        key = SessionKey(conn_id, bytes.fromhex(words[2]), bytes.fromhex(words[3]) if len(words) > 3 else None)
    except ValueError:
        return None
    return key if key.usable and conn_id >= 0 else None
