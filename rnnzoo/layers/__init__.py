"""Modules of torch that several parts share."""
