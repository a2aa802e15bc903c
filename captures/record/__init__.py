"""Recorder of the captures: the official Python SDK talks to a mock gateway of ours while a capture tool listens.

Run ``python -m captures.record --help`` from the root of the repository. Nothing here imports the decoder, so what it
writes can be used to test the decoder.
"""
