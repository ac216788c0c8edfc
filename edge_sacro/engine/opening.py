"""Opening a bundle's networks: those of a processor side by side, since each of them leaves processors idle."""

from __future__ import annotations

import contextlib
import importlib
import threading
from collections.abc import Collection, Iterable
from concurrent.futures import ThreadPoolExecutor

from edge_sacro.bundle import Bundle
from edge_sacro.engine import Engine, Opener, open_engine
from edge_sacro.engine.saturation import check_int8
from edge_sacro.engine.silence import silence
from edge_sacro.errors import EdgeSacroError
from edge_sacro.manifest import NetworkName, Precision

SIDE_BY_SIDE = "side_by_side"
"""Attribute of an opener that several threads may call at once: the backends that it opens networks with."""

TAKES_MODELS = "takes_models"
"""Attribute of an opener, false where it has the networks from elsewhere: the bundle's are not read for it."""

PACKAGES = {"onnxruntime": "onnxruntime", "openvino": "openvino"}
"""What a backend has to import."""


def open_networks(
    bundle: Bundle, precision: Precision, backend: str, threads: int, opener: Opener
) -> dict[str, Engine]:
    """Every network of a bundle, by name.

    Args:
        bundle: whose networks.
        precision: one of the bundle's.
        backend: as ``opener`` takes it.
        threads: inside one inference.
        opener: opens each; in this thread, one after the other, save where it says that it need not.

    Raises:
        BundleError, BackendError, EngineError: of the first that cannot be opened; those that were are closed again.
    """
    networks, takes_models = bundle.manifest.networks, getattr(opener, TAKES_MODELS, True)
    engines: dict[str, Engine] = {}

    def open_one(name: NetworkName) -> None:
        file = bundle.model_file(name, precision, backend)
        model = bundle.files[file] if takes_models else b""
        engines[name] = opener(backend, networks[name].spec(name), model, threads)

    processors: Collection[str] = getattr(opener, SIDE_BY_SIDE, {backend} if opener is open_engine else ())
    try:
        if processors:
            with ThreadPoolExecutor(thread_name_prefix="open") as pool:
                waiting = [pool.submit(open_one, name) for name in networks]
                if precision == "int8" and takes_models:  # a store's engines were held to it when they qualified
                    pool.map(_try_int8, processors)
            for future in waiting:
                future.result()
        else:
            for name in networks:
                open_one(name)
    except BaseException:
        for engine in engines.values():
            engine.close()
        raise
    return {name: engines[name] for name in networks}


def _try_int8(backend: str) -> None:
    """Have the check of INT8 sums made meanwhile; whoever asks for it hears what it found."""
    with contextlib.suppress(EdgeSacroError):
        check_int8(backend)


def preload(backends: Iterable[str]) -> None:
    """Begin to import what backends run on, while the caller goes on. What is absent is told when it is opened.

    Args:
        backends: names; what is no key of ``PACKAGES`` is passed over.
    """
    packages = [PACKAGES[name] for name in backends if name in PACKAGES]
    if packages:
        silence()
        # no daemon: a process that ends in the middle of an import ends badly
        threading.Thread(target=_import, args=(packages,), name="preload").start()


def _import(packages: Iterable[str]) -> None:
    for package in packages:
        with contextlib.suppress(Exception):  # opening a network imports it again, and tells
            importlib.import_module(package)
