"""Decrypts message bodies and verifies them against the SHA-1 in the header."""
