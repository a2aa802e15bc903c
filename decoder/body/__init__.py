"""Parses message bodies against the schema and converts them to and from plain data."""
