"""Openers of networks that note what becomes of them."""

from __future__ import annotations

from edge_sacro.engine import Engine, NetworkSpec, open_engine


class NotesClosing:
    """Opens networks as the runtime does by itself, and notes which are closed."""

    def __init__(self) -> None:
        self.opened: list[str] = []
        self.closed: list[str] = []

    def __call__(self, backend: str, spec: NetworkSpec, model: bytes, threads: int) -> Engine:
        engine = open_engine(backend, spec, model, threads)
        close = engine.close

        def closing() -> None:
            self.closed.append(spec.name)
            close()

        engine.close = closing  # type: ignore[method-assign]
        self.opened.append(spec.name)
        return engine
