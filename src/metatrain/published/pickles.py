"""An unpickler that can build plain containers and descriptions of tensors, and nothing else.

A pickle is a program. This one is not run by Python's unpickler with a list of forbidden or
allowed classes: the few instructions that ``torch.save`` writes are carried out here, none of
them can import or call anything, and every other instruction is refused.
"""

import pickletools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from metatrain.published.archive import UnreadableError

STORAGES = {
    "torch.ByteStorage": "uint8",
    "torch.IntStorage": "int32",
    "torch.LongStorage": "int64",
    "torch.FloatStorage": "float32",
    "torch.DoubleStorage": "float64",
}
"""The kinds of storages, and what they hold."""
RECORDS = (
    "metatrain.utils.data.dataset.DatasetInfo",
    "metatrain.utils.data.target_info.TargetInfo",
    "torch.ScriptObject",
)
"""Classes whose instances become :class:`Record`."""
ORDERED_DICT = "collections.OrderedDict"
REBUILD_TENSOR = "torch._utils._rebuild_tensor_v2"
NAMES = {*STORAGES, *RECORDS, ORDERED_DICT, REBUILD_TENSOR}
"""Everything that a checkpoint may name."""

_Kind = TypeVar("_Kind")


@dataclass(frozen=True)
class Name:
    """One of :data:`NAMES`, where the pickle would have a class or a function."""

    name: str


@dataclass(frozen=True)
class Storage:
    """Numbers that stand in a file of their own.

    :param dtype: of the numbers, as numpy calls it
    :param key: name of the file
    :param size: how many numbers there are, as the pickle claims
    """

    dtype: str
    key: str
    size: int


@dataclass(frozen=True)
class StoredTensor:
    """A tensor as the pickle claims it to be; nothing is checked yet.

    :param storage: where its numbers are
    :param offset: of the first number
    :param shape: of the tensor
    :param strides: numbers between neighbors, for each dimension
    """

    storage: Storage
    offset: Any
    shape: Any
    strides: Any


@dataclass
class Record:
    """What stands for an instance of a class of the package: the state that was pickled.

    :param name: of the class
    :param state: what its ``__getstate__`` gave
    """

    name: str
    state: Any = None


def unpickle(content: bytes) -> Any:
    """What a pickle describes: plain values, lists, tuples, dictionaries and the above.

    :raises UnreadableError: if it names anything but :data:`NAMES`, or is damaged
    """
    machine = _Machine()
    try:
        for opcode, argument, _ in pickletools.genops(content):
            machine.carry_out(opcode.name, argument)
        (result,) = machine.stack
    except (IndexError, KeyError, TypeError, ValueError, OverflowError) as error:
        raise UnreadableError("is damaged") from error
    return result


class _Machine:
    """The stack, the marks in it, and the memo of a running pickle."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self._below_marks: list[list[Any]] = []
        self._memo: dict[int, Any] = {}

    def carry_out(self, instruction: str, argument: Any) -> None:
        if instruction not in _INSTRUCTIONS:
            raise UnreadableError(
                f"holds the pickle instruction {instruction}, which no checkpoint needs; nothing "
                "of it was run"
            )
        _INSTRUCTIONS[instruction](self, argument)

    def pop_many(self, count: int) -> list[Any]:
        first = len(self.stack) - count
        if first < 0:
            raise IndexError
        popped = self.stack[first:]
        del self.stack[first:]
        return popped

    def _pop_to_mark(self) -> list[Any]:
        above = self.stack
        self.stack = self._below_marks.pop()
        return above

    def push(self, value: Any) -> None:
        self.stack.append(value)

    def ignore(self, _: Any) -> None:
        pass

    def mark(self, _: None) -> None:
        self._below_marks.append(self.stack)
        self.stack = []

    def tuple(self, _: None) -> None:
        above = self._pop_to_mark()
        self.push(tuple(above))

    def append(self, _: None) -> None:
        value = self.stack.pop()
        _as(list, self.stack[-1]).append(value)

    def appends(self, _: None) -> None:
        above = self._pop_to_mark()
        _as(list, self.stack[-1]).extend(above)

    def set_item(self, _: None) -> None:
        key, value = self.pop_many(2)
        _set(_as(dict, self.stack[-1]), key, value)

    def set_items(self, _: None) -> None:
        above = self._pop_to_mark()
        for key, value in zip(above[::2], above[1::2], strict=True):
            _set(_as(dict, self.stack[-1]), key, value)

    def put(self, index: int) -> None:
        self._memo[index] = self.stack[-1]

    def memoize(self, _: None) -> None:
        self.put(len(self._memo))

    def get(self, index: int) -> None:
        self.push(self._memo[index])

    def name(self, module_and_name: str) -> None:
        self.push(_known(module_and_name.replace(" ", ".", 1)))

    def stacked_name(self, _: None) -> None:
        module, name = self.pop_many(2)
        self.push(_known(f"{_as(str, module)}.{_as(str, name)}"))

    def storage(self, _: None) -> None:
        kind, storage, key, _device, size = _as(tuple, self.stack.pop())
        if kind != "storage":
            raise ValueError
        dtype = STORAGES[_as(Name, storage).name]
        self.push(Storage(dtype, _as(str, key), _as(int, size)))

    def new_object(self, _: None) -> None:
        what, arguments = self.pop_many(2)
        if _as(Name, what).name not in RECORDS or arguments != ():
            raise ValueError
        self.push(Record(what.name))

    def call(self, _: None) -> None:
        what, arguments = self.pop_many(2)
        self.push(_called(_as(Name, what).name, _as(tuple, arguments)))

    def build(self, _: None) -> None:
        state = self.stack.pop()
        built = self.stack[-1]
        if type(built) is Record:
            built.state = state
        else:
            # An OrderedDict of weights has attributes, such as the versions of its modules.
            _as(dict, built)


def _tuple_of(count: int) -> Callable[[_Machine, Any], None]:
    return lambda machine, _: machine.push(tuple(machine.pop_many(count)))


_INSTRUCTIONS: dict[str, Callable[[_Machine, Any], None]] = {
    **dict.fromkeys(("PROTO", "FRAME", "STOP"), _Machine.ignore),
    **dict.fromkeys(("BINUNICODE", "SHORT_BINUNICODE", "BINFLOAT"), _Machine.push),
    **dict.fromkeys(("BININT", "BININT1", "BININT2", "LONG1"), _Machine.push),
    "NONE": lambda machine, _: machine.push(None),
    "NEWTRUE": lambda machine, _: machine.push(True),
    "NEWFALSE": lambda machine, _: machine.push(False),
    "EMPTY_LIST": lambda machine, _: machine.push([]),
    "EMPTY_DICT": lambda machine, _: machine.push({}),
    "EMPTY_TUPLE": _tuple_of(0),
    "TUPLE1": _tuple_of(1),
    "TUPLE2": _tuple_of(2),
    "TUPLE3": _tuple_of(3),
    "TUPLE": _Machine.tuple,
    "MARK": _Machine.mark,
    "APPEND": _Machine.append,
    "APPENDS": _Machine.appends,
    "SETITEM": _Machine.set_item,
    "SETITEMS": _Machine.set_items,
    "BINPUT": _Machine.put,
    "LONG_BINPUT": _Machine.put,
    "MEMOIZE": _Machine.memoize,
    "BINGET": _Machine.get,
    "LONG_BINGET": _Machine.get,
    # The last two occur where somebody else than torch wrote the file, and are named like GLOBAL.
    "GLOBAL": _Machine.name,
    "INST": _Machine.name,
    "STACK_GLOBAL": _Machine.stacked_name,
    "BINPERSID": _Machine.storage,
    "NEWOBJ": _Machine.new_object,
    "REDUCE": _Machine.call,
    "BUILD": _Machine.build,
}
"""All that a checkpoint can make happen."""


def _known(name: str) -> Name:
    """The class or function of that name, if a checkpoint may name it."""
    if name in ("__builtin__.set", "builtins.set"):
        raise UnreadableError(
            "is as old as the first releases of 2025; load and save it with metatrain 2026.4.1, "
            "which brings it up to date"
        )
    if name not in NAMES:
        raise UnreadableError(
            f"holds {_printable(name)}, which no checkpoint needs; nothing of it was run"
        )
    return Name(name)


def _printable(name: str) -> str:
    return name.encode("unicode_escape").decode()[:100]


def _called(name: str, arguments: tuple[Any, ...]) -> Any:
    """What stands for the result of a call."""
    if name == ORDERED_DICT and arguments == ():
        return {}
    if name == REBUILD_TENSOR and len(arguments) in (6, 7):
        storage, offset, shape, strides, *_ = arguments
        return StoredTensor(_as(Storage, storage), offset, shape, strides)
    raise ValueError


def _as(kind: type[_Kind], value: Any) -> _Kind:
    if type(value) is not kind:
        raise TypeError
    return value


def _set(target: dict[Any, Any], key: Any, value: Any) -> None:
    # Other keys could be nested so that their hash takes for ever.
    if type(key) not in (str, int):
        raise TypeError
    target[key] = value
