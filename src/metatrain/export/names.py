"""Names of outputs that metatomic accepts."""

from metatomic.torch import ModelCapabilities, ModelOutput

from metatrain.errors import MetatrainError


def check_output_name(name: str, unit: str, where: str) -> None:
    """Raise unless a model may have an output of this name.

    :param name: of a target
    :param unit: its unit
    :param where: key in the options file, for the message
    """
    try:
        ModelCapabilities(outputs={name: ModelOutput(unit=unit)})
    except (RuntimeError, ValueError) as error:
        raise MetatrainError(
            f"{where}: {name!r} is no name of an output; use a standard one, such as 'energy', "
            f"a variant of it, such as 'energy/pbe', or a name of your own after 'mtt::', such "
            f"as 'mtt::{name.replace(':', '_')}'."
        ) from error
