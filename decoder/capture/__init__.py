"""Reads and writes capture files: pcap and pcapng."""
