"""How a cell runs over time."""
