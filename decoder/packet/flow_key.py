"""Encodes both ends of a TCP segment as one key: addresses and ports as bytes, source first."""

from __future__ import annotations

__all__ = ["endpoints", "ports", "reverse_key"]


def reverse_key(key: bytes) -> bytes:
    """Returns the key of the other direction."""
    if len(key) == 12:
        return key[4:8] + key[:4] + key[10:] + key[8:10]
    return key[16:32] + key[:16] + key[34:] + key[32:34]


def ports(key: bytes) -> tuple[int, int]:
    """Returns source and destination port."""
    return int.from_bytes(key[-4:-2], "big"), int.from_bytes(key[-2:], "big")


def endpoints(key: bytes) -> tuple[str, str]:
    """Returns source and destination as text: `127.0.0.1:50112`, `[::1]:11111`."""
    source, destination = ports(key)
    if len(key) == 12:
        return "{}.{}.{}.{}:{}".format(*key[:4], source), "{}.{}.{}.{}:{}".format(*key[4:8], destination)
    from socket import AF_INET6, inet_ntop  # takes 2.5 ms to import, and most captures have no IPv6

    return f"[{inet_ntop(AF_INET6, key[:16])}]:{source}", f"[{inet_ntop(AF_INET6, key[16:32])}]:{destination}"
