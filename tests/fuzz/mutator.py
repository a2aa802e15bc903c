"""Damage at random: for machines on which atheris does not run, and for the short run among the tests."""

from __future__ import annotations

from random import Random

_NUMBERS = (b"\0", b"\xff", b"\x7f", b"\x80", b"\0\0", b"\xff\xff", b"\xff\xff\xff\xff", b"\0\0\0\x80")


def damaged(rng: Random, data: bytes, other: bytes, max_len: int) -> bytes:
    """`data` with a few bytes changed, cut out, doubled, or cut off, or with a part of `other` put in."""
    buffer = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 4, 16))):
        start = rng.randrange(len(buffer) + 1)
        end = min(len(buffer), start + rng.choice((1, 1, 2, 4, 8, 40)))
        match rng.randrange(8):
            case 0 if start < len(buffer):
                buffer[start] ^= 1 << rng.randrange(8)
            case 1:
                buffer[start:end] = rng.randbytes(end - start)
            case 2:
                del buffer[start:end]
            case 3:
                buffer[start:start] = buffer[start:end]
            case 4 if rng.random() < 0.3:
                del buffer[start:]
            case 5:
                number = rng.choice(_NUMBERS)
                buffer[start : start + len(number)] = number
            case 6 if start < len(buffer):
                buffer[start] = (buffer[start] + rng.choice((-2, -1, 1, 2))) % 256
            case _:
                place = rng.randrange(len(other) + 1)
                piece = other[place : place + rng.choice((4, 16, 64))]
                buffer[start : start + (len(piece) if rng.random() < 0.5 else 0)] = piece
    return bytes(buffer[:max_len])
