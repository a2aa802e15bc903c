"""The command `opendump`: one module a command, and what the commands share."""
