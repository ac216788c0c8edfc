"""All documents as one HTML page that needs nothing beside it: no script, no other file, no address to load from."""

from __future__ import annotations

import base64
from pathlib import Path, PurePosixPath

from edge_sacro import __version__
from edge_sacro.errors import KitError
from edge_sacro.kit.markdown import anchor_from_heading, html_from_markdown
from edge_sacro.parity.page import page

_FIRST = ("../README.md", "kit.md", "selftest.md", "node.md", "errors.md")
_IMAGES = {".png": "image/png", ".jpg": "image/jpeg", ".svg": "image/svg+xml"}
_STYLE = (
    "<style>pre { background: var(--shade); padding: 0.6rem; overflow-x: auto; } img { max-width: 100%; }"
    " article { border-top: 3px solid var(--rule); margin-top: 3rem; }</style>"
)


def write_docs(folder: Path, out: Path) -> None:
    """Write the page.

    Args:
        folder: of the Markdown documents; README.md stands beside it.
        out: the file.

    Raises:
        KitError: there are no documents.
    """
    paths = _documents(folder)
    if not paths:
        raise KitError("no documents are there", source=str(folder), remedy="Name their folder with --docs.")
    names = {path.resolve(): f"{place}-" for place, path in enumerate(paths)}
    contents = "".join(f'<li><a href="#{names[path.resolve()]}">{path.stem}</a></li>' for path in paths)
    parts = [_STYLE, f"<h1>Edge-Sacro {__version__}: all documents</h1><ol>{contents}</ol>"]
    for path in paths:
        body = html_from_markdown(path.read_text("utf-8"), _Links(path, names), names[path.resolve()])
        parts.append(f'<article id="{names[path.resolve()]}">{body}</article>')
    out.write_text(page(f"Edge-Sacro {__version__}", parts), "utf-8")


class _Links:
    """Links between documents become anchors of the page, pictures become part of it, other files plain names."""

    def __init__(self, document: Path, names: dict[Path, str]) -> None:
        self._document, self._names = document, names

    def __call__(self, address: str) -> str:
        if "://" in address or address.startswith("mailto:"):
            return address
        file, _, anchor = address.partition("#")
        if not file:
            return f"#{self._names[self._document.resolve()]}{anchor}"
        target = (self._document.parent / file).resolve()
        if target in self._names:
            return f"#{self._names[target]}{anchor_from_heading(anchor.replace('-', ' ')) if anchor else ''}"
        kind = _IMAGES.get(PurePosixPath(file).suffix)
        if kind is not None and target.is_file():
            return f"data:{kind};base64,{base64.b64encode(target.read_bytes()).decode()}"
        return f"#not-on-this-page-{anchor_from_heading(file)}"


def _documents(folder: Path) -> list[Path]:
    """Every document once: those that are read first, then the others by name."""
    first = [path for name in _FIRST if (path := folder / name).is_file()]
    rest = [path for path in sorted(folder.rglob("*.md")) if path not in first]
    return [*first, *rest]
