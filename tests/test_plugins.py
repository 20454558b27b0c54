import sys
from textwrap import dedent

import pytest

from metatrain import plugins
from metatrain.errors import MetatrainError

COMPLETE = """
    from dataclasses import dataclass

    @dataclass(frozen=True)
    class Hypers:
        size: int = 1

    class Model:
        Hypers = Hypers
        __supported_devices__ = ["cpu"]
        __supported_dtypes__ = []
        @classmethod
        def load_checkpoint(cls, path): ...
        def restart(self, dataset_info): ...
        def export(self): ...

    class Trainer:
        def train(self, *arguments): ...
        def save_checkpoint(self, path): ...
        @classmethod
        def load_checkpoint(cls, path, train_hypers): ...

    __model__, __trainer__ = Model, Trainer
    __authors__ = [("Ada <ada@example.org>", "@ada")]
    __maintainers__ = [("Ada <ada@example.org>", "@ada")]
"""


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Install a package: its metadata and its one module, where Python finds both."""
    monkeypatch.syspath_prepend(str(tmp_path))
    before = set(sys.modules)

    def install_package(package, group="losses", entries="", source="", requires=""):
        info = tmp_path / f"{package}-3.1.dist-info"
        info.mkdir()
        head = f"Metadata-Version: 2.1\nName: {package}\nVersion: 3.1\n"
        (info / "METADATA").write_text(head + requires)
        (info / "entry_points.txt").write_text(f"[metatrain.{group}]\n{entries}\n")
        (info / "top_level.txt").write_text(f"{package}\n")
        (tmp_path / f"{package}.py").write_text(dedent(source))

    yield install_package
    for name in set(sys.modules) - before:
        del sys.modules[name]


def message_of(kind, name):
    with pytest.raises(MetatrainError) as caught:
        plugins.load(kind, name, "loss")
    assert "\n" not in str(caught.value)
    return str(caught.value)


def complaint_about(architecture):
    with pytest.raises(MetatrainError) as caught:
        plugins.load_architecture(architecture, "architecture.name")
    return str(caught.value)


def test_an_installed_plug_in_is_found_by_its_name(install):
    install("blue", entries="smooth = blue:Smooth", source="class Smooth: ...")
    assert plugins.installed("losses")["smooth"].value == "blue:Smooth"
    assert plugins.load("losses", "smooth", "loss").__name__ == "Smooth"


def test_a_plug_in_belongs_to_one_kind(install):
    install("blue", entries="smooth = blue:Smooth", source="class Smooth: ...")
    assert "smooth" not in plugins.installed("loggers")


def test_module_and_thing_work_without_packaging(install):
    install("blue", source="class Smooth: ...")
    assert plugins.load("losses", "blue:Smooth", "loss").__name__ == "Smooth"


def test_an_unknown_name_is_answered_with_the_nearest_and_what_is_installed(install):
    install("blue", entries="smooth = blue:Smooth\nrough = blue:Rough")
    message = message_of("losses", "smoth")
    assert message.startswith("loss: 'smoth' is not installed; did you mean 'smooth'? installed: ")
    assert {"rough", "smooth"} <= set(message.split("installed: ")[1].split(", "))


def test_what_is_no_name_is_refused():
    assert message_of("losses", 5) == "loss: found 5, expected the name of a plug-in"


def test_two_packages_of_the_same_name_are_told_apart(install):
    install("blue", entries="smooth = blue:Smooth", source="class Smooth: ...")
    install("green", entries="smooth = green:Smooth", source="class Smooth: ...")
    message = message_of("losses", "smooth")
    assert message == "loss: several packages give 'smooth'; write blue:smooth or green:smooth"
    assert plugins.load("losses", "green:smooth", "loss").__module__ == "green"


def test_a_name_may_always_say_its_package(install):
    install("blue", entries="smooth = blue:Smooth", source="class Smooth: ...")
    assert plugins.load("losses", "blue:smooth", "loss").__module__ == "blue"


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("import no_such_module", "No module named 'no_such_module'; try: pip install blue"),
        ("raise RuntimeError('first\\nsecond')", "RuntimeError: first second"),
        ("x = 1", "AttributeError: module 'blue' has no attribute 'Smooth'"),
        ("def f(:", "SyntaxError: "),
    ],
)
def test_a_plug_in_that_cannot_be_imported_says_why(install, source, reason):
    install("blue", entries="smooth = blue:Smooth", source=source)
    message = message_of("losses", "smooth")
    assert message.startswith("loss: 'smooth' of package 'blue' cannot be imported: ")
    assert reason in message


def test_a_missing_module_of_an_extra_names_the_extra(install):
    requires = "Requires-Dist: no-such-module>=1 ; extra == 'fast'\n"
    install("blue", entries="s = blue", source="import no_such_module", requires=requires)
    assert message_of("losses", "s").endswith("try: pip install 'blue[fast]'")


def test_a_module_that_is_nowhere_is_explained():
    message = message_of("losses", "no_such_module:Thing")
    assert "'no_such_module:Thing' cannot be imported" in message
    assert "No module named 'no_such_module'" in message


def test_a_complete_architecture_is_loaded_with_where_it_comes_from(install):
    install("ada", "architectures", "net = ada", COMPLETE)
    found = plugins.load_architecture("net", "architecture.name")
    assert (found.name, found.package, found.version) == ("net", "ada", "3.1")
    assert found.model_class.__name__ == "Model"
    assert found.model_hypers().size == 1
    assert found.train_hypers is None
    assert found.authors == (("Ada <ada@example.org>", "@ada"),)


def test_an_architecture_without_packaging_is_loaded_too(install, tmp_path):
    folder = tmp_path / "loose"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    (folder / "net.py").write_text(dedent(COMPLETE))
    found = plugins.load_architecture("loose:net", "architecture.name")
    assert (found.package, found.version) == ("loose", "")


def test_everything_that_an_architecture_lacks_is_listed_at_once(install):
    source = """
        class Model:
            Hypers = dict
            __supported_devices__ = ["cpu"]
            def export(self): ...

        __model__ = Model
        __trainer__ = 3
        __authors__ = ["Ada"]
    """
    install("ada", "architectures", "net = ada", source)
    assert complaint_about("net") == (
        "architecture.name: 'net' of package 'ada' is not a complete architecture: "
        "__maintainers__ is missing; "
        '__authors__ is not a list of ("Name <email>", "@handle"); '
        "Model.__supported_dtypes__ is missing; Model.load_checkpoint is missing; "
        "Model.restart is missing; Model.Hypers is not a dataclass; "
        "__trainer__ is not a class"
    )
