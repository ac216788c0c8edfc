"""The audit of a plan: what it reads, and that it says nothing where there is nothing to read."""

from __future__ import annotations

from edge_sacro.engine.audit import audit_from_plan

PROGRAM = b"""\x00\x01head
  accelerators={sm80 sm89 }
  accelerators={* }
  region = { name=devmem size=4096 }
  region = { name=consts size=9999 }
  tensor={ dims={ 1 8 } name="x" strides={ 8 1 } type=int8 }
  tensor={ dims={ 8 8 } name="w" type=int8 }
    sub_tensor={ dims={ 1 8 } name="y" type=float }
  tensor={ dims={ 1 8 } name="h" type=half }
  corrltn={ bias=false name="conv1" input={ "x" "w" } output={ "y" } relu=false }
  corrltn={ name=conv2 input={ "h" "h" } output={ "h" } bias=true relu=true }
  corrltn={ name=conv3 input={ "x" "unknown" } output={ "y" } }
  function={ name="__myl_MulCorrAdd" input_args={ "y" } output_args={ "h" } }
  shape_inputs={ }
\xff\xfetail"""


def test_kernels_types_memory_and_targets_are_read() -> None:
    audit = audit_from_plan(PROGRAM)
    assert audit.size == len(PROGRAM)
    assert audit.targets == ("sm80", "sm89")
    assert audit.device_bytes == 4096
    assert (audit.weighted, audit.in_int8, audit.inlined) == (3, 1, 1)
    assert [kernel.name for kernel in audit.kernels] == ["conv1", "conv2", "conv3", "__myl_MulCorrAdd"]
    assert audit.kernels[1].epilogues == ("bias", "relu")
    assert audit.kernels[3].inputs == ("float",)
    assert audit.counts() == {
        "corrltn int8xint8 -> float": 1,
        "corrltn halfxhalf -> half bias+relu": 1,
        "corrltn int8x? -> float": 1,
        "function": 1,
    }


def test_an_operand_of_unknown_type_is_not_counted_as_int8() -> None:
    audit = audit_from_plan(PROGRAM.replace(b'name="w" type=int8', b'name="w" type=float'))
    assert audit.in_int8 == 0


def test_bytes_without_a_program_have_no_kernels() -> None:
    audit = audit_from_plan(bytes(range(256)) * 64)
    assert (audit.kernels, audit.targets, audit.device_bytes) == ((), (), 0)
