"""Other ways to decode the same traffic, written as a user would write them: what ours is compared with.

Each prints a line for every message, ``client direction protocol serial retType [body]``.
"""
