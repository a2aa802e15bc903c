"""Reassembles the TCP stream of one direction."""
