"""Markdown to HTML, as far as our documents use it: headings, paragraphs, lists, tables, code, quotes, links."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from html import escape

Link = Callable[[str], str]
"""Gives the address that a link or an image is to have, of the one in the text."""

_ITEM = re.compile(r"(\s*)([-*]|\d+\.)\s+(.*)")
_RULE = re.compile(r"\|?\s*:?-+:?\s*(\|\s*:?-+:?\s*)*\|?")
_INLINE = re.compile(
    r"(?P<code>`+)(?P<coded>.+?)(?P=code)"
    r"|!\[(?P<alt>[^\]]*)\]\((?P<image>[^)\s]+)\)"
    r"|\[(?P<text>(?:`[^`]*`|[^\]])+)\]\((?P<target>[^)\s]+)\)"
    r"|<(?P<auto>https?://[^>\s]+)>"
    r"|\*\*(?P<strong>.+?)\*\*"
    r"|(?<![*\w])\*(?P<soft>[^*\s][^*]*?)\*(?![*\w])"
)


def html_from_markdown(text: str, link: Link, prefix: str) -> str:
    """The document's body.

    Args:
        text: Markdown.
        link: what addresses become.
        prefix: of the headings' anchors, so that several documents fit on one page.
    """
    return "\n".join(_blocks(text.splitlines(), link, prefix))


def anchor_from_heading(heading: str) -> str:
    """The name of a heading's anchor: lower case, words joined by hyphens."""
    return re.sub(r"[^\w\- ]", "", heading.lower().replace("`", "")).strip().replace(" ", "-")


def _blocks(lines: list[str], link: Link, prefix: str) -> Iterator[str]:
    place = 0
    while place < len(lines):
        line = lines[place]
        if not line.strip():
            place += 1
        elif line.lstrip().startswith(("```", "~~~")):
            end = _end_of_code(lines, place)
            body = "\n".join(lines[place + 1 : end])
            yield f"<pre><code>{escape(body)}</code></pre>"
            place = end + 1
        elif found := re.fullmatch(r"(#{1,6})\s+(.*?)\s*#*", line):
            level = len(found[1])
            anchor = escape(prefix + anchor_from_heading(found[2]))
            yield f'<h{level} id="{anchor}">{_inline(found[2], link)}</h{level}>'
            place += 1
        elif "|" in line and place + 1 < len(lines) and _RULE.fullmatch(lines[place + 1].strip()):
            end = place + 2
            while end < len(lines) and "|" in lines[end]:
                end += 1
            yield _table(lines[place:end], link)
            place = end
        elif line.startswith(">"):
            end = _while(lines, place, lambda each: each.startswith(">"))
            inner = [each.lstrip(">").removeprefix(" ") for each in lines[place:end]]
            yield "<blockquote>" + "\n".join(_blocks(inner, link, prefix)) + "</blockquote>"
            place = end
        elif _ITEM.fullmatch(line):
            end = _end_of_list(lines, place)
            yield _list(lines[place:end], link, prefix)
            place = end
        elif line.startswith("    "):
            end = _while(lines, place, lambda each: each.startswith("    ") or not each.strip())
            body = "\n".join(each[4:] for each in lines[place:end]).rstrip()
            yield f"<pre><code>{escape(body)}</code></pre>"
            place = end
        else:
            end = _while(lines, place + 1, lambda each: bool(each.strip()) and not _begins(each))
            yield f"<p>{_inline(' '.join(each.strip() for each in lines[place:end]), link)}</p>"
            place = end


def _begins(line: str) -> bool:
    """Whether a line ends the paragraph before it."""
    return bool(line.lstrip().startswith(("```", "~~~", "# ", "## ", "### ", "> ", "|")) or _ITEM.fullmatch(line))


def _while(lines: list[str], place: int, holds: Callable[[str], bool]) -> int:
    while place < len(lines) and holds(lines[place]):
        place += 1
    return place


def _end_of_code(lines: list[str], place: int) -> int:
    fence = lines[place].strip()[:3]
    end = place + 1
    while end < len(lines) and not lines[end].strip().startswith(fence):
        end += 1
    return end


def _end_of_list(lines: list[str], place: int) -> int:
    """The line after a list: items, what is indented below them, and blank lines between."""
    end = place + 1
    while end < len(lines):
        line = lines[end]
        after = next((each for each in lines[end:] if each.strip()), "")
        if not line.strip() and not (_ITEM.fullmatch(after) or after.startswith("  ")):
            break
        if line.strip() and not (_ITEM.fullmatch(line) or line.startswith("  ")):
            break
        end += 1
    return end


def _list(lines: list[str], link: Link, prefix: str) -> str:
    first = _ITEM.fullmatch(lines[0])
    indent = len(first[1]) if first else 0
    items: list[list[str]] = []
    for line in lines:
        found = _ITEM.fullmatch(line)
        if found and len(found[1]) <= indent:
            items.append([found[3]])
        elif items:
            items[-1].append(line)
    made = []
    for item in items:
        depth = min((len(each) - len(each.lstrip()) for each in item[1:] if each.strip()), default=0)
        inner = [item[0], *(each[depth:] for each in item[1:])]
        made.append("<li>" + "\n".join(_blocks(inner, link, prefix)) + "</li>")
    kind = "ol" if first and first[2][0].isdigit() else "ul"
    return f"<{kind}>" + "".join(made) + f"</{kind}>"


def _table(lines: list[str], link: Link) -> str:
    def cells(line: str) -> list[str]:
        parts = re.split(r"(?<!\\)\|", line.strip().removeprefix("|").removesuffix("|"))
        return [_inline(part.strip().replace("\\|", "|"), link) for part in parts]

    head = "".join(f"<th>{cell}</th>" for cell in cells(lines[0]))
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in cells(line)) + "</tr>" for line in lines[2:])
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _inline(text: str, link: Link) -> str:
    made, end = [], 0
    for found in _INLINE.finditer(text):
        made.append(escape(text[end : found.start()], quote=False))
        end = found.end()
        if found["coded"] is not None:
            made.append(f"<code>{escape(found['coded'].strip())}</code>")
        elif found["image"] is not None:
            made.append(f'<img alt="{escape(found["alt"])}" src="{escape(link(found["image"]))}">')
        elif found["target"] is not None:
            made.append(f'<a href="{escape(link(found["target"]))}">{_inline(found["text"], link)}</a>')
        elif found["auto"] is not None:
            made.append(f'<a href="{escape(found["auto"])}">{escape(found["auto"])}</a>')
        elif found["strong"] is not None:
            made.append(f"<strong>{_inline(found['strong'], link)}</strong>")
        else:
            made.append(f"<em>{_inline(found['soft'], link)}</em>")
    made.append(escape(text[end:], quote=False))
    return "".join(made)
