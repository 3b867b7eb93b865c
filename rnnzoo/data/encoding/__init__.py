"""Text as numbers."""
