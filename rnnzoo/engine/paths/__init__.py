"""The ways to run a cell over time, one a file. CONTRIBUTING.md has a table of their names and files."""
