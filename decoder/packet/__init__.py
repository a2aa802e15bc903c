"""Dissects captured packets down to their TCP segments."""
