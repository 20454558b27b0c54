"""Counts the floating-point operations of matrix products.

torch's own counter also follows modules, by hooks that torch.autograd.grad does not allow.
"""

from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry


class CountedOperations(TorchDispatchMode):
    """Within this context operations are added up; those of single elements are not counted."""

    def __init__(self):
        super().__init__()
        self.total = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        """Do what is asked, and count."""
        kwargs = kwargs or {}
        result = function(*args, **kwargs)
        formula = flop_registry.get(function._overloadpacket)  # noqa: SLF001
        if formula is not None:
            self.total += formula(*args, **kwargs, out_val=result)
        return result
