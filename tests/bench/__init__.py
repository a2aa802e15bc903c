"""The benchmark: a synthetic trading day, what other tools make of it, and what ours does.

``python -m tests.bench`` measures and prints the table of figures; ``python -m tests.bench.generate`` makes a capture.
"""
