"""Variables of TensorFlow bundles written by a writer of the test's own, and of a real SavedModel."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edge_sacro.errors import UsageError
from export.tensorflow.checksum import crc32c
from export.tensorflow.variables import variables_from_checkpoint, variables_from_saved_model
from tests.export.tensorflow_writer import TAIL, Form, TrackedObject, plain_crc32c, write_bundle, write_model

RNG = np.random.default_rng(7)
VARIABLES = {
    "stem_conv2d/kernel": RNG.normal(size=(3, 3, 3, 8)).astype(np.float32),
    "stem_bn/gamma": RNG.normal(size=8).astype(np.float32),
    "logits/kernel": RNG.normal(size=(200, 100)).astype(np.float32),
    "double": RNG.normal(size=(2, 1)),
    "count": np.array(3, np.int64),
    "short": np.array([-1, 2], np.int32),
    "flag": np.array([True, False]),
    "none": np.zeros((0, 4), np.float32),
}


def assert_same(found: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> None:
    assert sorted(found) == sorted(expected)
    for name, value in expected.items():
        np.testing.assert_array_equal(found[name], value)
        assert (found[name].dtype, found[name].shape) == (value.dtype, value.shape)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"123456789", 0xE3069283),
        (bytes(32), 0x8A9136AA),
        (b"\xff" * 32, 0x62A8AB43),
        (bytes(range(32)), 0x46DD794E),
        (bytes(range(31, -1, -1)), 0x113FDB5C),
    ],
)
def test_the_checksum_is_that_of_rfc_3720(data: bytes, expected: int) -> None:
    assert crc32c(data) == expected


@pytest.mark.parametrize("size", [(1 << 16) - 1, 1 << 16, 70_001])
def test_the_checksum_of_a_large_buffer_is_the_bytewise_one(size: int) -> None:
    data = np.random.default_rng(size).integers(0, 256, size, np.uint8).tobytes()
    assert crc32c(data) == plain_crc32c(data)
    assert crc32c(data[:-1] + bytes([data[-1] ^ 1])) != plain_crc32c(data)


@pytest.mark.parametrize("form", [Form(), Form(shards=3), Form(block=2), Form(block=1, shards=2)])
def test_variables_come_back_by_full_name(tmp_path: Path, form: Form) -> None:
    write_model(tmp_path / "ckpt-0", VARIABLES, form)
    assert_same(variables_from_checkpoint(tmp_path / "ckpt-0"), VARIABLES)


def test_a_saved_model_is_read_from_its_folder(tmp_path: Path) -> None:
    write_model(tmp_path / "variables" / "variables", VARIABLES, root="_model")
    assert_same(variables_from_saved_model(tmp_path), VARIABLES)


def training_run(prefix: Path) -> None:
    """A model of two variables, step, save counter and an optimizer with rate and slots: what a training run saves."""
    names = ["conv/kernel", "conv/bias"]
    keys = [f"model/_feature_extractor/{index}{TAIL}" for index in range(2)]
    slot_keys = [f"{key.removesuffix(TAIL)}/.OPTIMIZER_SLOT/optimizer/momentum{TAIL}" for key in keys]
    nodes = [
        TrackedObject({"step": 1, "model": 2, "optimizer": 3, "save_counter": 4}),
        TrackedObject(full_name="Variable", key=f"step{TAIL}"),
        TrackedObject({"_feature_extractor": 5}),
        TrackedObject({"learning_rate": 8}, slots=[(6, "momentum", 9), (7, "momentum", 10)]),
        TrackedObject(full_name="save_counter", key=f"save_counter{TAIL}"),
        # A slot may hang under the model too, where a layer holds its optimizer.
        TrackedObject({"0": 6, "1": 7, "optimizer_state": 9}),
        *(TrackedObject(full_name=name, key=key) for name, key in zip(names, keys, strict=True)),
        TrackedObject(full_name="learning_rate", key=f"optimizer/learning_rate{TAIL}"),
        *(TrackedObject(full_name=f"{n}/Momentum", key=k) for n, k in zip(names, slot_keys, strict=True)),
    ]
    arrays = {node.key: np.full(3, index, np.float32) for index, node in enumerate(nodes) if node.key}
    write_bundle(prefix, arrays, nodes)


def test_an_optimizers_slots_and_counters_are_left_out(tmp_path: Path) -> None:
    training_run(tmp_path / "ckpt-25")
    found = variables_from_checkpoint(tmp_path / "ckpt-25")
    assert_same(found, {"conv/kernel": np.full(3, 6, np.float32), "conv/bias": np.full(3, 7, np.float32)})


def test_two_variables_of_one_name_are_refused(tmp_path: Path) -> None:
    keys = [f"model/{index}{TAIL}" for index in range(2)]
    nodes = [TrackedObject({"model": 1}), TrackedObject({"a": 2, "b": 3})]
    nodes += [TrackedObject(full_name="twice", key=key) for key in keys]
    write_bundle(tmp_path / "ckpt-0", {key: np.zeros(1, np.float32) for key in keys}, nodes)
    with pytest.raises(UsageError, match=r"called 'twice' \(model/1"):
        variables_from_checkpoint(tmp_path / "ckpt-0")


def test_a_variable_that_the_index_lacks_is_named(tmp_path: Path) -> None:
    nodes = [TrackedObject({"model": 1}), TrackedObject(full_name="a", key="gone")]
    write_bundle(tmp_path / "ckpt-0", {"other": np.zeros(1, np.float32)}, nodes)
    with pytest.raises(UsageError, match="the index lacks gone"):
        variables_from_checkpoint(tmp_path / "ckpt-0")


@pytest.mark.parametrize(
    ("form", "told"),
    [
        (Form(compression=1), r"compressed \(snappy\); only uncompressed"),
        (Form(compression=4), r"compressed \(type 4\)"),
        (Form(endianness=1), "big-endian"),
        (Form(graph=False), "no object graph"),
    ],
)
def test_what_is_not_read_is_refused_and_named(tmp_path: Path, form: Form, told: str) -> None:
    write_model(tmp_path / "ckpt-0", VARIABLES, form)
    with pytest.raises(UsageError, match=rf"ckpt-0: .*{told}"):
        variables_from_checkpoint(tmp_path / "ckpt-0")


def test_a_bundle_without_variables_is_refused(tmp_path: Path) -> None:
    write_model(tmp_path / "ckpt-0", {})
    with pytest.raises(UsageError, match="names no variable"):
        variables_from_checkpoint(tmp_path / "ckpt-0")


def test_a_missing_file_is_refused_by_its_path(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"variables\.index"):
        variables_from_saved_model(tmp_path)
    write_model(tmp_path / "ckpt-0", VARIABLES, Form(shards=2))
    (tmp_path / "ckpt-0.data-00001-of-00002").unlink()
    with pytest.raises(UsageError, match="data-00001-of-00002"):
        variables_from_checkpoint(tmp_path / "ckpt-0")


def test_a_flipped_bit_of_a_tensor_is_found(tmp_path: Path) -> None:
    write_model(tmp_path / "ckpt-0", VARIABLES)
    path = tmp_path / "ckpt-0.data-00000-of-00001"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(UsageError, match=r"the checksum of model/part/\d/\.ATTRIBUTES/VARIABLE_VALUE differs"):
        variables_from_checkpoint(tmp_path / "ckpt-0")


@pytest.mark.parametrize("file", ["ckpt-0.index", "ckpt-0.data-00000-of-00001"])
def test_a_truncated_or_damaged_file_is_refused_and_nothing_else(tmp_path: Path, file: str) -> None:
    few = {name: VARIABLES[name] for name in ("stem_bn/gamma", "count", "short")}
    write_model(tmp_path / "ckpt-0", few)
    whole = (tmp_path / file).read_bytes()
    assert_same(variables_from_checkpoint(tmp_path / "ckpt-0"), few)
    refused = 0
    for at in range(0, len(whole), 3):
        for damaged in (whole[:at], whole[:at] + bytes([whole[at] ^ 0x55]) + whole[at + 1 :]):
            (tmp_path / file).write_bytes(damaged)
            try:
                found = variables_from_checkpoint(tmp_path / "ckpt-0")
            except UsageError:
                refused += 1
            else:
                assert_same(found, few)
    assert refused > 2 * (len(whole) // 3) * 0.7


@pytest.mark.shared
def test_a_real_saved_model_gives_every_variable(shared_dir: Path) -> None:
    found = variables_from_saved_model(shared_dir / "data" / "tfod_efficientdet_d0" / "saved_model")
    assert len(found) == 683
    assert found["stem_conv2d/kernel"].shape == (3, 3, 3, 32)
    assert found["EfficientDet-D0/bifpn/node_25/3_up_lvl_7/combine/bifpn_combine_weights"].shape == (2, 1)
    assert all(value.dtype == np.float32 and np.isfinite(value).all() for value in found.values())
