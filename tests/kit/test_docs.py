"""All documents as one page: nothing is lost, nothing is loaded, every link leads somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from edge_sacro.errors import KitError
from edge_sacro.kit.markdown import html_from_markdown
from edge_sacro.kit.pages import write_docs
from tests.conftest import ROOT

CASES = {
    "# Title": '<h1 id="p-title">Title</h1>',
    "one\ntwo": "<p>one two</p>",
    "a `b < c` d": "<p>a <code>b &lt; c</code> d</p>",
    "**bold** and *soft*": "<p><strong>bold</strong> and <em>soft</em></p>",
    "2 * 3 * 4 and a_b_c": "<p>2 * 3 * 4 and a_b_c</p>",
    "[text](to.md#part)": '<p><a href="L:to.md#part">text</a></p>',
    "[`code`](to.md)": '<p><a href="L:to.md"><code>code</code></a></p>',
    "![alt](image.png)": '<p><img alt="alt" src="L:image.png"></p>',
    "<script>": "<p>&lt;script&gt;</p>",
    "```sh\na < b\n\nc\n```": "<pre><code>a &lt; b\n\nc</code></pre>",
    "    indented": "<pre><code>indented</code></pre>",
    "> said\n> so": "<blockquote><p>said so</p></blockquote>",
    "- one\n- two\n  more": "<ul><li><p>one</p></li><li><p>two more</p></li></ul>",
    "1. one\n2. two": "<ol><li><p>one</p></li><li><p>two</p></li></ol>",
    "- one\n  - inner": "<ul><li><p>one</p>\n<ul><li><p>inner</p></li></ul></li></ul>",
    "| a | b |\n|---|---|\n| c \\| d | `e` |": (
        '<div class="wide"><table><thead><tr><th>a</th><th>b</th></tr></thead><tbody><tr><td>c | d</td>'
        "<td><code>e</code></td></tr></tbody></table></div>"
    ),
    "text:\n- item": "<p>text:</p>\n<ul><li><p>item</p></li></ul>",
}


@pytest.mark.parametrize("text", CASES)
def test_markdown_becomes_html(text: str) -> None:
    assert html_from_markdown(text, lambda address: f"L:{address}", "p-") == CASES[text]


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The page of this repository's documents."""
    out = tmp_path_factory.mktemp("docs") / "docs.html"
    write_docs(ROOT / "docs", out)
    return out.read_text("utf-8")


def test_every_document_is_on_the_page(page: str) -> None:
    documents = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
    assert page.count("<article") == len(documents)
    text = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", "", page))
    for path in documents:
        title = re.sub(r"[`*]", "", path.read_text("utf-8").splitlines()[0].lstrip("# "))
        assert title.replace("&", "&amp;") in text, path


def test_the_page_loads_nothing(page: str) -> None:
    assert not re.search(r"<(script|link|iframe|object)\b", page)
    assert {address.split(":")[0] for address in re.findall(r'src="([^"]*)"', page)} == {"data"}
    assert "url(" not in page.split("</style>", maxsplit=1)[0]


def test_every_link_on_the_page_leads_somewhere(page: str) -> None:
    anchors = set(re.findall(r'id="([^"]+)"', page))
    links = set(re.findall(r'href="#([^"]+)"', page))
    missing = {each for each in links - anchors if not each.startswith("not-on-this-page-")}
    assert not missing
    files = {each.removeprefix("not-on-this-page-") for each in links if each.startswith("not-on-this-page-")}
    assert not [each for each in files if each.endswith("md")]


def test_a_folder_without_documents_is_refused(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    with pytest.raises(KitError, match="no documents"):
        write_docs(tmp_path / "docs", tmp_path / "docs.html")
