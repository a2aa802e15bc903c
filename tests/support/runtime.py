"""Tells which protobuf implementation runs the tests."""

from __future__ import annotations

import pytest
from google.protobuf.internal import api_implementation

needs_lenient_text = pytest.mark.skipif(
    api_implementation.Type() == "python", reason="the pure-Python protobuf refuses text that is not UTF-8"
)
