"""Defines the exceptions that this package raises.

::

    OpenDError
    ├── CaptureError    a capture cannot be read: not a capture, damaged, gone
    ├── KeyFileError    an RSA key or a key log cannot be used
    ├── BodyError       a message body is not what its protocol says
    ├── SchemaError     an unknown protocol, message or enum name was asked for
    └── FilterError     a --where expression does not parse

Decoding itself never raises: a fault in the traffic becomes a verdict, a gap or a note.  These exceptions are about
what the caller gave: files, keys, names, expressions.
"""

from __future__ import annotations

__all__ = ["BodyError", "CaptureError", "FilterError", "KeyFileError", "OpenDError", "SchemaError"]


class OpenDError(Exception):
    """Base of all exceptions of this package; its text is one line: what is wrong, where, and what to do."""


class CaptureError(OpenDError):
    """Raised when a capture file cannot be read, or not to its end."""


class KeyFileError(OpenDError):
    """Raised when an RSA key file or a key log cannot be read or used."""


class BodyError(OpenDError):
    """Raised when a message body does not parse as its protocol's message."""


class SchemaError(OpenDError):
    """Raised when no protocol, message, enum, column or path has the name that was asked for."""


class FilterError(OpenDError):
    """Raised when a filter expression does not parse; the text shows the place."""
