"""Evaluates an exported model where nothing but metatomic is imported.

Run as a script by :mod:`metatrain.export.process`: an operator whose gradient only exists once
some Python package is imported gives right energies and wrong forces here, as it would in
every engine. The functions below need torch, metatensor and metatomic alone.
"""

import sys
from typing import Any

import torch
from metatensor.torch import Labels, TensorBlock, TensorMap
from metatomic.torch import (
    AtomisticModel,
    ModelEvaluationOptions,
    ModelOutput,
    NeighborListOptions,
    System,
    load_atomistic_model,
    register_autograd_neighbors,
)
from torch import Tensor

# Points of the finite differences, in steps, with the weights of the central difference of
# fourth order.
STENCIL = ((-2.0, 1.0 / 12.0), (-1.0, -2.0 / 3.0), (1.0, 2.0 / 3.0), (2.0, -1.0 / 12.0))


def attach_pairs(system: System, options: NeighborListOptions, candidates: Tensor) -> None:
    """Add the neighbor list that a model requests.

    :param system: without lists
    :param options: what the model requests
    :param candidates: (E, 5) center, neighbor and the three cell shifts of all pairs that
        can be closer than the cutoff, in both directions
    """
    centers, neighbors = candidates[:, 0], candidates[:, 1]
    positions = system.positions.detach()
    shifts = candidates[:, 2:].to(positions.dtype)
    vectors = positions[neighbors] - positions[centers] + shifts @ system.cell.detach()
    is_kept = vectors.norm(dim=1) < options.cutoff
    if not options.full_list:
        order = torch.tensor([10**12, 10**8, 10**4, 1])
        direction = torch.cat([(neighbors - centers).unsqueeze(1), candidates[:, 2:]], dim=1)
        is_kept &= (direction * order).sum(dim=1) > 0
    block = TensorBlock(
        values=vectors[is_kept].unsqueeze(2),
        samples=Labels(
            ["first_atom", "second_atom", "cell_shift_a", "cell_shift_b", "cell_shift_c"],
            candidates[is_kept].to(torch.int32),
        ),
        components=[Labels("xyz", torch.arange(3).unsqueeze(1))],
        properties=Labels("distance", torch.zeros((1, 1), dtype=torch.int32)),
    )
    register_autograd_neighbors(system, block, check_consistency=False)
    system.add_neighbor_list(options, block)


def attach_input(system: System, name: str, value: Tensor) -> None:
    """Add a number that a model requests, such as the total charge."""
    first = torch.zeros((1, 1), dtype=torch.int32)
    block = TensorBlock(value.reshape(1, 1), Labels("system", first), [], Labels(name, first))
    system.add_data(name, TensorMap(Labels("_", first), [block]))


def system_of(
    model: AtomisticModel, case: dict[str, Tensor], positions: Tensor, cell: Tensor
) -> System:
    """The system of a case with everything that a model requests.

    :param case: see :func:`evaluate`
    :param positions: (N, 3), those of the case or others near them
    :param cell: (3, 3)
    """
    system = System(case["types"], positions, cell, case["pbc"])
    for options in model.requested_neighbor_lists():
        attach_pairs(system, options, case["candidates"])
    for name in model.requested_inputs(use_new_names=True):
        attach_input(system, name, case[name].to(positions.dtype))
    return system


def evaluate(
    model: AtomisticModel, case: dict[str, Tensor], output: str, dtype: torch.dtype
) -> dict[str, Tensor]:
    """Value of one output for one system, and its derivatives.

    :param case: ``types``, ``positions``, ``cell``, ``pbc``, ``candidates``, and by their names
        the numbers that a model may request as inputs
    :param output: its name
    :param dtype: precision of what the model gets
    :return: ``value`` (V,) of all blocks; ``positions`` (N, 3) and ``strain`` (3, 3),
        derivatives of the sum of the values
    """
    leaf = case["positions"].to(dtype).requires_grad_()
    strain = torch.eye(3, dtype=dtype, requires_grad=True)
    system = system_of(model, case, leaf @ strain, case["cell"].to(dtype) @ strain)
    blocks = model([system], _request(output), check_consistency=False)[output].blocks()
    values = torch.cat([block.values.reshape(-1) for block in blocks])
    # A value that nothing of the geometry enters has derivatives all the same: zero.
    total = values.sum() + 0.0 * (leaf.sum() + strain.sum())
    positions_gradient, strain_gradient = torch.autograd.grad(total, [leaf, strain])
    return {
        "value": values.detach(),
        "positions": positions_gradient,
        "strain": strain_gradient,
    }


def evaluate_all(
    model: AtomisticModel, cases: list[dict[str, Tensor]], outputs: list[str], dtype: torch.dtype
) -> list[list[dict[str, Tensor]]]:
    """What :func:`evaluate` gives for each system, and for each output of it."""
    return [[evaluate(model, case, output, dtype) for output in outputs] for case in cases]


def finite_differences(
    model: AtomisticModel, case: dict[str, Tensor], output: str, tolerance: float
) -> dict[str, Tensor]:
    """Derivatives in float64 along random directions, from values and from autograd.

    :param case: as for :func:`evaluate`, with ``steps`` (H,) and the directions
        ``displacements`` (D, N, 3) and ``strains`` (D, 3, 3)
    :param tolerance: how far the two may differ, relative to the largest derivative; steps that
        come after one at which they agree so well are left out
    :return: ``numerical`` (1 to H, 2 D), one row for each step, and ``analytical`` (2 D,)
    """
    exact = evaluate(model, case, output, torch.float64)
    by_position = (exact["positions"] * case["displacements"]).sum(dim=(1, 2))
    by_strain = (exact["strain"] * case["strains"]).sum(dim=(1, 2))
    analytical = torch.cat([by_position, by_strain])
    numerical: list[Tensor] = []
    for step in case["steps"].tolist():
        numerical.append(_differences(model, case, output, step))
        if (numerical[-1] - analytical).abs().max() <= tolerance * analytical.abs().max():
            break
    return {"numerical": torch.stack(numerical), "analytical": analytical}


def _differences(
    model: AtomisticModel, case: dict[str, Tensor], output: str, step: float
) -> Tensor:
    """(2 D,) finite differences, of values that are computed for all points at once."""
    positions, cell = case["positions"], case["cell"]
    points = [
        (positions + h * step * displacement, cell)
        for displacement in case["displacements"]
        for h, _ in STENCIL
    ]
    for direction in case["strains"]:
        strains = [torch.eye(3, dtype=torch.float64) + h * step * direction for h, _ in STENCIL]
        points += [(positions @ strain, cell @ strain) for strain in strains]
    systems = [system_of(model, case, *point) for point in points]
    # with gradients switched on, as in engines: features may themselves be derivatives
    blocks = model(systems, _request(output), check_consistency=False)[output].blocks()
    sums = [block.values.detach().reshape(len(points), -1).sum(dim=1) for block in blocks]
    weights = torch.tensor([weight for _, weight in STENCIL], dtype=torch.float64)
    return torch.stack(sums).sum(dim=0).reshape(-1, len(STENCIL)) @ weights / step


def _request(output: str) -> ModelEvaluationOptions:
    return ModelEvaluationOptions(outputs={output: ModelOutput(sample_kind="system")})


def main(request_path: str, result_path: str) -> None:
    """Answer the request of :mod:`metatrain.export.proof`."""
    request: dict[str, Any] = torch.load(request_path, weights_only=True)
    model = load_atomistic_model(request["model"], extensions_directory=request["extensions"])
    model.requires_grad_(False)
    dtype = getattr(torch, model.capabilities().dtype)
    as_exported = evaluate_all(model, request["cases"], request["outputs"], dtype)
    model = model.to(torch.float64)
    in_double = [
        [
            finite_differences(model, case, output, request["tolerance"])
            for output in request["outputs"]
        ]
        for case in request["cases"]
    ]
    imported = sorted({name.split(".")[0] for name in sys.modules})
    result = {"as_exported": as_exported, "in_double": in_double, "imported": imported}
    torch.save(result, result_path)


if __name__ == "__main__":
    # Until the end of the input: whoever asks may also go away without a request.
    paths = sys.stdin.read().splitlines()
    if paths:
        main(*paths)
