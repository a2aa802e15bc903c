"""Formats text for people: safe text, units, times, tables."""
