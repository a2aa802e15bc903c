"""Compiles `--where` expressions that select messages."""
