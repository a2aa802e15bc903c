"""Counts a capture as a whole, each connection and each protocol; measures rates, subscriptions and lateness."""
