"""``edge-sacro serve --check``: what would run, and whether it could, without receiving or sending anything."""

from __future__ import annotations

import datetime as dt
import socket
from collections.abc import Callable
from pathlib import Path

from edge_sacro.errors import EdgeSacroError, NodeConfigInvalid, PeerFailed
from edge_sacro.node.answers import Answers
from edge_sacro.node.config import Destination, NodeConfig, Tls
from edge_sacro.node.opening import open_runtime
from edge_sacro.node.outgoing import Line, NoContext
from edge_sacro.node.spool import Spool
from edge_sacro.node.tls import server_context

Tell = Callable[[str], None]

VERIFICATION = "1.2.840.10008.1.1"
_MEGABYTE = 1_000_000


def check_node(config: NodeConfig, tell: Tell) -> None:
    """Look at everything that a node needs, all of it, and tell each as one line.

    Args:
        config: the node's.
        tell: takes one line.

    Raises:
        EdgeSacroError: the first thing that is wrong, once everything was told.
    """
    wrong: list[EdgeSacroError] = []

    def look(check: Callable[[], str]) -> None:
        try:
            tell(check())
        except EdgeSacroError as error:
            wrong.append(error)
            tell(f"WRONG  {error}")

    look(lambda: _folder(config))
    look(lambda: _assessment(config))
    dicom, http = config.dicom, config.http
    look(lambda: _listening("DICOM", dicom.host, dicom.port, dicom.tls))
    for peer in dicom.peers:
        tell(f"peer   {peer.ae_title} from {', '.join(peer.addresses) or 'any address'}")
    if not dicom.peers:
        tell("peer   none: nobody may send over DICOM")
    if http.enabled:
        look(lambda: _listening("HTTP", http.host, http.port, http.tls))
    for destination in config.destinations:
        look(lambda to=destination: _destination(dicom.ae_title, to, config.sending.timeout_s))  # type: ignore[misc]
    if not config.destinations:
        tell("sends  nothing: no destination is named; results are to be had over HTTP")
    if wrong:
        raise wrong[0]


def _folder(config: NodeConfig) -> str:
    spool = Spool(config.folder, config.limits.disk_reserve_mb * _MEGABYTE)
    free = spool.free() // _MEGABYTE
    if free < config.limits.disk_reserve_mb:
        spool.part().__exit__(None, None, None)
    return f"folder {config.folder}: {free} MB free, {config.limits.disk_reserve_mb} MB of them kept for results"


def _assessment(config: NodeConfig) -> str:
    with open_runtime(config) as runtime:
        kinds = sorted(Answers(runtime, config).kinds)
        manifest, backend = runtime.bundle.manifest, config.assessment
        computed = "qualified engines" if backend.engines is not None else backend.backend
        signed = runtime.bundle.signed_by
        return (
            f"bundle {manifest.name} {manifest.version}, system {manifest.system}, fingerprint "
            f"{runtime.bundle.fingerprint[:16]}, {'signed by ' + signed[:16] if signed else 'no key pinned'}, "
            f"{runtime.precision} on {computed}, makes {', '.join(kinds)}"
        )


def _listening(what: str, host: str, port: int, tls: Tls | None) -> str:
    """Whether a port can be had; a node that runs already has it."""
    until = ""
    if tls is not None:
        server_context(tls)
        until = f", TLS, {_dates(tls.certificate)}"
    try:
        family, *_, place = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        socket.create_server((place[0], place[1]), family=family).close()
    except OSError as error:
        raise NodeConfigInvalid(
            f"{what}: cannot listen: {error.strerror}",
            source=f"{host}:{port}",
            remedy="Stop what listens there, a node that runs perhaps, or name another port.",
        ) from error
    return f"listen {what} on {host}:{port}{until}"


def _destination(ours: str, to: Destination, seconds: float) -> str:
    """A C-ECHO."""
    named = f"{to.name}: {to.ae_title} at {to.host}:{to.port}"
    until = "" if to.tls is None else f", TLS, {_dates(to.tls.certificate)}"
    with Line(to, ours, seconds, [(VERIFICATION, "")]) as line:
        try:
            status = line.echo()
        except NoContext:
            raise PeerFailed("answers no C-ECHO", source=named) from None
    if status:
        raise PeerFailed(f"answered a C-ECHO with status 0x{status:04X}", source=named)
    return f"sends  {', '.join(to.objects)} to {named}, which answers{until}"


def _dates(certificate: Path) -> str:
    """Until when a certificate is valid.

    Raises:
        NodeConfigInvalid: it is not valid now.
    """
    try:
        from cryptography import x509
    except ImportError:
        return "certificate's dates not read: the package cryptography is not installed"
    read = x509.load_pem_x509_certificate(certificate.read_bytes())
    first, last = read.not_valid_before_utc, read.not_valid_after_utc
    if not first <= dt.datetime.now(dt.timezone.utc) <= last:
        raise NodeConfigInvalid(
            f"the certificate is valid from {first:%Y-%m-%d} to {last:%Y-%m-%d}", source=str(certificate)
        )
    return f"certificate valid until {last:%Y-%m-%d}"
