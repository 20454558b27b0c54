"""Checkpoints of the published metatrain package: read without running anything in them."""

from metatrain.published.reading import Published, architecture_of, is_published, read

__all__ = ["Published", "architecture_of", "is_published", "read"]
