"""What is said of a model that TorchScript cannot compile."""

from pathlib import Path
from typing import Dict, List, Optional

import pytest
from torch import Tensor

from metatrain.errors import MetatrainError
from metatrain.nn import Graph, shifted_cosine
from metatrain.training.scripting import check_scriptable
from pair_model import PairModel, new_model, trained


class Forgetful(PairModel):
    """Uses what it has not set."""

    def forward(self, graph: Graph) -> Dict[str, Tensor]:
        return {"energy": self.layers(graph.types)}


class Careless(PairModel):
    """Gives a block what it does not take."""

    def forward(self, graph: Graph) -> Dict[str, Tensor]:
        return {"energy": shifted_cosine(graph.vectors, graph, self.cutoff)}


@pytest.mark.parametrize(
    ("model_class", "code", "reason"),
    [
        (Forgetful, "self.layers(graph", "has no attribute 'layers'"),
        (Careless, "shifted_cosine(graph", "for argument 'cutoff' but instead found type"),
    ],
)
def test_the_line_of_the_authors_code_is_told_with_the_reason(model_class, code, reason):
    with pytest.raises(MetatrainError) as caught:
        check_scriptable(new_model(model_class=model_class))
    told = str(caught.value)
    lines = Path(__file__).read_text().splitlines()
    number = next(n for n, line in enumerate(lines, 1) if code in line)
    assert told.startswith(f"{model_class.__name__}: cannot be compiled by TorchScript")
    assert f"{__file__}:{number}: " in told
    assert reason in told
    assert "\n" not in told


class Summing(PairModel):
    """Gives one value per batch."""

    def forward(self, graph: Graph) -> Dict[str, Tensor]:
        return {"energy": self.density(graph).sum(dim=1)}


class Choosy(PairModel):
    """Gives another number for a target if it is asked for that alone."""

    def forward(self, graph: Graph, targets: Optional[List[str]] = None) -> Dict[str, Tensor]:
        values: Dict[str, Tensor] = {}
        factor = 1.0 if targets is None else 2.0
        if targets is None or "energy" in targets:
            values["energy"] = factor * self.density(graph)[:, :1]
        return values


class Greedy(PairModel):
    """Takes no notice of what it is asked for."""

    def forward(self, graph: Graph, targets: Optional[List[str]] = None) -> Dict[str, Tensor]:
        return {"energy": self.density(graph)[:, :1]}


class Demanding(PairModel):
    """Wants to be told what it is asked for."""

    def forward(self, graph: Graph, targets: Optional[List[str]]) -> Dict[str, Tensor]:
        values: Dict[str, Tensor] = {}
        if targets is None or "energy" in targets:
            values["energy"] = self.density(graph)[:, :1]
        return values


class Renaming(PairModel):
    """Gives what nobody asked for."""

    def forward(self, graph: Graph) -> Dict[str, Tensor]:
        return {"energies": self.density(graph)}


@pytest.mark.parametrize(
    ("model_class", "message"),
    [
        (Summing, r"Summing: forward gave \(4,\) for 'energy', expected \(4, 1\): one row per"),
        (Renaming, r"Renaming: forward gave only energies, expected values \(4, 1\) for 'energy'"),
        (Choosy, r"Choosy: forward with targets=\['energy'\] gave other values of 'energy' than"),
        (Greedy, r"Greedy: forward with targets=\[\] gave energy, expected the targets that are"),
        (Demanding, r"Demanding: the parameter 'targets' of forward has no default; it needs None"),
    ],
)
def test_values_of_another_shape_or_name_are_refused_before_the_first_step(
    tmp_path, model_class, message
):
    with pytest.raises(MetatrainError, match=message):
        trained(tmp_path, model=new_model(model_class=model_class))
