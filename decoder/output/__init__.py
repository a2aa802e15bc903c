"""Renders messages: lines of text, trees, JSON Lines, CSV, comments in a capture."""
