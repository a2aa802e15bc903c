"""Everything this package raises on purpose.

::

    OpenDError
    ├── CaptureError    a capture cannot be read: not a capture, damaged, gone
    ├── KeyFileError    an RSA key or a key log cannot be used
    ├── BodyError       a message body is not what its protocol says
    ├── SchemaError     an unknown protocol, message or enum name was asked for
    └── FilterError     a --where expression does not parse

Decoding itself never raises: whatever is wrong with the traffic becomes a verdict, a gap or a
note.  These are for what the *caller* handed in.
"""

from __future__ import annotations

__all__ = ["BodyError", "CaptureError", "FilterError", "KeyFileError", "OpenDError", "SchemaError"]


class OpenDError(Exception):
    """Root of the tree; its text is one line: what is wrong, where, and what to do."""


class CaptureError(OpenDError):
    """A capture file cannot be read, or not to its end."""


class KeyFileError(OpenDError):
    """An RSA key file or a key log cannot be read or used."""


class BodyError(OpenDError):
    """A message body does not parse as its protocol's message."""


class SchemaError(OpenDError):
    """No protocol, message or enum goes by the name that was asked for."""


class FilterError(OpenDError):
    """A filter expression does not parse; the text points at the place."""
