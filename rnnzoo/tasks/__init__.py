"""What is asked of a sequence."""
