"""Answers written token by token, and read out of steps."""
