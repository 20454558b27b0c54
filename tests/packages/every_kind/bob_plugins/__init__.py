"""One plug-in for metatrain of every kind that is no architecture."""
