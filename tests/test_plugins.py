import sys
from textwrap import dedent

import pytest

from metatrain import plugins
from metatrain.errors import MetatrainError

COMPLETE = """
    from dataclasses import dataclass

    import torch

    @dataclass(frozen=True)
    class Hypers:
        size: int = 1

    class Model:
        Hypers = Hypers
        __supported_devices__ = ["cpu"]
        __supported_dtypes__ = [torch.float64]
        def __init__(self, model_hypers, dataset_info): ...
        @classmethod
        def load_checkpoint(cls, path): ...
        def restart(self, dataset_info): ...
        def export(self): ...

    class Trainer:
        def __init__(self, train_hypers): ...
        def train(self, model, devices, train_datasets, val_datasets, checkpoint_dir): ...
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

    def install_package(package, group="losses", entries="", source="", requires=""):
        info = tmp_path / f"{package}-3.1.dist-info"
        info.mkdir()
        head = f"Metadata-Version: 2.1\nName: {package}\nVersion: 3.1\n"
        (info / "METADATA").write_text(head + requires)
        (info / "entry_points.txt").write_text(f"[metatrain.{group}]\n{entries}\n")
        (info / "top_level.txt").write_text(f"{package}\n")
        (tmp_path / f"{package}.py").write_text(dedent(source))

    yield install_package
    for name, module in list(sys.modules.items()):
        if str(getattr(module, "__file__", "")).startswith(str(tmp_path)):
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
        ("raise SystemExit(1)", "SystemExit: 1"),
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
            __supported_devices__ = ["gpu"]
            def __init__(self, model_hypers): ...
            def load_checkpoint(self, path): ...
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
        "Model.__supported_devices__ names 'gpu', a device that does not exist; "
        "devices have names of torch such as 'cpu', 'cuda', 'mps'; "
        "Model.__supported_dtypes__ is missing; "
        "Model(model_hypers) does not take (model_hypers, dataset_info); "
        "Model.load_checkpoint is not a class method; Model.restart is missing; "
        "Model.Hypers is not a dataclass; "
        "__trainer__ is not a class"
    )


TRAIN = "(self, model, devices, train_datasets, val_datasets, checkpoint_dir)"


@pytest.mark.parametrize(
    ("before", "after", "complaint"),
    [
        ('["cpu"]', '"cpu"', 'Model.__supported_devices__ is not a list such as ["cuda", "cpu"]'),
        ('["cpu"]', "[]", 'Model.__supported_devices__ is not a list such as ["cuda", "cpu"]'),
        (
            '["cpu"]',
            '["cuda:0"]',
            "Model.__supported_devices__ names 'cuda:0'; write the kind of device alone",
        ),
        (
            "[torch.float64]",
            "[torch.int32]",
            "Model.__supported_dtypes__ names torch.int32, which is none of torch.float64, torch.float32 and torch.float16",
        ),
        (
            "[torch.float64]",
            '["float64"]',
            "Model.__supported_dtypes__ names 'float64', which is none of torch.float64, torch.float32 and torch.float16",
        ),
        ("frozen=True", "", "Model.Hypers is not frozen; write @dataclass(frozen=True)"),
        (
            "size: int = 1",
            "size: torch.dtype = None",
            "Model.Hypers.size cannot be an option: Unexpected type annotation: dtype",
        ),
        (
            "size: int = 1",
            "size: 'Unknown' = None",
            "Model.Hypers.Hypers cannot be an option: name 'Unknown' is not defined",
        ),
        (TRAIN, "(self, model)", f"Trainer.train(self, model) does not take {TRAIN}"),
        ("def export(self)", "export = 3; def x()", "Model.export is not a method"),
        (
            "def restart(self, dataset_info)",
            "def restart(self)",
            "Model.restart(self) does not take (self, dataset_info)",
        ),
        ("__trainer__ = Model, Trainer", "x = Model, Trainer", "__trainer__ is missing"),
    ],
)
def test_what_is_of_the_wrong_kind_is_named(install, before, after, complaint):
    assert before in COMPLETE
    source = COMPLETE.replace(before, after.replace("; ", "\n        "))
    install("ada", "architectures", "net = ada", source)
    message = "architecture.name: 'net' of package 'ada' is not a complete architecture: "
    assert complaint_about("net") == message + complaint


def test_a_graph_model_without_forward_is_incomplete(install):
    source = COMPLETE.replace(
        "class Model:", "from metatrain.model import GraphModel\n    class Model(GraphModel):"
    )
    install("ada", "architectures", "net = ada", source)
    assert complaint_about("net").endswith("architecture: Model.forward is missing")


def test_what_only_the_interface_defines_is_missing(install):
    source = """
        from metatrain.model import ModelInterface
        from metatrain.trainer import TrainerInterface
        class Model(ModelInterface): ...
        class Trainer(TrainerInterface): ...
        __model__, __trainer__, __authors__, __maintainers__ = Model, Trainer, [], []
    """
    install("ada", "architectures", "net = ada", source)
    for name in ("Model.export", "Model.restart", "Trainer.train", "Trainer.load_checkpoint"):
        assert f"{name} is missing" in complaint_about("net")
    assert "Model.__supported_devices__ is missing" in complaint_about("net")
