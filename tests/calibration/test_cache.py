"""The calibration cache: TensorRT's text format, made and read back, and what it has no scale for."""

from __future__ import annotations

import pytest

from calibration.cache import cache_from_scales, header_from_version, scales_from_cache, tensors_without_scale
from calibration.graph import prepared
from calibration.ranges import observe
from edge_sacro.errors import UsageError
from tests.calibration.nets import random_inputs, residual_net


def test_a_scale_is_eight_hex_digits_of_a_big_endian_single() -> None:
    """IEEE 754, most significant byte first: sign, exponent 127 + e, fraction."""
    text = cache_from_scales({"b": 1.0, "a": 255 / 127, "half": 0.5}, "10.3.0")
    assert text == "TRT-100300-EntropyCalibration2\na: 40008102\nb: 3f800000\nhalf: 3f000000\n"


def test_it_reads_back_as_it_was_written_colons_in_names_too() -> None:
    scales = {"image": 0.0078125, "block/conv: out": 2.5}
    assert scales_from_cache(cache_from_scales(scales, "8.5.2")) == ("TRT-8502-EntropyCalibration2", scales)
    with pytest.raises(UsageError, match="no line"):
        scales_from_cache("TRT-8502-EntropyCalibration2\nimage 3f800000\n")


def test_versions_without_implicit_quantisation_are_refused() -> None:
    assert header_from_version("8.6.1") == "TRT-8601-EntropyCalibration2"
    with pytest.raises(UsageError, match="no implicit quantisation"):
        header_from_version("11.4.1")


def test_every_activation_has_a_scale_and_one_that_has_none_is_named() -> None:
    content = residual_net()
    scales = observe(prepared(content), random_inputs()).limits("minmax")
    assert tensors_without_scale(content, scales) == []
    assert "image" in scales
    del scales["swish"]
    assert tensors_without_scale(content, scales) == ["swish"]
