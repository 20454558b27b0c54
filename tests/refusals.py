"""What tests ask of the message with which a file is refused."""

import pytest

from metatrain.errors import MetatrainError


def message_of(read, path):
    """The message, of one line and with the name of the file."""
    with pytest.raises(MetatrainError) as raised:
        read(path)
    message = str(raised.value)
    assert "\n" not in message
    assert path.name in message
    return message
