"""The selftest's report: each check with what was found and what is allowed; canonical JSON, and its signature."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, ValidationError

from edge_sacro import __version__
from edge_sacro.errors import InputNotFound, SelftestFailed, UsageError
from edge_sacro.report import BundleRecord
from edge_sacro.selftest.golden import Strict
from edge_sacro.trust import Signature, key_id, needs_cryptography, signature_from_json

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

DOMAIN = b"edge-sacro selftest report 1\n"
"""Stands before the report in what is signed."""

REPORT_NAME, SIGNATURE_NAME, PAGE_NAME = "report.json", "report.json.sig", "report.html"
REPORT_LIMIT = 4 << 20

Status = Literal["passed", "warned", "failed", "not judged"]


class Check(Strict):
    """One check.

    Attributes:
        name: of the check, with the study's where there are several.
        status: ``warned`` and ``not judged`` do not fail the selftest.
        found: what was found, with its unit.
        allowed: what it was held to; empty where there is nothing to hold it to.
        remedy: what to do about it; empty where it passed.
    """

    name: str
    status: Status
    found: str
    allowed: str = ""
    remedy: str = ""


class Measured(Strict):
    """Figures of the run, for the next one to be held to.

    Attributes:
        ratio: median of an assessment's time by the yardstick's beside it; None where none was counted.
        assessment_ms, yardstick_ms: the two medians.
        largest_deviation: of a probability from the golden one.
        largest_box_px: of a box's edge from the golden one.
    """

    machine: str
    cores: int
    backend: str
    precision: str
    ratio: float | None
    assessment_ms: float | None
    yardstick_ms: float | None
    largest_deviation: float | None
    largest_box_px: int | None


class SelftestReport(Strict):
    """The whole report.

    Attributes:
        begun: when, in UTC, by this machine's clock.
        seconds: how long it took.
        release: of the kit; None where none was named.
        passed: no check failed.
    """

    schema_version: Literal["edge-sacro-selftest-1"] = "edge-sacro-selftest-1"
    software: str = f"edge-sacro {__version__}"
    begun: str
    seconds: float
    release: str | None
    bundle: BundleRecord | None
    measured: Measured | None
    checks: Annotated[Sequence[Check], Field(min_length=1)]
    passed: bool


def json_from_report(report: SelftestReport) -> bytes:
    """The report as it is signed: keys sorted, two spaces, UTF-8, one line end at the end."""
    text = json.dumps(report.model_dump(mode="json"), sort_keys=True, indent=2, ensure_ascii=False)
    return text.encode() + b"\n"


def report_from_file(path: Path) -> tuple[SelftestReport, bytes]:
    """A report and its bytes.

    Raises:
        InputNotFound: there is none.
        UsageError: it is no report of a selftest.
    """
    try:
        with path.open("rb") as file:
            text = file.read(REPORT_LIMIT + 1)
    except OSError as error:
        raise InputNotFound(f"it cannot be read: {error.strerror}", source=str(path)) from error
    try:
        return SelftestReport.model_validate_json(text[: REPORT_LIMIT + 1]), text
    except ValidationError as error:
        raise UsageError("it is no report of a selftest", source=str(path), remedy="Name report.json.") from error


def signature_of(text: bytes, key: Ed25519PrivateKey) -> bytes:
    """The signature of a report's bytes, as a bundle's is written."""
    identifier = key_id(key.public_key().public_bytes_raw())
    return Signature(key_id=identifier, signature=key.sign(DOMAIN + text).hex()).canonical()


def verify_report(path: Path, public_keys: Sequence[bytes]) -> SelftestReport:
    """Hold a report against its signature, which stands beside it.

    Args:
        path: of ``report.json``.
        public_keys: 32 bytes each, of which one must have signed.

    Raises:
        SelftestFailed: the signature is absent, another's or wrong.
        BundleNotTrusted: it is malformed.
    """
    try:
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    except ImportError as error:
        raise needs_cryptography(error) from error
    report, text = report_from_file(path)
    place = path.with_name(SIGNATURE_NAME)
    signature = signature_from_json(place.read_bytes() if place.is_file() else None, str(path))
    remedy = "Keep the file, and find out who changed it."
    if signature is None:
        raise SelftestFailed("the report is not signed", source=str(path), remedy="Sign selftests with --key.")
    known = {key_id(each): each for each in public_keys}
    if signature.key_id not in known:
        raise SelftestFailed(f"it is of the key {signature.key_id[:16]}…", source=str(place), remedy="Name its key.")
    try:
        verifier = Ed25519PublicKey.from_public_bytes(known[signature.key_id])
        verifier.verify(bytes.fromhex(signature.signature), DOMAIN + text)
    except InvalidSignature as error:
        raise SelftestFailed("the signature is not that of this report", source=str(path), remedy=remedy) from error
    return report
