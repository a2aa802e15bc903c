"""Replaces ids, names and remarks by stand-ins of the same length and type, the same for equal values.

The stand-ins of one run come from a key that is made for it and forgotten: nobody can tell the original without the
table (`Pseudonyms.table`).  Different values of one length get different stand-ins, so that joins still work, and
the number 123456 becomes the same digits as the text "FD123456".
"""

from __future__ import annotations

import re
from functools import lru_cache
from hashlib import blake2b
from secrets import token_bytes

__all__ = ["Pseudonyms"]

_ROUNDS = 8
"""Rounds of the Feistel network; four are enough against an observer of few values (Luby and Rackoff)."""
_BLOCK = 32
"""Characters that are permuted together: arithmetic on longer texts would take quadratic time."""
_CACHED = 1 << 16
"""Values whose stand-ins are remembered: an order id comes back with every push."""
_MAX_TABLE = 1_000_000
"""Pairs of the table that are kept."""
_ID_IN_TEXT = re.compile(r"(?<![\w.])[1-9][0-9]{5,18}(?!\w|\.[0-9])")
"""A number in a sentence that can be an id: six digits or more, not part of a symbol or a price."""
_NUMBER = re.compile(r"(?<![0-9])([1-9][0-9]{5,18})(?![0-9])")
"""Digits in a text that can be an id."""
_ALPHABETS = tuple(
    "".join(map(chr, range(*bounds)))
    # ASCII digits, small and capital letters; then letters of 2, 3 and 4 bytes in UTF-8.
    for bounds in ((48, 58), (97, 123), (65, 91), (0xC0, 0x100), (0x4E00, 0x9FA6), (0x20000, 0x2A6D7))
)
_SIGNED_MAX = 2**63 - 1


class Pseudonyms:
    """Makes the stand-ins of one run.

    :param keep_table: remember which value became which
    """

    def __init__(self, *, keep_table: bool = False, key: bytes | None = None) -> None:
        self._key = token_bytes(32) if key is None else key
        self.table: dict[tuple[str, str], str] | None = {} if keep_table else None
        """Kind and value, and its stand-in."""
        self.table_is_full = False
        self._of_text = lru_cache(_CACHED)(self._text)
        self._of_number = lru_cache(_CACHED)(self._number)

    def number(self, value: int, kind: str) -> int:
        """Returns the stand-in of a number: as many digits, 0 stays."""
        found = self._of_number(abs(value))
        if value:
            self._remember(kind, str(abs(value)), str(found))
        return found if value >= 0 else -found

    def text(self, value: str | bytes, kind: str) -> str:
        """Returns the stand-in of a text: letters become letters, digits digits, everything else in ASCII stays."""
        plain = value.decode("utf-8", "replace") if isinstance(value, bytes) else value
        found = self._of_text(plain)
        if plain:
            self._remember(kind, plain, found)
        return found

    def sentence(self, value: str | bytes) -> str:
        """Returns a sentence of the gateway with stand-ins for the ids in it."""
        plain = value.decode("utf-8", "replace") if isinstance(value, bytes) else value
        return _ID_IN_TEXT.sub(lambda match: str(self.number(int(match[0]), "text")), plain)

    def _remember(self, kind: str, value: str, stand_in: str) -> None:
        if self.table is not None:
            if len(self.table) < _MAX_TABLE:
                self.table[kind, value] = stand_in
            else:
                self.table_is_full = True

    def _number(self, value: int) -> int:
        low, high = _range_of(value)
        return low + self._permuted(value - low, high - low + 1, b"")

    def _text(self, value: str) -> str:
        # An id in a text becomes what it becomes as a number: FD5000000001 goes with 5000000001.
        parts = _NUMBER.split(value)
        parts[1::2] = [str(self._of_number(int(digits))) for digits in parts[1::2]]
        parts[::2] = [self._words(words) for words in parts[::2]]
        return "".join(parts)

    def _words(self, value: str) -> str:
        out: list[str] = []
        before = b""
        for start in range(0, len(value), _BLOCK):
            block = value[start : start + _BLOCK]
            out.append(self._block(block, before))
            before = blake2b(before + block.encode("utf-8", "surrogatepass"), digest_size=16).digest()
        return "".join(out)

    def _block(self, block: str, before: bytes) -> str:
        alphabets = [_alphabet_of(char) for char in block]
        number, size = 0, 1
        for char, alphabet in zip(block, alphabets, strict=True):
            if alphabet:
                place = alphabet.find(char)
                number = number * len(alphabet) + (place if place >= 0 else ord(char) % len(alphabet))
                size *= len(alphabet)
        number = self._permuted(number, size, before)
        out = []
        for char, alphabet in zip(reversed(block), reversed(alphabets), strict=True):
            if alphabet:
                number, place = divmod(number, len(alphabet))
                char = alphabet[place]
            out.append(char)
        return "".join(reversed(out))

    def _permuted(self, value: int, size: int, before: bytes) -> int:
        """A keyed permutation of the numbers below `size`: a Feistel network, repeated until the result is below it."""
        if size < 2:
            return value
        half = ((size - 1).bit_length() + 1) // 2
        mask, width = (1 << half) - 1, (half + 7) // 8
        person = size.to_bytes((size.bit_length() + 7) // 8, "big") + before
        while True:
            left, right = value >> half, value & mask
            for number in range(_ROUNDS):
                data = bytes((number,)) + right.to_bytes(width, "big") + person
                mixed = int.from_bytes(blake2b(data, key=self._key, digest_size=min(width, 64)).digest(), "big")
                left, right = right, left ^ (mixed & mask)
            value = left << half | right
            if value < size:
                return value


def _range_of(value: int) -> tuple[int, int]:
    """The numbers that can stand for `value`: as many digits, and as many bits where the type may be signed."""
    if value == 0:
        return 0, 0
    low = 10 ** (len(str(value)) - 1)
    high = min(low * 10 - 1, 2**64 - 1)
    if low <= _SIGNED_MAX < high:
        return (low, _SIGNED_MAX) if value <= _SIGNED_MAX else (_SIGNED_MAX + 1, high)
    return low, high


def _alphabet_of(char: str) -> str:
    """The letters that may stand for `char`; none for punctuation."""
    if char.isascii():
        return next((alphabet for alphabet in _ALPHABETS[:3] if char in alphabet), "")
    return _ALPHABETS[3] if char < "\u0800" else _ALPHABETS[4] if char < "\U00010000" else _ALPHABETS[5]
