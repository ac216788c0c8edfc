"""Edge-Sacro: finds radiographic sacroiliitis on pelvic radiographs, where the X-ray is taken.

Importing this package loads no inference vendor and no image decoder: each is loaded by the call that needs it, and
:class:`~edge_sacro.runtime.Runtime` by its first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edge_sacro.runtime import Runtime

__version__ = "0.1.0"

__all__ = ["Runtime", "__version__"]


def __getattr__(name: str) -> Any:
    if name == "Runtime":
        from edge_sacro.runtime import Runtime

        return Runtime
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
