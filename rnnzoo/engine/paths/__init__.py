"""The ways to run a cell over time, one a file."""
