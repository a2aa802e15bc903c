"""The recordings under captures/ and what the two ends logged (captures/README.md)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

CAPTURES = Path(__file__).resolve().parents[2] / "captures"
DEMO_KEY = CAPTURES / "demo_rsa_key.pem"


@dataclass(frozen=True)
class Recording:
    """A capture, what opens it, and its expectation."""

    file: str

    @property
    def path(self) -> Path:
        return CAPTURES / self.file

    @property
    def name(self) -> str:
        return self.file.partition(".")[0]

    @property
    def rsa_keys(self) -> list[Path]:
        """The keys that open it; the sample key is the one inside the installed SDK."""
        if self.name != "sample-key":
            return [DEMO_KEY]
        import importlib.util

        spec = importlib.util.find_spec("futu")
        folders = spec.submodule_search_locations if spec is not None else None
        if not folders:
            import pytest

            pytest.skip("futu-api is not installed")
        return [Path(folders[0]) / "common" / "conn_key.txt"]

    @property
    def keylog(self) -> list[Path]:
        path = CAPTURES / f"{self.name}.keylog"
        return [path] if path.exists() else []

    @property
    def expected(self) -> list[dict[str, Any]]:
        """What the ends logged, in the order in which the messages were sent."""
        return _expected(self.name)

    @property
    def port(self) -> int:
        """The gateway's."""
        return {"websocket": 33333, "websocket-deflate": 33333, "websocket-framed": 44444}.get(self.name, 11111)

    @property
    def clock_ns(self) -> int:
        """The grain of its time stamps."""
        return 1 if self.name in ("ipv6", "nano") else 1_000


@cache
def _expected(name: str) -> list[dict[str, Any]]:
    text = (CAPTURES / f"{name}.expected.jsonl").read_text("utf-8")
    return [json.loads(line) for line in text.splitlines()]


_ALL = [
    Recording(path.name) for path in sorted(CAPTURES.iterdir()) if path.name.endswith((".pcap", ".pcapng", ".pcap.gz"))
]
RECORDINGS = [recording for recording in _ALL if not recording.name.startswith("websocket")]
"""Those of the API port."""
WEBSOCKET_RECORDINGS = [recording for recording in _ALL if recording.name.startswith("websocket")]
"""Those of a WebSocket port."""
