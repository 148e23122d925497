"""Readers of build systems: each turns one kind of input into facts."""
