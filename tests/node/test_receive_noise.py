"""Peers that send noise: conversations with bytes changed, cut, doubled or left out never take the receiver down."""

from __future__ import annotations

import contextlib
import random
import socket
import struct
import threading
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("pynetdicom", reason="the extra 'serve' is not installed")

from tests.node.dicom_peers import (
    BOUNDS,
    association_request,
    data_pdu,
    eventually,
    radiograph,
    receiving,
    store_command,
)
from tests.node.test_receive import DX, store

CONVERSATIONS = 150
RELEASE = struct.pack(">BBII", 5, 0, 4, 0)
SPOKEN = (
    association_request(sop_class=DX),
    data_pdu(store_command(DX, "1.2.3"), command=True, last=True),
    data_pdu(bytes(500), command=False, last=False),
    data_pdu(bytes(500), command=False, last=True),
    RELEASE,
)


def disturbed(pdus: tuple[bytes, ...], chance: random.Random) -> tuple[bytes, bytes]:
    """A conversation with up to three things wrong with it: what is said first, and what after the answer."""
    parts = list(pdus)
    for _ in range(chance.randint(0, 3)):
        at = chance.randrange(len(parts))
        content = bytearray(parts[at])
        spot = chance.randrange(max(1, len(content)))
        kind = chance.choice(("bit", "byte", "cut", "gap", "double", "swap", "noise"))
        if kind == "bit" and content:
            content[spot] ^= 1 << chance.randrange(8)
        elif kind == "byte" and content:
            content[spot] = chance.choice((0x00, 0x7F, 0x80, 0xFF))
        elif kind == "cut":
            del content[spot:]
        elif kind == "gap":
            del content[spot : spot + chance.randrange(1, 9)]
        elif kind == "double":
            parts.insert(at, bytes(content))
        elif kind == "swap":
            other = chance.randrange(len(parts))
            parts[at], parts[other] = parts[other], parts[at]
            continue
        else:
            content[spot:spot] = chance.randbytes(chance.randrange(1, 40))
        parts[at] = bytes(content)
    return parts[0], b"".join(parts[1:])


def converse(address: tuple[str, int], said: tuple[bytes, bytes]) -> None:
    """Say it, and hear what is answered until nothing more comes."""
    with contextlib.suppress(OSError), socket.create_connection(address) as connection:
        for part in said:
            connection.sendall(part)
            connection.settimeout(0.03)
            while (heard := connection.recv(1024)) and heard[0] != 2:
                pass


def test_noise_ends_its_own_association_and_nothing_else(tmp_path: Path) -> None:
    chance = random.Random(20)  # noqa: S311 - the same noise each time
    path = radiograph(tmp_path / "image.dcm")
    raised: list[object] = []
    hook, threading.excepthook = threading.excepthook, raised.append
    try:
        with receiving(tmp_path, bounds=replace(BOUNDS, pdu_s=0.2, request_s=0.2, idle_s=0.5)) as node:
            for number in range(CONVERSATIONS):
                converse(node.address, disturbed(SPOKEN, chance))
                if number % 50 == 49:
                    assert store(node.address, path) == 0x0000
            assert eventually(lambda: node.receiver.associations == 0, 10)
            assert node.leftovers() == []
            assert not node.halt.asked
            assert len(node.kinds()) >= 5, "the noise reached but few of the guards"
            acknowledged = len(node.store.page(limit=1000))
            assert acknowledged > 1, "the noise never got as far as an instance"
            assert len(list(node.spool.instances.glob("*/*.dcm"))) == acknowledged
    finally:
        threading.excepthook = hook
    assert raised == []
