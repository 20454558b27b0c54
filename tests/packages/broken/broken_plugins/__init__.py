"""Architectures with one mistake each."""
