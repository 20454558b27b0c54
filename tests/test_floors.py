"""Imports between the rooms go down only; the floors stand here as a literal list."""

import ast
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src"

# From the top down; rooms on one floor may import each other as long as no circle arises.
FLOORS = [
    ["metatrain.__main__"],
    ["metatrain.cli"],
    ["metatrain.workflows"],
    ["architectures", "metatrain.testing"],
    ["metatrain.training", "metatrain.evaluation"],
    ["metatrain.model", "metatrain.trainer"],
    ["metatrain.export", "metatrain.transfer"],
    ["metatrain.published"],
    ["metatrain.standardize", "metatrain.checkpoint"],
    ["metatrain.losses", "metatrain.metrics", "metatrain.options"],
    ["metatrain.data"],
    ["metatrain.nn"],
    [
        "metatrain.plugins",
        "metatrain.contract",
        "metatrain.units",
        "metatrain.log",
        "metatrain.hypers",
        "metatrain.seeds",
        "metatrain.files",
    ],
    ["metatrain.errors"],
    ["metatrain"],
]
# Only these may see the options file's own types.
READERS_OF_OPTIONS = ("metatrain.cli", "metatrain.workflows", "metatrain.options")


def floor_of(module: str) -> int:
    """The floor of a module, from the top."""
    fitting = [
        (len(room), floor)
        for floor, rooms in enumerate(FLOORS)
        for room in rooms
        if module == room or module.startswith(f"{room}.")
    ]
    assert fitting, f"{module} is in no room of the list"
    return max(fitting)[1]


def module_of(path: Path) -> str:
    """The dotted name of a file."""
    parts = list(path.relative_to(SOURCE).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports_of(path: Path) -> set[str]:
    """The modules of ours that a file imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            assert node.module
            for alias in node.names:
                inner = SOURCE / node.module.replace(".", "/") / alias.name
                is_module = inner.with_suffix(".py").exists() or inner.is_dir()
                found.add(f"{node.module}.{alias.name}" if is_module else node.module)
    return {name for name in found if name.split(".")[0] in ("metatrain", "architectures")}


FILES = sorted(SOURCE.glob("*/**/*.py"))


@pytest.mark.parametrize("path", FILES, ids=module_of)
def test_a_module_imports_only_from_its_floor_or_below(path):
    module = module_of(path)
    for imported in imports_of(path):
        assert floor_of(imported) >= floor_of(module), f"{module} imports {imported}"


@pytest.mark.parametrize("path", FILES, ids=module_of)
def test_only_cli_and_workflows_see_the_options(path):
    if not module_of(path).startswith(READERS_OF_OPTIONS):
        assert not {name for name in imports_of(path) if name.startswith("metatrain.options")}


def test_an_architecture_imports_no_other_architecture():
    for path in FILES:
        module = module_of(path)
        if module.startswith("architectures."):
            own = ".".join(module.split(".")[:2])
            for imported in imports_of(path):
                assert not imported.startswith("architectures.") or imported.startswith(own)


def test_the_hub_names_no_architecture():
    names = {path.name for path in (SOURCE / "architectures").iterdir() if path.is_dir()}
    for path in FILES:
        if module_of(path).startswith("metatrain"):
            assert not names & set(path.read_text().replace(".", " ").replace('"', " ").split())


def test_there_is_no_circle():
    graph = {module_of(path): imports_of(path) for path in FILES}
    state: dict[str, str] = {}

    def visit(module: str, trail: tuple[str, ...]) -> None:
        assert state.get(module) != "open", " -> ".join((*trail, module))
        if module in state:
            return
        state[module] = "open"
        for imported in graph.get(module, ()):
            visit(imported, (*trail, module))
        state[module] = "done"

    for module in graph:
        visit(module, ())
