"""Decodes packets: `Decoder` wires the stages, `read` adds the capture files."""
