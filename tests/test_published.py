"""Published checkpoints: what is read from them, and that nothing in one can do any harm."""

import gzip
import io
import os
import pickle
import random
import re
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from metatrain import checkpoint
from metatrain.errors import MetatrainError
from metatrain.published import architecture_of, is_published, read
from metatrain.published.archive import UnreadableError
from metatrain.published.blocks import read_blocks
from metatrain.published.contents import dataset_info_of, standardization_of
from metatrain.published.pickles import Record, unpickle
from pair_model import PairModel

REFERENCE = Path(__file__).parent / "architectures" / "soap_bpnn" / "reference"
GENUINE = REFERENCE / "soap_bpnn_test_v9.ckpt.gz"
MULTITARGET = REFERENCE / "soap_bpnn_legacy_multitarget_seed1.ckpt"
ORDERED_DICT = b"ccollections\nOrderedDict\n"
RECORD = b"ctorch\nScriptObject\n)\x81"
REBUILD = b"ctorch._utils\n_rebuild_tensor_v2\n"


def text(value):
    return b"X" + struct.pack("<I", len(value.encode())) + value.encode()


def number(value):
    return b"J" + struct.pack("<i", value)


def storage(size=3, key="0"):
    return (
        b"("
        + text("storage")
        + b"ctorch\nFloatStorage\n"
        + text(key)
        + text("cpu")
        + number(size)
        + b"tQ"
    )


def tensor(offset=0, shape=(3,), strides=(1,), size=3):
    numbers = [b"(" + b"".join(map(number, values)) + b"t" for values in (shape, strides)]
    return REBUILD + b"(" + storage(size) + number(offset) + b"".join(numbers) + b"\x89}tR"


def entries_of(path):
    content = path.read_bytes()
    content = gzip.decompress(content) if path.suffix == ".gz" else content
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def write_archive(path, entries, compression=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return path


def write_pickle(path, value):
    """A file like a published checkpoint, with any value in it."""
    keys = b"".join(
        text(key) + b"N" for key in ("architecture_name", "model_ckpt_version", "model_data")
    )
    content = b"\x80\x02}(" + keys + text("value") + value + b"u."
    return write_archive(path, {"root/data.pkl": content, "root/data/0": bytes(12)})


def message_of(path, function=read):
    with pytest.raises(MetatrainError) as caught:
        function(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert message.isprintable()
    return message.removeprefix(f"{path}: ")


def attacks(marker):
    """Pickles that would create ``marker`` if Python's unpickler read them, by what they use."""
    command = text(f"touch {marker}")
    call = b"cposix\nsystem\n" + command + b"\x85R"
    return {
        "a call": call,
        "the state of a record": RECORD + call + b"b",
        "a payload within a record": RECORD + call + text("TensorMap") + b"\x86b",
        "arguments of an OrderedDict": ORDERED_DICT + call + b"\x85R",
        "the state of an OrderedDict": ORDERED_DICT + b")R" + call + b"b",
        "a key": b"}" + call + b"Ns",
        "a persistent id": call + b"Q",
        "names on the stack": text("posix") + text("system") + b"\x93" + command + b"\x85R",
        "an old class": b"(" + command + b"iposix\nsystem\n",
        "a memo": b"cposix\nsystem\nq\x070h\x07" + command + b"\x85R",
    }


def test_a_file_is_known_by_its_content_and_not_by_its_name(tmp_path):
    renamed = tmp_path / "x.pt"
    renamed.write_bytes(MULTITARGET.read_bytes())
    assert is_published(renamed)
    assert is_published(GENUINE)
    assert architecture_of(GENUINE) == "soap_bpnn"


def test_other_files_are_not_published(tmp_path):
    checkpoint.save(tmp_path / "ours.ckpt", {"model": {}})
    torch.jit.script(torch.nn.Linear(1, 1)).save(tmp_path / "exported.pt")
    torch.save({"model": 1}, tmp_path / "theirs.ckpt")
    (tmp_path / "text").write_text("architecture_name model_ckpt_version model_data")
    (tmp_path / "broken.ckpt").write_bytes(b"PK\x03\x04")
    assert not any(is_published(path) for path in tmp_path.iterdir())
    assert not is_published(tmp_path / "missing.ckpt")
    assert not is_published(tmp_path)


def test_targets_are_read_with_units_samples_and_components():
    info = read(MULTITARGET).dataset_info
    assert (info.length_unit, info.atomic_types) == ("Angstrom", [1, 6, 7, 8])
    kinds = {n: (t.quantity, t.unit, t.sample_kind, t.rank) for n, t in info.targets.items()}
    assert kinds == {
        "energy": ("energy", "eV", "system", 0),
        "non_conservative_force": ("force", "eV/Angstrom", "atom", 1),
        "non_conservative_stress": ("pressure", "eV/A^3", "system", 2),
        "mtt::charges": ("charge", "e", "atom", 0),
        "mtt::sph": ("", "", "system", 0),
    }
    assert info.targets["mtt::charges"].num_properties == 3
    assert info.targets["mtt::sph"].irreps == ((0, 1), (1, 1), (2, 1), (3, 1), (1, -1))


def test_baselines_and_scales_are_rows_of_the_targets_values():
    published = read(MULTITARGET)
    baselines, scales = published.standardization.baselines, published.standardization.scales
    assert baselines["energy"].tolist() == [
        [-13.587222780835477],
        [-1029.489036],
        [-1484.984],
        [-2041.9816],
    ]
    for name, target in published.dataset_info.targets.items():
        assert baselines[name].shape == (4, target.num_values)
        assert scales[name].shape == (4 if target.is_per_atom else 1, target.num_values)
        assert baselines[name].dtype == scales[name].dtype == torch.float64
    # one scale for the components of a tensor, one for each of its properties
    assert len(scales["non_conservative_force"][0].unique()) == 1
    quadrupole = scales["mtt::sph"][0, 8:18].reshape(5, 2)
    assert torch.equal(quadrupole, quadrupole[:1].expand(5, 2))
    # only what is invariant has a baseline
    assert baselines["mtt::sph"][:, :2].all()
    assert not baselines["mtt::sph"][:, 2:].any()


def test_weights_are_the_best_ones_without_those_of_baseline_and_scale():
    published = read(GENUINE)
    assert (published.architecture, published.version) == ("soap_bpnn", 9)
    assert published.hypers["soap"]["cutoff"] == {"radius": 5.0, "width": 0.5}
    assert published.weights["bpnn.module_list.3.0.weight"].shape == (1, 80)
    assert published.weights["bpnn.module_list.3.0.weight"].dtype == torch.float32
    assert not any(name.startswith(("scaler", "additive_models")) for name in published.weights)


def test_a_missing_length_unit_is_said(caplog):
    with caplog.at_level("INFO", logger="metatrain"):
        assert read(GENUINE).dataset_info.length_unit == "angstrom"
    assert "angstrom is assumed" in caplog.text


@pytest.mark.parametrize("kind", attacks(""))
@pytest.mark.parametrize("is_compressed", [False, True])
def test_an_attack_is_refused_by_name_and_not_run(tmp_path, kind, is_compressed):
    marker, path = tmp_path / "marker", tmp_path / "model.ckpt"
    write_pickle(path, attacks(marker)[kind])
    if is_compressed:
        path.write_bytes(gzip.compress(path.read_bytes()))
    assert is_published(path)
    for function in (read, architecture_of, PairModel.load_checkpoint):
        assert message_of(path, function) == (
            "holds posix.system, which no checkpoint needs; nothing of it was run."
        )
    assert not marker.exists()


@pytest.mark.parametrize("kind", ["a call", "names on the stack", "an old class", "a memo"])
def test_these_attacks_are_attacks(tmp_path, kind):
    pickle.loads(b"\x80\x02" + attacks(tmp_path / "marker")[kind] + b".")
    assert (tmp_path / "marker").exists()


def test_an_attack_without_an_archive_is_refused(tmp_path):
    marker, path = tmp_path / "marker", tmp_path / "model.ckpt"
    attack = b"\x80\x02" + attacks(marker)["a call"] + b"."
    for content in (attack, gzip.compress(attack)):
        path.write_bytes(content)
        message_of(path, PairModel.load_checkpoint)
        assert not marker.exists()


@pytest.mark.parametrize(
    ("value", "instruction"),
    [(b"\x82\x01", "EXT1"), (b"Pposix\n", "PERSID"), (b"N0", "POP"), (b"\x8f", "EMPTY_SET")],
)
def test_other_instructions_are_refused_by_name(tmp_path, value, instruction):
    message = message_of(write_pickle(tmp_path / "model.ckpt", value))
    assert message.startswith(f"holds the pickle instruction {instruction}, which no checkpoint")


@pytest.mark.parametrize(
    "name", ["os\\n\\x1b[2J", "collections OrderedDict.fromkeys", "torch load"]
)
def test_names_near_the_known_ones_are_refused_in_one_line(tmp_path, name):
    module, _, rest = name.partition(" ")
    value = b"c" + module.encode() + b"\n" + rest.encode() + b"\n"
    assert "which no checkpoint needs" in message_of(write_pickle(tmp_path / "model.ckpt", value))


def test_a_set_tells_of_the_age_of_the_file(tmp_path):
    value = b"c__builtin__\nset\n]\x85R"
    assert "load and save it with metatrain" in message_of(write_pickle(tmp_path / "a.ckpt", value))


@pytest.mark.parametrize(
    "value",
    [
        b"R",  # nothing on the stack
        b"(" + b"R",  # below a mark
        b"t",  # no mark
        b"h\x63",  # no such memo
        b"NNR",  # a call of nothing
        b"NN\x81",
        b"N}b",  # a state for nothing
        ORDERED_DICT + b"}b",  # a state for the class itself
        ORDERED_DICT + b"}\x85R",
        ORDERED_DICT + b")\x81",
        ORDERED_DICT + b"NR",
        RECORD + text("append") + b"a",
        RECORD + text("key") + b"Ns",
        b"ctorch\nScriptObject\n}\x81",
        b"ctorch\nFloatStorage\n)R",
        REBUILD + b")R",
        REBUILD + b"(NNNNNNtR",
        b"})Ns",  # a tuple as a key
        b"}(Nu",  # a key without a value
        b"NQ",
        b"(" + text("storage") + ORDERED_DICT + text("0") + text("cpu") + b"K\x01tQ",
        b"X\xff\xff\xff\x7f",  # a text of 2 GiB
        b"\x8a\xff",
        b"r\xff\xff\xff\x7f" + b"a",
    ],
)
def test_a_senseless_pickle_is_damaged(tmp_path, value):
    assert message_of(write_pickle(tmp_path / "model.ckpt", value)) == "is damaged."


def test_what_is_nested_deeply_or_holds_itself_is_read(tmp_path):
    assert unpickle(b"\x80\x02)" + b"\x85" * 100_000 + b".")
    held = unpickle(b"\x80\x02]q\x00h\x00a.")
    assert held[0] is held


def with_option(path, value):
    """The genuine checkpoint with another value of an option."""
    entries = entries_of(GENUINE)
    before = re.compile(re.escape(text("zbl")) + rb"q.\x89", re.DOTALL)
    content, count = before.subn(lambda _: text("zbl") + value, entries["checkpoint/data.pkl"])
    assert count == 1
    return write_archive(path, entries | {"checkpoint/data.pkl": content})


@pytest.mark.parametrize(
    "value",
    [
        b"]q\x07h\x07a",  # a list that holds itself
        b"]" * 20 + b"a" * 19,
        b"](" + b"N" * 2000 + b"e",
        b"](" + (b"](" + b"N" * 999 + b"eq\x07") + b"h\x07" * 999 + b"e",  # a million
        b"}K\x01Ns",
        ORDERED_DICT,
        RECORD,
        tensor(),
    ],
)
def test_options_are_plain_values_and_not_too_many(tmp_path, value):
    assert message_of(with_option(tmp_path / "a.ckpt", value)) == "is damaged."


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (text("eV"), text("e\n")),
        (text("energy"), text("energ\x1b")),
        (text("soap_bpnn"), text("os:system")),
    ],
)
def test_names_and_units_are_of_one_line(tmp_path, old, new):
    entries = entries_of(GENUINE)
    entries["checkpoint/data.pkl"] = entries["checkpoint/data.pkl"].replace(old, new)
    assert message_of(write_archive(tmp_path / "a.ckpt", entries)) == "is damaged."


def tensor_file(tmp_path, **claims):
    """The genuine checkpoint with one weight described anew."""
    entries = entries_of(GENUINE)
    entries["checkpoint/data/evil"] = bytes(12)
    content = entries["checkpoint/data.pkl"]
    value = tensor(**claims).replace(text("0"), text("evil"))
    end = content.rindex(text("best_model_state_dict")) + len(text("best_model_state_dict"))
    weights = b"}" + text("weight") + value + b"s"
    entries["checkpoint/data.pkl"] = content[:end] + weights + b"u."
    return write_archive(tmp_path / "model.ckpt", entries)


def test_a_tensor_is_read_with_its_strides(tmp_path):
    path = tensor_file(tmp_path, offset=1, shape=(1, 2), strides=(5, 1))
    assert read(path).weights["weight"].shape == (1, 2)


@pytest.mark.parametrize(
    "claims",
    [
        {"offset": 1},
        {"offset": 2**31 - 1},
        {"shape": (4,)},
        {"strides": (2,)},
        {"shape": (2**31 - 1,), "strides": (0,)},
        {"shape": (2, 3), "strides": (0, 1)},
        {"size": 4},
        {"size": 2**31 - 1, "shape": (2**31 - 1,)},
        {"size": 2},
    ],
)
def test_a_tensor_that_claims_more_than_its_storage_is_refused(tmp_path, claims):
    assert message_of(tensor_file(tmp_path, **claims)) == (
        "has a tensor that reaches beyond its storage."
    )


@pytest.mark.parametrize(
    "claims",
    [
        {"offset": -1},
        {"shape": (-3,)},
        {"strides": (-1,)},
        {"shape": (1,) * 9, "strides": (1,) * 9},
        {"shape": (3, 1)},
        {"size": -3},
    ],
)
def test_a_tensor_of_senseless_sizes_is_refused(tmp_path, claims):
    assert message_of(tensor_file(tmp_path, **claims)) in (
        "is damaged.",
        "has a tensor that reaches beyond its storage.",
    )


def test_an_unknown_kind_of_storage_is_refused(tmp_path):
    value = storage().replace(b"FloatStorage", b"QInt8Storage")
    assert "torch.QInt8Storage" in message_of(write_pickle(tmp_path / "model.ckpt", value))


@pytest.mark.parametrize("kept", [1, 50, 1000, 20_000, -1, -30])
def test_a_truncated_file_is_damaged(tmp_path, kept):
    path = tmp_path / "model.ckpt.gz"
    path.write_bytes(GENUINE.read_bytes()[:kept])
    assert message_of(path, PairModel.load_checkpoint).startswith(("is damaged", "is not"))
    path.write_bytes(gzip.decompress(GENUINE.read_bytes())[:kept])
    assert message_of(path, PairModel.load_checkpoint).startswith(("is damaged", "is not"))


def test_compressed_parts_and_another_byte_order_are_refused(tmp_path):
    entries = entries_of(GENUINE)
    path = write_archive(tmp_path / "a.ckpt", entries, zipfile.ZIP_DEFLATED)
    assert message_of(path) == "holds compressed or encrypted parts, and should not."
    entries["checkpoint/byteorder"] = b"big"
    path = write_archive(tmp_path / "b.ckpt", entries)
    assert message_of(path) == "was not written by a little-endian machine."


def test_parts_that_overlap_are_refused(tmp_path):
    # each could be read, and all of them are far more than the file
    inner = write_archive(tmp_path / "inner", {"root/data.pkl": bytes(1000)})
    with zipfile.ZipFile(tmp_path / "outer.ckpt", "w") as outer, zipfile.ZipFile(inner) as archive:
        outer.writestr("root/data/0", inner.read_bytes())
        (within,) = archive.infolist()
        within.header_offset += 30 + len("root/data/0")  # what stands before the inner archive
        outer.filelist.append(within)
        outer.NameToInfo[within.filename] = within
    assert message_of(tmp_path / "outer.ckpt") == "is damaged."


def test_a_file_that_expands_without_end_is_refused(tmp_path):
    path = tmp_path / "model.ckpt.gz"
    path.write_bytes(gzip.compress(bytes(50_000_000)))
    assert "expands to more than 10 times its size" in message_of(path)


def array_file(array):
    file = io.BytesIO()
    np.save(file, array, allow_pickle=True)
    return file.getvalue()


def buffer_of(**arrays):
    """A ``TensorMap`` buffer of one block without components."""
    block = {"samples": np.zeros(2, [("center_type", "<i4")]), "values": np.zeros((2, 1))}
    files = {
        "keys.npy": array_file(np.zeros(1, [("_", "<i4")])),
        **{f"blocks/0/{name}.npy": array_file(array) for name, array in block.items()},
    }
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in (files | arrays).items():
            archive.writestr(name, content)
    return torch.frombuffer(bytearray(file.getvalue()), dtype=torch.uint8)


def test_a_block_has_samples_and_values():
    (block,) = read_blocks(buffer_of())
    assert (block.key, len(block.samples), block.values.shape) == ({"_": 0}, 2, (2, 1))


class Malicious:
    """Makes a folder when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("name", ["keys.npy", "blocks/0/samples.npy", "blocks/0/values.npy"])
def test_arrays_of_objects_are_refused_and_not_unpickled(tmp_path, name):
    evil = array_file(np.array([Malicious(tmp_path / "marker")], dtype=object))
    with pytest.raises(UnreadableError):
        read_blocks(buffer_of(**{name: evil}))
    assert not (tmp_path / "marker").exists()
    np.load(io.BytesIO(evil), allow_pickle=True)
    assert (tmp_path / "marker").exists()


@pytest.mark.parametrize("shape", [b"(9999999999, 9)", b"(-2, -1)", b"(2, 2**9)"])
def test_an_array_that_is_not_as_large_as_it_says_is_refused(shape):
    genuine = array_file(np.zeros((2, 1)))
    old = b"(2, 1), }" + b" " * (len(shape) - 6)
    assert old in genuine
    with pytest.raises((UnreadableError, ValueError)):
        read_blocks(buffer_of(**{"blocks/0/values.npy": genuine.replace(old, shape + b", }")}))


def outcome_of(path):
    try:
        read(path)
    except MetatrainError as error:
        return str(error)
    return "read"


def test_random_damage_is_harmless_or_ends_in_one_line(tmp_path):
    random_numbers = random.Random(0)
    entries, path = entries_of(GENUINE), tmp_path / "model.ckpt"
    buffers = [name for name, content in entries.items() if content[:2] == b"PK"]
    outcomes = []
    for _ in range(100):
        name = random_numbers.choice(["checkpoint/data.pkl"] * 3 + buffers)
        damaged = bytearray(entries[name])
        place = random_numbers.randrange(len(damaged))
        damaged[place : place + random_numbers.randrange(3)] = random_numbers.randbytes(2)
        write_archive(path, entries | {name: bytes(damaged)})
        outcomes.append(outcome_of(path))
    assert all(outcome.isprintable() for outcome in outcomes)
    assert outcomes.count("read") < 50


def info_with(layout, **changes):
    """What is made of a target with this layout."""
    record = Record("TargetInfo", {"quantity": "", "unit": "", "layout": Record("", layout)})
    record.state |= changes
    state = {"length_unit": "nm", "_atomic_types": [8, 1], "targets": {"x": record}}
    return dataset_info_of(state, lambda buffer: buffer)


def test_a_description_is_a_text_and_what_stands_for_millions_is_not():
    layout = layout_of(np.zeros((0, 1)))
    info = info_with(layout, description="two\nlines")
    assert info.targets["x"].description == "two lines"
    assert info_with(layout, description=None).targets["x"].description == ""
    bomb = ()
    for _ in range(34):
        bomb = (bomb, bomb)
    for damaged in (bomb, [], "\x1b[2J"):
        with pytest.raises(UnreadableError):
            info_with(layout, description=damaged)


def layout_of(values, samples=("system",), **arrays):
    names = [(name, "<i4") for name in samples]
    files = {"samples": np.zeros(len(values), names), "values": values}
    files = {f"blocks/0/{name}.npy": array_file(array) for name, array in files.items()}
    return buffer_of(**files, **arrays), "torch.metatensor.TensorMap"


def test_gradients_in_a_layout_say_what_there_is():
    gradient = {"blocks/0/gradients/strain/values.npy": b""}
    target = info_with(layout_of(np.zeros((0, 1)), **gradient)).targets["x"]
    assert (target.has_forces, target.has_stress) == (False, True)


def test_atomic_types_are_sorted():
    assert info_with(layout_of(np.zeros((0, 1)))).atomic_types == [1, 8]


@pytest.mark.parametrize(
    ("layout", "changes"),
    [
        (layout_of(np.zeros((0, 10**9))), {}),  # would make a baseline of 16 GB
        (layout_of(np.zeros((0, 2, 1))), {}),
        (layout_of(np.zeros((0, 3, 1)), samples=("system", "atom")), {"is_atomic_basis": True}),
    ],
)
def test_targets_of_unknown_kinds_are_refused(layout, changes):
    with pytest.raises(UnreadableError, match="has the target 'x' o"):
        info_with(layout, **changes)


@pytest.mark.parametrize("types", [[1, 6], [1, 8, 9], [8]])
def test_a_baseline_of_other_atomic_types_is_refused(types):
    info = info_with(layout_of(np.zeros((0, 1))))
    samples = np.array([(number,) for number in types], dtype=[("center_type", "<i4")])
    files = {"samples": samples, "values": np.ones((len(types), 1))}
    buffer = buffer_of(**{f"blocks/0/{n}.npy": array_file(array) for n, array in files.items()})
    with pytest.raises(UnreadableError):
        standardization_of({"additive_models.0.x_composition_buffer": buffer}, info)


def test_a_target_without_baseline_and_scale_has_zero_and_one():
    info = info_with(layout_of(np.zeros((0, 2))))
    standardization = standardization_of({}, info)
    assert standardization.baselines["x"].tolist() == [[0.0, 0.0], [0.0, 0.0]]
    assert standardization.scales["x"].tolist() == [[1.0, 1.0]]
