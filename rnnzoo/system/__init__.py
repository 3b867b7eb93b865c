"""The computer below: files, the terminal, secrets."""
