"""`mtt new`: a package for an architecture of one's own."""

import importlib.util
import keyword
import re
import sys
from importlib import resources
from pathlib import Path
from string import Template

import ase.build
import ase.io
import numpy as np
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator

from metatrain import __version__, plugins
from metatrain.errors import MetatrainError

_FILES = {
    "pyproject.toml": "pyproject.toml",
    "README.md": "README.md",
    "gitignore": ".gitignore",
    "src/__init__.py": "src/{name}/__init__.py",
    "src/model.py": "src/{name}/model.py",
    "tests/conformance.py": "tests/test_{name}.py",
    "example/options.yaml": "example/options.yaml",
}
"""Each file of the template, and where it goes."""
_NUM_SYSTEMS = 80


def write_package(name: str, folder: Path | None) -> None:
    """Write the package, and say what to do next.

    :param name: of the architecture, and of the Python package
    :param folder: what to write; ``None`` for the name
    """
    folder = folder or Path(name)
    if folder.exists():
        raise MetatrainError(f"mtt new: {folder} exists already; choose another place with -o.")
    module = _module_name(name)
    try:
        for source, target in _FILES.items():
            path = folder / target.format(name=module)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(render(source, module), encoding="utf-8")
        _write_example_data(folder / "example" / "copper_gold.xyz")
    except (PermissionError, NotADirectoryError) as error:
        raise MetatrainError(f"mtt new: {folder} cannot be written: {error.strerror}.") from error
    print(f"wrote {folder}; the model is in {folder / 'src' / module / 'model.py'}. Next:")
    for line, what in (
        (f"cd {folder}", ""),
        ("pip install -e '.[test]'", "so that metatrain finds it"),
        ("pytest", "physics, export, restart: the conformance suite"),
        ("cd example && mtt train options.yaml", "a first potential, in less than a minute"),
    ):
        print(f"  {line:38}{'# ' if what else ''}{what}".rstrip())


def render(source: str, name: str) -> str:
    """One file of the template, for an architecture of this name.

    :param source: its path in the template
    :param name: name of the Python package
    """
    template = resources.files("metatrain") / "template" / f"{source}.template"
    words = {"name": name, "project": name.replace("_", "-"), "version": __version__}
    return Template(template.read_text(encoding="utf-8")).substitute(words)


def _module_name(name: str) -> str:
    """The name as Python and options files may have it."""
    module = name.replace("-", "_")
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", module) or keyword.iskeyword(module):
        raise MetatrainError(
            f"mtt new: {name!r} is no name of a Python package; use letters, digits and '_', "
            "beginning with a letter."
        )
    taken = ""
    if module in plugins.installed("architectures"):
        taken = "an architecture"
    elif module in sys.stdlib_module_names or _is_importable(module):
        taken = "a Python package"
    if taken:
        raise MetatrainError(f"mtt new: {module!r} is {taken} that is installed; choose another.")
    return module


def _is_importable(module: str) -> bool:
    """Whether Python finds the module; a mere folder, which it would take for one, does not count."""
    spec = importlib.util.find_spec(module)
    return spec is not None and spec.origin is not None


def _write_example_data(path: Path) -> None:
    """Cells of copper and gold, with the energies of a potential that needs no data.

    Labels of ASE's effective-medium theory (K. W. Jacobsen, P. Stoltze and J. K. Norskov,
    Surf. Sci. 366, 394 (1996)): energies in eV, forces in eV/A, stress in eV/A^3.
    """
    random = np.random.default_rng(0)
    systems = []
    for _ in range(_NUM_SYSTEMS):
        atoms = ase.build.bulk("Cu", "fcc", a=3.85, cubic=True)
        atoms.symbols[random.random(len(atoms)) < random.random()] = "Au"
        atoms.set_cell(
            atoms.cell @ (np.eye(3) + random.normal(0.0, 0.02, (3, 3))), scale_atoms=True
        )
        atoms.positions += random.normal(0.0, 0.12, (len(atoms), 3))
        atoms.calc = EMT()
        labels = {"energy": atoms.get_potential_energy(), "forces": atoms.get_forces()}
        atoms.calc = SinglePointCalculator(atoms, **labels, stress=atoms.get_stress())
        systems.append(atoms)
    ase.io.write(path, systems)
