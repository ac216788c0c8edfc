"""TLS for DICOM: the profile of PS3.15 Annex B that follows BCP 195 (RFC 9325), with certificates on both sides.

TLS 1.2 with ephemeral elliptic-curve keys and authenticated encryption alone, or TLS 1.3. Nobody is let in, and nobody
is called, without a certificate of the authority that the configuration names; no other authority counts.
"""

from __future__ import annotations

import ssl
from typing import NoReturn

from edge_sacro.errors import NodeConfigInvalid
from edge_sacro.node.config import Tls

SUITES = "ECDHE+AESGCM:ECDHE+CHACHA20"
"""TLS 1.2 (RFC 9325, 4.2). Those of TLS 1.3 are all ephemeral and authenticated."""


def server_context(tls: Tls) -> ssl.SSLContext:
    """For connections that come in: a client without a certificate of the authority is refused.

    Raises:
        NodeConfigInvalid: a file is absent, no PEM or encrypted, or key and certificate do not belong together.
    """
    return _context(tls, ssl.PROTOCOL_TLS_SERVER)


def client_context(tls: Tls) -> ssl.SSLContext:
    """For connections that go out: the server's certificate must name the host that was called, unless told otherwise.

    Raises:
        NodeConfigInvalid: as for ``server_context``.
    """
    context = _context(tls, ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = tls.verify_host
    return context


def _context(tls: Tls, side: ssl._SSLMethod) -> ssl.SSLContext:
    context = ssl.SSLContext(side)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(SUITES)
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    context.verify_mode = ssl.CERT_REQUIRED
    for path in (tls.certificate, tls.key, tls.authority):
        if not path.is_file():
            raise NodeConfigInvalid("tls: there is no such file", source=str(path))
    try:
        context.load_cert_chain(tls.certificate, tls.key, password=_no_password)
    except (OSError, ValueError) as error:
        raise NodeConfigInvalid(f"tls: certificate and key cannot be used: {error}", source=str(tls.key)) from error
    try:
        context.load_verify_locations(cafile=tls.authority)
    except OSError as error:
        raise NodeConfigInvalid(f"tls: the authority cannot be used: {error}", source=str(tls.authority)) from error
    return context


def _no_password() -> NoReturn:
    """Refuse an encrypted key at once: without this OpenSSL would ask a terminal that a service does not have."""
    raise ValueError("the key is encrypted, and a node that starts by itself cannot ask for its password")
