"""Formats text for people: safe text, times, tables."""
