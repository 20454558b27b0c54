"""A function of tensors as one graph of operations that is compiled for tensors of any length.

What is special to it is how sizes are followed that only the values of tensors tell, such as
how many atoms are of some type. They get symbols like the sizes of the inputs. Whatever they
follow from is cut off as a graph of its own, which is run as it is, and so are indices that
follow from no weights. So the compiler sees tensors with sizes that can be looked at before it is
called.
"""

import operator
from collections.abc import Callable, Iterator, Sequence
from typing import Any, cast

import torch
from torch import Tensor, fx
from torch._dispatch.python import enable_python_dispatcher
from torch._dynamo.source import ConstantSource
from torch._guards import TracingContext, tracing
from torch._inductor import config as inductor_config
from torch._inductor.compile_fx import compile_fx
from torch._inductor.cpp_builder import get_cpp_compiler
from torch._inductor.exc import InvalidCxxCompiler
from torch._ops import OpOverload
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.fx.experimental import _config as symbolic_config
from torch.fx.experimental.proxy_tensor import make_fx
from torch.fx.experimental.symbolic_shapes import (
    SYMPY_INTERP,
    DimDynamic,
    ShapeEnv,
    StatelessSymbolicContext,
)
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._sympy.printers import PythonPrinter
from torch.utils._triton import has_triton

Function = Callable[[Sequence[Tensor]], list[Tensor]]


class NotCompiled(Exception):  # noqa: N818 (training goes on without)
    """Why a function cannot be compiled, as the end of a sentence."""


class Compiled:
    """A compiled function.

    :param function: takes and gives lists of tensors
    :param arguments: an example of what it takes, in which lengths of 0 and 1 are better avoided
    :param num_fixed: how many arguments, from the first, always have the size that they have in
        the example; of the others the length may be another each time
    """

    def __init__(self, function: Function, arguments: Sequence[Tensor], num_fixed: int) -> None:
        self._num_fixed = num_fixed
        env = _Sizes()
        mode = FakeTensorMode(shape_env=env, allow_non_fake_inputs=True)
        # else a size of 0 or 1 is taken for a case of its own
        with symbolic_config.patch(backed_size_oblivious=True):  # type: ignore[attr-defined]
            graph = _graph(function, self._contiguous(arguments), num_fixed, mode)
            _check_that_sizes_may_change(env)
            _check_that_it_can_be_repeated(graph)
            inputs = [node for node in graph.graph.nodes if node.op == "placeholder"]
            producers = _producers(graph, env)
            writers = _writers(graph)
            first = _ancestors([*producers, *_indices(graph, num_fixed)], writers)
            rest, taken = _needed_for_output(graph, first, producers, writers)
            self._before = _graph_of(graph, inputs, first, taken)
            inputs += taken
            self._places = _places(inputs, env)
            self._free = [symbol for symbol in self._places if env.replace(symbol) == symbol]
            with tracing(TracingContext(mode)), torch.no_grad():
                self._rest = _compiled(_rest_of(graph, inputs, rest), inputs, self._free, env)
        self._conditions = compile(_conditions(env), "conditions", "eval")
        self._known = dict(SYMPY_INTERP)

    @torch.no_grad()
    def __call__(self, arguments: Sequence[Tensor]) -> list[Tensor] | None:
        """What the function gives; ``None`` for sizes that it was not compiled for."""
        values = self._contiguous(arguments)
        values += self._before(*values)
        sizes = {
            str(symbol): values[index] if axis is None else values[index].shape[axis]
            for symbol, (index, axis) in self._places.items()
        }
        if not eval(self._conditions, self._known, sizes):  # noqa: S307 (torch wrote it)
            return None
        return list(self._rest(*(sizes[str(symbol)] for symbol in self._free), *values))

    def _contiguous(self, arguments: Sequence[Tensor]) -> list[Any]:
        fixed, sized = arguments[: self._num_fixed], arguments[self._num_fixed :]
        return [*fixed, *(argument.contiguous() for argument in sized)]


class _Sizes(ShapeEnv):
    """Symbols for sizes; those that follow from values get an example of them, too."""

    def __init__(self) -> None:
        super().__init__(
            duck_shape=False, specialize_zero_one=False, allow_dynamic_output_shape_ops=True
        )
        self.example = 0
        self.symbols: list[Any] = []

    def create_unbacked_symint(self, source: Any = None) -> Any:
        """A size that an operation takes from the values of its arguments."""
        source = ConstantSource(f"size{len(self.symbols)}")
        symbol = self.create_symbol(self.example, source, dynamic_dim=DimDynamic.DYNAMIC)
        self.symbols.append(symbol)
        return self.create_symintnode(symbol, hint=self.example, source=source)

    def integer(self, symbol: Any) -> Any:
        """The symbol as an argument of a traced function."""
        return self.create_symintnode(symbol, hint=int(self.backed_var_to_val[symbol]))


class _SizesSeen(TorchDispatchMode):
    """Notes the sizes and numbers that operations take from the values of their arguments."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[int] = []

    def __torch_dispatch__(
        self, operation: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        outcome = operation(*args, **(kwargs or {}))
        if _is_of_values(operation, args):
            first = outcome[0] if isinstance(outcome, tuple) else outcome
            self.seen.append(first.shape[0] if isinstance(first, Tensor) else first)
        return outcome


class _SizesTold(TorchDispatchMode):
    """Tells the symbols of the sizes that were seen before."""

    def __init__(self, env: _Sizes, seen: list[int]) -> None:
        super().__init__()
        self._env = env
        self._seen = iter(seen)

    def __torch_dispatch__(
        self, operation: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        if _is_of_values(operation, args):
            self._env.example = next(self._seen)
        return operation(*args, **(kwargs or {}))


def _is_of_values(operation: Any, args: Any) -> bool:
    """Whether the size or number that an operation gives follows from values."""
    if operation is torch.ops.aten.index.Tensor:
        return any(index is not None and index.dtype == torch.bool for index in args[1])
    tags = (torch.Tag.dynamic_output_shape, torch.Tag.data_dependent_output)
    return any(tag in operation.tags for tag in tags)


def _graph(
    function: Function, arguments: Sequence[Tensor], num_fixed: int, mode: FakeTensorMode
) -> fx.GraphModule:
    """The operations of a function."""
    sizes = _SizesSeen()
    # whatever it may change is not to be changed
    with sizes:
        function([argument.detach().clone() for argument in arguments])
    env = cast("_Sizes", mode.shape_env)
    examples = []
    for index, argument in enumerate(arguments):
        is_fixed = index < num_fixed
        axes = [DimDynamic.STATIC] * argument.dim()
        context: Any = StatelessSymbolicContext(
            dynamic_sizes=axes if is_fixed else [DimDynamic.DYNAMIC, *axes[1:]]
        )
        source = ConstantSource(f"argument{index}")
        if argument.dim() == 0:
            # with a source, its value would get a symbol
            examples.append(mode.from_tensor(argument.detach(), static_shapes=True))
            continue
        fake = mode.from_tensor(argument.detach(), symbolic_context=context, source=source)
        examples.append(fake)
        if not is_fixed:
            length: Any = fake.shape[0]
            env.symbols.append(length.node.expr)
    with mode, _SizesTold(env, sizes.seen), enable_python_dispatcher():
        # of a method, it would count self as an argument
        return make_fx(lambda given: function(given), _allow_non_fake_inputs=True)(examples)  # noqa: PLW0108


def _check_that_sizes_may_change(env: _Sizes) -> None:
    """Refuse what was traced for the numbers of the example alone."""
    for symbol in env.symbols:
        if env.replace(symbol).is_number:
            raise NotCompiled(
                f"it is made for one size, {env.replace(symbol)}; a forward should ask for "
                "x.shape[0] rather than len(x)"
            )


def _check_that_it_can_be_repeated(graph: fx.GraphModule) -> None:
    """Refuse what does not give the same, or leave all as it was, in each call."""
    for node in graph.graph.nodes:
        if torch.Tag.nondeterministic_seeded in getattr(node.target, "tags", ()):
            raise NotCompiled(f"it draws random numbers ({node.target})")
        if any(written.op == "placeholder" for written in map(_origin, _written(node))):
            raise NotCompiled(f"it changes what it is given ({node.target})")


def _producers(graph: fx.GraphModule, env: _Sizes) -> list[fx.Node]:
    """The operations that are the first to give a size or a number that follows from values."""
    known: set[Any] = set()
    producers = []
    for node in graph.graph.nodes:
        new = {symbol for symbol, _ in _symbols_of(node)} & set(env.symbols) - known
        known |= new
        if new and node.op != "placeholder":
            producers.append(node)
    return producers


def _indices(graph: fx.GraphModule, num_fixed: int) -> list[fx.Node]:
    """The operations that give int64 tensors which follow from no weights.

    In the compiled graph they would be found again and again, for each number that they lead to.
    """
    of_weights: set[fx.Node] = set()
    indices = []
    for place, node in enumerate(graph.graph.nodes):
        value = node.meta.get("val")
        is_tensor = isinstance(value, Tensor)
        is_weight = place < num_fixed and is_tensor and value.is_floating_point()
        # sizes and tuples, too, are what something later may follow from
        if is_weight or not of_weights.isdisjoint(node.all_input_nodes):
            of_weights |= {node, *map(_origin, _written(node))}
        elif node.op != "placeholder" and is_tensor and value.dtype == torch.int64:
            indices.append(node)
    return indices


def _writers(graph: fx.GraphModule) -> dict[fx.Node, list[fx.Node]]:
    """The operations that write into memory, by the one that this memory is from."""
    writers: dict[fx.Node, list[fx.Node]] = {}
    for node in graph.graph.nodes:
        for written in _written(node):
            writers.setdefault(_origin(written), []).append(node)
    return writers


def _written(node: fx.Node) -> list[fx.Node]:
    """What an operation writes into."""
    described = _described(node).arguments if isinstance(node.target, OpOverload) else []
    given = dict(zip((each.name for each in described), node.args, strict=False)) | node.kwargs
    return [
        value
        for each in described
        if each.is_write and isinstance(value := given.get(each.name), fx.Node)
    ]


def _origin(node: fx.Node) -> fx.Node:
    """The operation that the memory of a tensor is from, if this is a view."""
    while isinstance(base := node.args[0] if node.args else None, fx.Node):
        is_view = node.target is operator.getitem or (
            isinstance(node.target, OpOverload)
            and any(each.alias_info is not None for each in _described(node).returns)
        )
        if not is_view:
            break
        node = base
    return node


def _described(node: fx.Node) -> Any:
    """The signature of an operation, which says what it writes and what is a view of what."""
    return cast("Any", node.target)._schema  # noqa: SLF001 (there is no other way)


def _ancestors(nodes: list[fx.Node], writers: dict[fx.Node, list[fx.Node]]) -> set[fx.Node]:
    """The nodes and all that they follow from, without the inputs."""
    found: set[fx.Node] = set()
    waiting = list(nodes)
    while waiting:
        node = waiting.pop()
        if node not in found and node.op != "placeholder":
            found.add(node)
            waiting += [*node.all_input_nodes, *writers.get(_origin(node), [])]
    return found


def _needed_for_output(
    graph: fx.GraphModule,
    first: set[fx.Node],
    producers: list[fx.Node],
    writers: dict[fx.Node, list[fx.Node]],
) -> tuple[set[fx.Node], list[fx.Node]]:
    """What the output follows from, beside the inputs: other nodes, and some of the first ones.

    Numbers are not taken from the first nodes but found again from sizes, so that the
    compiler knows what they are.
    """
    rest: set[fx.Node] = set()
    taken = set(producers)
    waiting = [node for node in graph.graph.nodes if node.op == "output"]
    while waiting:
        node = waiting.pop()
        if node in rest or node in taken or node.op == "placeholder":
            continue
        if node in first and isinstance(node.meta.get("val"), Tensor):
            taken.add(node)
        else:
            rest.add(node)
            waiting += [*node.all_input_nodes, *writers.get(_origin(node), [])]
    return rest, [node for node in graph.graph.nodes if node in taken]


def _graph_of(
    graph: fx.GraphModule, inputs: list[fx.Node], nodes: set[fx.Node], outputs: list[fx.Node]
) -> fx.GraphModule:
    """Some of the nodes as a graph of its own.

    :param inputs: nodes that become its inputs
    :param nodes: what is taken of the others
    :param outputs: what it gives
    """
    part = fx.Graph()
    copies = {node: part.placeholder(node.name) for node in inputs}
    for node in graph.graph.nodes:
        if node in nodes and node not in copies and node.op != "output":
            copies[node] = part.node_copy(node, copies.__getitem__)
    part.output(tuple(copies[node] for node in outputs))
    return fx.GraphModule(graph, part)


def _symbols_of(node: fx.Node) -> Iterator[tuple[Any, int | None]]:
    """The symbols that stand for a size of a tensor, each with its axis, or for a number."""
    value = node.meta.get("val")
    sizes = list(enumerate(value.shape)) if isinstance(value, Tensor) else [(None, value)]
    for axis, size in sizes:
        if isinstance(size, torch.SymInt):
            # not what it was found to be equal to later
            expression = size.node._expr  # noqa: SLF001
            if expression.is_symbol:
                yield expression, axis


def _places(inputs: list[fx.Node], env: _Sizes) -> dict[Any, tuple[int, int | None]]:
    """For each symbol the input that tells it, and the axis if it is a size."""
    places: dict[Any, tuple[int, int | None]] = {}
    for index, node in enumerate(inputs):
        for symbol, axis in _symbols_of(node):
            if symbol in env.symbols:
                places.setdefault(symbol, (index, axis))
    return places


def _rest_of(graph: fx.GraphModule, inputs: list[fx.Node], rest: set[fx.Node]) -> fx.GraphModule:
    """The graph from its inputs and some outcomes on."""
    (output,) = (node for node in graph.graph.nodes if node.op == "output")
    return _graph_of(graph, inputs, rest, list(output.args[0]))


def _compiled(
    rest: fx.GraphModule, inputs: list[fx.Node], free: list[Any], env: _Sizes
) -> Callable[..., Any]:
    """A graph compiled for any sizes.

    :param inputs: those of the graph, which know what they are
    :param free: symbols that follow from no others. They become inputs before the others: the
        compiler's cache of earlier runs keeps conditions on such inputs alone
    """
    with rest.graph.inserting_before(next(iter(rest.graph.nodes))):
        for symbol in free:
            rest.graph.placeholder(str(symbol))
    rest.recompile()
    sizes = [env.integer(symbol) for symbol in free]
    # With symbols for sizes, inductor of torch 2.13 writes some results over what it still reads.
    with inductor_config.patch(inplace_buffers=False):
        return cast("Any", compile_fx(rest, [*sizes, *(node.meta["val"] for node in inputs)]))


def _conditions(env: _Sizes) -> str:
    """What the sizes have to fulfil, as Python."""
    write = PythonPrinter().doprint
    return " and ".join(f"({write(guard.expr)})" for guard in env.guards) or "True"


def check_compiler(device: torch.device) -> None:
    """Refuse a machine on which nothing can be compiled, before time is spent."""
    if device.type == "cpu":
        try:
            get_cpp_compiler()
        except InvalidCxxCompiler as error:
            raise NotCompiled("no C++ compiler was found (install g++)") from error
    elif not has_triton():
        raise NotCompiled(f"there is no compiler for {device.type}")
