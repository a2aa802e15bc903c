"""Follows one TCP connection with a gateway: both directions, the keys, requests and their answers."""
