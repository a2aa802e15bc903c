"""The Scapy extension: the layer `OpenD`, the session `OpenDSession`, and the file that Scapy loads."""
