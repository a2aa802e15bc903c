"""Finds and cuts the messages in the ordered bytes of one direction."""
