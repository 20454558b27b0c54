"""`mtt list`: the installed plug-ins."""

from metatrain import plugins


def list_plugins() -> None:
    """Print the plug-ins of every kind: name, package and version, and what they point at."""
    rows = []
    for kind in plugins.KINDS:
        for name, entry in sorted(plugins.installed(kind).items()):
            package = f"{entry.dist.name} {entry.dist.version}" if entry.dist else ""
            rows.append((kind, name, package, entry.value))
    widths = [max(len(row[i]) for row in rows) for i in range(3)]
    previous = ""
    for kind, name, package, value in rows:
        shown = kind if kind != previous else ""
        print(f"{shown:{widths[0]}}  {name:{widths[1]}}  {package:{widths[2]}}  {value}")
        previous = kind
