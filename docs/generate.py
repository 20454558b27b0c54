"""Write docs/architectures: a page for each built-in architecture, from what it says of itself.

Run it after a change of an architecture's options or of the docstring of its package:

    python docs/generate.py
"""

from pathlib import Path

from metatrain import plugins
from metatrain.hypers.description import describe
from metatrain.plugins import Architecture
from metatrain.workflows.list_plugins import facts

FOLDER = Path(__file__).parent / "architectures"
NOTE = "<!-- Written by docs/generate.py from the architecture itself; change it there. -->"


def main() -> None:
    """Write all pages."""
    FOLDER.mkdir(exist_ok=True)
    for path, text in pages().items():
        path.write_text(text, encoding="utf-8")
        print(f"wrote {path}")


def pages() -> dict[Path, str]:
    """The text of each page."""
    ours = [
        plugins.load_architecture(name, "docs")
        for name, entry in plugins.installed("architectures").items()
        if plugins.package_of(entry) == "metatrain"
    ]
    return {FOLDER / "README.md": overview(ours)} | {
        FOLDER / f"{each.name}.md": page(each) for each in ours
    }


def overview(architectures: list[Architecture]) -> str:
    """The page that lists them all."""
    rows = [
        (
            f"[{each.name}]({each.name}.md)",
            each.description.partition("\n")[0],
            ", ".join(each.devices),
            ", ".join(each.dtypes),
        )
        for each in architectures
    ]
    parts = [
        NOTE,
        "# Architectures\n",
        "Those that come with metatrain; `mtt list` shows what is installed.\n",
        *table(("name", "what it is", "devices", "dtypes"), rows),
        "\nTo add one: [A new architecture](../new-architecture.md).",
    ]
    return "\n".join(parts) + "\n"


def page(architecture: Architecture) -> str:
    """The page of one architecture."""
    parts = [
        NOTE,
        f"# {architecture.name}\n",
        f"{architecture.description}\n",
        *table(("", ""), list(facts(architecture).items())),
        "\n## `architecture.model`\n",
        *options(architecture.model_hypers),
        "\n## `architecture.training`\n",
        *options(architecture.train_hypers),
        "\n## References\n",
        *(f"- {reference}" for reference in architecture.references),
    ]
    return "\n".join(parts) + "\n"


def options(schema: type | None) -> list[str]:
    """A table of the options of a dataclass."""
    rows = [
        (f"`{each.name}`", each.meaning, each.type, f"`{each.default}`", each.allowed)
        for each in (describe(schema) if schema else [])
    ]
    return table(("option", "meaning", "type", "default", "allowed"), rows)


def table(titles: tuple[str, ...], rows: list[tuple[str, ...]]) -> list[str]:
    """The lines of a table."""
    cells = [titles, ("---",) * len(titles), *rows]
    return [f"| {' | '.join(cell.replace('|', '&#124;') for cell in row)} |" for row in cells]


if __name__ == "__main__":
    main()
