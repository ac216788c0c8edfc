"""The page's files, without a browser: contrast, no resource from elsewhere, nothing that the policy would stop."""

from __future__ import annotations

import re

import pytest

from edge_sacro.node.web.app import PAGES

GROUNDS = ("ground", "panel", "raised")
TEXTS = (
    "text",
    "muted",
    "strong",
    "link",
    "positive",
    "negative",
    "borderline",
    "neutral",
    "alert",
)


def luminance(colour: str) -> float:
    """Relative luminance (WCAG 2, from sRGB)."""
    parts = [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    """Contrast ratio (WCAG 2)."""
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def colours() -> dict[str, str]:
    style = (PAGES / "style.css").read_text("utf-8")
    return dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6});", style))


def test_the_measure_of_contrast_is_the_standards() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01), "just below AA, as is well known"


@pytest.mark.parametrize("ground", GROUNDS)
def test_every_text_is_readable_on_every_ground(ground: str) -> None:
    found = colours()
    for text in TEXTS:
        assert contrast(found[text], found[ground]) >= 4.5, f"{text} on {ground}, WCAG AA"
    assert contrast(found["line"], found["ground"]) < 4.5, "negative control: a line is no text"


def test_alerts_statement_pressed_buttons_and_borders_are_seen() -> None:
    found, style = colours(), (PAGES / "style.css").read_text("utf-8")
    assert contrast(found["alert"], found["alert-ground"]) >= 4.5
    assert contrast(found["demonstration"], found["demonstration-ground"]) >= 4.5
    (pressed,) = re.findall(r'aria-pressed="true"\] \{ background: (#[0-9a-f]{6});', style)
    assert contrast(found["strong"], pressed) >= 4.5
    for ground in GROUNDS:
        assert contrast(found["focus"], found[ground]) >= 3, "WCAG 1.4.11"
        assert contrast("#6b7783", found[ground]) >= 3, "borders of controls"
    for side in re.findall(r"\.side-(?:left|right) \{ color: (#[0-9a-f]{6})", style):
        assert contrast(side, found["panel"]) >= 4.5


def test_the_room_stays_dark() -> None:
    """Large areas stay below 2 % of white, and no text is white."""
    found = colours()
    assert max(luminance(found[ground]) for ground in GROUNDS) < 0.02
    assert max(luminance(found[text]) for text in TEXTS) < 0.85


def test_nothing_comes_from_elsewhere_and_nothing_is_written_as_markup() -> None:
    for place in PAGES.iterdir():
        text = place.read_text("utf-8").replace("http://www.w3.org/2000/svg", "")
        assert not re.search(r"(https?:)?//[a-z0-9.-]+\.[a-z]{2,}", text, re.IGNORECASE), place.name
        for word in ("innerHTML =", "insertAdjacentHTML", "document.write", "eval(", "new Function", "@import"):
            assert word not in text, f"{place.name}: {word}"
        if place.suffix == ".html":
            assert "<style" not in text
            assert not re.search(r"\sstyle=|\son[a-z]+=", text), place.name
            assert not re.search(r"<script(?![^>]*\ssrc=)", text), place.name


def test_every_file_that_is_named_exists() -> None:
    names = {place.name for place in PAGES.iterdir()}
    for place in PAGES.iterdir():
        text = place.read_text("utf-8")
        for named in re.findall(r"/static/([a-z.]+)", text) + re.findall(r'from "\./([a-z.]+)"', text):
            assert named in names, f"{place.name} names {named}"
