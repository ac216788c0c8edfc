"""The selftest's report as one HTML page for the file: no script, no other file, no address outside itself."""

from __future__ import annotations

import hashlib
from html import escape

from edge_sacro.parity.page import Cell, page, section, table
from edge_sacro.selftest.document import Check, SelftestReport, json_from_report

_KINDS = {"passed": "good", "failed": "bad", "warned": "bad", "not judged": ""}


def html_from_report(report: SelftestReport, signed_by: str | None) -> str:
    """The whole page.

    Args:
        report: to show.
        signed_by: identifier of the key that signed ``report.json``; None where none did.
    """
    digest = hashlib.sha256(json_from_report(report)).hexdigest()
    warned = sum(check.status == "warned" for check in report.checks)
    verdict = "Passed" if report.passed else "FAILED"
    told = f", {warned} warnings" if warned else ""
    kind = "good" if report.passed else "bad"
    parts = [
        f"<h1>Selftest: {verdict.lower() if report.passed else verdict}</h1>",
        f'<p class="verdict {kind}"><strong>{verdict}</strong>: {len(report.checks)} checks{told}, begun '
        f"{escape(report.begun)}, {report.seconds:g} s. {escape(report.software)}"
        f"{', release ' + escape(report.release) if report.release else ''}.</p>",
        _bundle(report),
        section("Checks", table(("check", "result", "found", "allowed"), map(_row, report.checks)), ""),
        _measured(report),
        section(
            "The report itself",
            table(
                ("report.json", ""),
                [
                    ("SHA-256", digest),
                    ("signed by the key", signed_by or "not signed"),
                ],
            ),
            "This page shows report.json; what counts, and what is signed, is that file.",
        ),
    ]
    return page(f"Selftest {report.begun}: {verdict}", parts)


def text_from_report(report: SelftestReport) -> str:
    """The report as lines: what failed or was warned of in full, the rest counted."""
    lines = []
    if report.bundle is not None and report.bundle.demonstration:
        lines.append(report.bundle.statement)
    for check in report.checks:
        allowed = f"; allowed: {check.allowed}" if check.allowed else ""
        lines.append(f"{check.status:10} {check.name}: {check.found}{allowed}")
        if check.remedy:
            lines.append(f"{'':10} {check.remedy}")
    failed = sum(check.status == "failed" for check in report.checks)
    verdict = "selftest passed" if report.passed else f"selftest FAILED: {failed} checks"
    return "\n".join([*lines, f"{verdict}, {len(report.checks)} checks, {report.seconds:g} s"]) + "\n"


def _bundle(report: SelftestReport) -> str:
    bundle = report.bundle
    if bundle is None:
        return '<p class="note">No bundle could be opened.</p>'
    return (
        f'<p class="note"><strong>{escape(bundle.statement)}</strong> Bundle {escape(bundle.name)} '
        f"{escape(bundle.version)}, fingerprint {escape(bundle.fingerprint)}, "
        f"{'signed by the key ' + escape(bundle.signed_by) if bundle.signed_by else 'no key pinned'}.</p>"
    )


def _row(check: Check) -> tuple[Cell, ...]:
    found = f"{check.found}\n{check.remedy}" if check.remedy else check.found
    return check.name, (check.status, _KINDS[check.status]), found, check.allowed


def _measured(report: SelftestReport) -> str:
    figures = report.measured
    if figures is None:
        return ""
    rows = [(name.replace("_", " "), "none" if value is None else str(value)) for name, value in figures]
    return section("Measured", table(("figure", "value"), rows), "Of this run, on this machine.")
