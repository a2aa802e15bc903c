"""Writes the report of a capture: one HTML file with pictures, that loads nothing and works without script."""
