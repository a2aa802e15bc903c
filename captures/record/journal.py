"""What one end wrote down: a line per message, in the order in which that end sent or received them."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any


@dataclass
class Entry:
    """One message as one end saw it.

    ``wire_sha1`` is that of the body as it went over the wire, ``sha1`` that of the plaintext. An end that could not
    read a message leaves ``plaintext`` and ``body`` empty and says why in ``error``.
    """

    client: str
    direction: str
    proto_id: int
    serial_no: int
    kind: str
    format: str
    encryption: str
    wire_sha1: str
    sha1: str | None
    plaintext: str | None
    body: dict[str, Any] | None
    time_ns: int
    error: str | None = None
    header_error: list[Any] | None = None  # code and text in the header of a WebSocket reply


class Journal:
    """Collects entries; safe to use from several threads."""

    def __init__(self) -> None:
        self._entries: list[Entry] = []
        self._lock = threading.Lock()

    def add(self, entry: Entry) -> None:
        with self._lock:
            self._entries.append(entry)

    def __len__(self) -> int:
        return len(self._entries)

    def save(self, path: Path) -> None:
        with self._lock, path.open("w", encoding="utf-8") as file:
            for entry in self._entries:
                file.write(json.dumps(asdict(entry), ensure_ascii=False) + "\n")


def load(path: Path) -> list[Entry]:
    with path.open(encoding="utf-8") as file:
        return [Entry(**json.loads(line)) for line in file]


def sha1_hex(data: bytes) -> str:
    return hashlib.sha1(data).hexdigest()


def endpoint(address: tuple[Any, ...]) -> str:
    """``127.0.0.1:50112`` or ``[::1]:50112``."""
    host, port = address[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def now() -> int:
    return time.time_ns()
