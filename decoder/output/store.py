"""Keeps the files of a dataset: in a directory, or in an object store through fsspec (``s3://…``, extra ``s3``).

A file is written under a temporary name on this machine's side first, and appears under its own name as a whole: in a
directory it is renamed, in an object store it is uploaded.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from secrets import token_hex
from typing import Any, BinaryIO

import orjson

from decoder.errors import OpenDError
from decoder.formatting.escape import escape

__all__ = ["NEXT", "STATE", "Directory", "ObjectStore", "Store", "is_url", "store_at"]

STATE = "_opendump"
"""Directory for temporary files and for what is complete; readers of datasets pass over names with an underscore."""

NEXT = f"{STATE}/next"
"""Directory for what an addition writes, until it is complete."""


class Directory:
    """Keeps files in a directory.

    :raises OpenDError: from every method, if it cannot be used
    """

    def __init__(self, place: str) -> None:
        self.place = place
        self._state = Path(place, STATE)

    def begin(self) -> bool:
        """Makes it; returns True if it is empty."""
        with self._told("used"):
            self._state.mkdir(parents=True, exist_ok=True)
            return not any(entry != self._state for entry in Path(self.place).iterdir()) and not any(
                self._state.iterdir()
            )

    def temporary(self, *, private: bool) -> tuple[str, BinaryIO]:
        """Opens a new temporary file, which others can read unless it is `private`."""
        mode = 0o600 if private else 0o666
        path = str(self._state / f"{token_hex(8)}.part")
        with self._told("written"):
            self._state.mkdir(parents=True, exist_ok=True)
            return path, open(path, "xb", opener=lambda name, flags: os.open(name, flags, mode))

    def publish(self, temporary: str, name: str) -> None:
        """Gives a temporary file, which is complete, its name in the dataset."""
        final = Path(self.place, name)
        with self._told("written"):
            final.parent.mkdir(parents=True, exist_ok=True)
            os.replace(temporary, final)

    def write(self, name: str, content: dict[str, Any]) -> None:
        """Writes JSON to a file, which appears when it is complete."""
        self.save(name, _json(content), private=False)

    def save(self, name: str, content: bytes, *, private: bool) -> None:
        """Writes a file, which appears when it is complete; only its owner can read it if it is `private`."""
        temporary, file = self.temporary(private=private)
        with self._told("written"), file:
            file.write(content)
        self.publish(temporary, name)

    def read(self, name: str) -> dict[str, Any] | None:
        """Returns what `write` wrote; None if there is nothing."""
        content = self.load(name)
        return None if content is None else _parsed(content)

    def load(self, name: str) -> bytes | None:
        """Returns the content of a file; None if there is none."""
        try:
            return Path(self.place, name).read_bytes()
        except OSError:
            return None

    def move(self, name: str, to: str) -> None:
        """Gives a file another name, if it has not got it yet."""
        if Path(self.place, name).exists():
            self.publish(str(Path(self.place, name)), to)

    def remove(self, name: str) -> None:
        """Removes a file, or a directory with all that is in it, if it is there; and what is empty then."""
        path = Path(self.place, name)
        with self._told("written"):
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
        with suppress(OSError):
            os.removedirs(path.parent)

    def clean(self) -> None:
        """Removes what workers left that were killed."""
        for temporary in self._state.glob("*.part"):
            with suppress(OSError):
                temporary.unlink()

    @contextmanager
    def _told(self, what: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            reason = error.strerror or escape(str(error), 200)
            raise OpenDError(f"{escape(self.place)}: cannot be {what}: {reason}") from None


class ObjectStore:
    """Keeps files as objects; temporary ones are on the machine that makes them.

    :raises OpenDError: from every method, if it cannot be used
    """

    def __init__(self, place: str) -> None:
        self.place = place
        try:
            import fsspec

            self._files, self._root = fsspec.url_to_fs(place, use_listings_cache=False)
        except ImportError:
            raise OpenDError(
                f"{escape(place)}: needs a library for this store: pip install 'scapy-opend[s3]' for s3://, here and on"
                " the workers"
            ) from None
        except Exception as error:
            raise self._error("used", error) from None

    def begin(self) -> bool:
        """Returns True if there are no objects yet."""
        with self._told("used"):
            return not self._files.find(self._root, maxdepth=None)

    def temporary(self, *, private: bool) -> tuple[str, BinaryIO]:
        """Opens a new temporary file, of this user only."""
        with self._told("written"):
            handle, path = tempfile.mkstemp(prefix="opendump-", suffix=".part")
            return path, open(handle, "wb")

    def publish(self, temporary: str, name: str) -> None:
        """Uploads a temporary file, which is complete, under its name in the dataset."""
        with self._told("written"):
            self._files.put_file(temporary, f"{self._root}/{name}")
            os.unlink(temporary)

    def write(self, name: str, content: dict[str, Any]) -> None:
        """Writes JSON to an object."""
        self.save(name, _json(content), private=False)

    def save(self, name: str, content: bytes, *, private: bool) -> None:
        """Writes an object; who can read it is decided by the bucket."""
        with self._told("written"):
            self._files.pipe_file(f"{self._root}/{name}", content)

    def read(self, name: str) -> dict[str, Any] | None:
        """Returns what `write` wrote; None if there is nothing."""
        content = self.load(name)
        return None if content is None else _parsed(content)

    def load(self, name: str) -> bytes | None:
        """Returns the content of an object; None if there is none."""
        with self._told("read"):
            try:
                content: bytes = self._files.cat_file(f"{self._root}/{name}")
            except FileNotFoundError:
                return None
            return content

    def move(self, name: str, to: str) -> None:
        """Gives an object another name, by a copy within the store, if it has not got it yet."""
        with self._told("written"), suppress(FileNotFoundError):
            self._files.mv(f"{self._root}/{name}", f"{self._root}/{to}")

    def remove(self, name: str) -> None:
        """Removes an object, or all whose names begin with this one and a slash, if there are any."""
        with self._told("written"), suppress(FileNotFoundError):
            self._files.rm(f"{self._root}/{name}", recursive=True)

    def clean(self) -> None:
        """Has nothing to remove: what a killed worker left is among the temporary files of its machine."""

    @contextmanager
    def _told(self, what: str) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # each library has its own; they have no common base
            raise self._error(what, error) from None

    def _error(self, what: str, error: Exception) -> OpenDError:
        return OpenDError(f"{escape(self.place)}: cannot be {what}: {escape(str(error) or type(error).__name__, 200)}")


Store = Directory | ObjectStore


def is_url(place: str) -> bool:
    """Returns True for the address of an object store."""
    return "://" in place


def store_at(place: str) -> Store:
    """Returns the store at a path or address."""
    return ObjectStore(place) if is_url(place) else Directory(place)


def _json(content: dict[str, Any]) -> bytes:
    return orjson.dumps(content, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS)


def _parsed(content: bytes) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = orjson.loads(content)
    except ValueError:
        return None
    return found
