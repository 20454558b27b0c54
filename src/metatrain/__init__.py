"""metatrain: train, evaluate and export atomistic machine-learning architectures."""

__version__ = "0.1.0"
