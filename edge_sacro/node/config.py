"""The node's configuration: one TOML file, typed, with no key that is not known here."""

from __future__ import annotations

import ipaddress
import sys
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from edge_sacro.errors import NodeConfigInvalid

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

AeTitle = Annotated[str, Field(pattern=r"^[\x21-\x5b\x5d-\x7e]([\x20-\x5b\x5d-\x7e]{0,14}[\x21-\x5b\x5d-\x7e])?$")]
"""1 to 16 characters of the default repertoire but the backslash, no space at either end (PS3.5, 6.2, AE)."""

DEMONSTRATION = "demonstration"
"""Name of the bundle that ships with Edge-Sacro, as ``edge_sacro.bundle`` has it."""

ObjectKind = Literal["sr", "seg", "pr", "sc"]
Port = Annotated[int, Field(ge=0, le=65535)]
Seconds = Annotated[float, Field(gt=0, le=86_400)]
Megabytes = Annotated[int, Field(ge=1, le=1_000_000)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Tls(_Strict):
    """Certificates, as PEM files: ours, its key, and the authority that signed the other side's.

    Attributes:
        verify_host: whether the certificate of a destination must name the host that we call. Without it anybody with
            a certificate of the authority may stand in for the destination.
    """

    certificate: Path
    key: Path
    authority: Path
    verify_host: bool = True


class Peer(_Strict):
    """Who may send: an AE title, and the addresses (networks, CIDR) that it may call from; any where none is named."""

    ae_title: AeTitle
    addresses: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _networks(self) -> Peer:
        for each in self.addresses:
            ipaddress.ip_network(each)
        return self


class Dicom(_Strict):
    """The C-STORE and C-ECHO service.

    Attributes:
        ae_title: ours; an association that calls another one is rejected.
        host, port: where to listen. Without TLS anything but loopback has to be asked for by ``plain_network``.
        peers: who may send; nobody else.
        associations: at most so many at once.
    """

    ae_title: AeTitle = "EDGESACRO"
    host: str = "127.0.0.1"
    port: Port = 11112
    peers: tuple[Peer, ...] = ()
    tls: Tls | None = None
    plain_network: bool = False
    associations: Annotated[int, Field(ge=1, le=256)] = 32


class Destination(_Strict):
    """Where results go.

    Attributes:
        name: in the log and on the page.
        objects: what this destination gets.
        storage_commitment: whether a result is done only once the destination has committed to keep it (N-ACTION).
    """

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,64}$")]
    host: str
    port: Annotated[int, Field(ge=1, le=65535)]
    ae_title: AeTitle
    tls: Tls | None = None
    plain_network: bool = False
    objects: Annotated[tuple[ObjectKind, ...], Field(min_length=1)] = ("sr",)
    storage_commitment: bool = False


class Http(_Strict):
    """The HTTP interface and its page.

    Attributes:
        token_file: holds the bearer token, one line; needed, or ``tls`` with client certificates, but on loopback.
        wait_s: longest time that a console may ask to wait for a result.
    """

    enabled: bool = True
    host: str = "127.0.0.1"
    port: Port = 8042
    token_file: Path | None = None
    tls: Tls | None = None
    wait_s: Seconds = 30.0


class Assessment(_Strict):
    """What assesses. As the options of ``edge-sacro infer``.

    Attributes:
        bundle: a folder, a zip file, or ``demonstration``.
        trust: files of the public keys of which one must have signed the bundle. The memory of sequences is in the
            node's folder.
    """

    bundle: str = DEMONSTRATION
    backend: str = "onnxruntime"
    engines: Path | None = None
    precision: Literal["fp32", "fp16", "int8"] | None = None
    threads: Annotated[int, Field(ge=1, le=256)] | None = None
    deadline_s: Seconds = 30.0
    operating_point: str | None = None
    overrides: tuple[str, ...] = ()
    trust: tuple[Path, ...] = ()

    @model_validator(mode="after")
    def _one_backend(self) -> Assessment:
        if self.engines is not None and "backend" in self.model_fields_set:
            raise ValueError("engines have their own backend; name engines or backend")
        return self


class Ledger(_Strict):
    """The ledger of drift (docs/ledger.md), ``ledger.sqlite`` in the node's folder.

    Attributes:
        enabled: whether a line is kept of each answer.
        shadow: part of the images that fp32 assesses too, where another precision serves; 0 for none.
    """

    enabled: bool = True
    shadow: Annotated[float, Field(ge=0, le=1)] = 0.0


class Limits(_Strict):
    """What is refused before it can do harm.

    Attributes:
        instance_mb: of one instance.
        queue: instances that have not come to an end.
        disk_reserve_mb: free space below which nothing is received.
        pdu_s: time that one PDU may take to arrive.
        attempts: how often an instance may take the node down before it is set aside.
    """

    instance_mb: Megabytes = 256
    queue: Annotated[int, Field(ge=1, le=1_000_000)] = 10_000
    disk_reserve_mb: Annotated[int, Field(ge=0, le=1_000_000)] = 200
    pdu_s: Seconds = 10.0
    attempts: Annotated[int, Field(ge=1, le=10)] = 2


class Sending(_Strict):
    """How results are sent: after a failure again, each time later, up to ``retry_longest_s`` apart, without end."""

    timeout_s: Seconds = 30.0
    retry_first_s: Seconds = 2.0
    retry_longest_s: Seconds = 300.0
    commitment_s: Seconds = 600.0


class Retention(_Strict):
    """How long files of instances that ended stay; what is known of them without their files stays.

    Attributes:
        days: so long, at least.
        every_s: how often files that may go are looked for, and the queue's log is folded in.
    """

    days: Annotated[float, Field(ge=0, le=3650)] = 30.0
    every_s: Seconds = 3600.0


class NodeConfig(_Strict):
    """The whole file. Relative paths in it start at its folder.

    Attributes:
        folder: the node's own: received files, results, queue and audit trail.
        log: file of the log, opened anew on SIGHUP; the standard error stream where absent.
    """

    folder: Path
    log: Path | None = None
    dicom: Dicom = Dicom()
    destinations: tuple[Destination, ...] = ()
    http: Http = Http()
    assessment: Assessment = Assessment()
    ledger: Ledger = Ledger()
    limits: Limits = Limits()
    sending: Sending = Sending()
    retention: Retention = Retention()

    @model_validator(mode="after")
    def _safe(self) -> NodeConfig:
        names = [each.name for each in self.destinations]
        if len(set(names)) != len(names):
            raise ValueError("destinations: two have one name")
        if not self.dicom.plain_network and self.dicom.tls is None and not is_loopback(self.dicom.host):
            raise ValueError(
                "dicom: listens beyond this machine without tls; say plain_network = true if that is meant"
            )
        for each in self.destinations:
            if not each.plain_network and each.tls is None and not is_loopback(each.host):
                raise ValueError(
                    f"destinations.{each.name}: sends beyond this machine without tls; "
                    "say plain_network = true if that is meant"
                )
        if not is_loopback(self.http.host) and self.http.tls is None:
            raise ValueError("http: listens beyond this machine without tls")
        return self


def is_loopback(host: str) -> bool:
    """Whether a host is this machine by its name or address alone."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def config_from_file(path: Path) -> NodeConfig:
    """Read and check the configuration.

    Raises:
        NodeConfigInvalid: the file cannot be read, is no TOML, or a key is unknown, missing or out of range.
    """
    try:
        document = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise NodeConfigInvalid(
            f"cannot be read: {error.strerror}",
            source=str(path),
            remedy="Check the path; docs/node.toml is an example.",
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise NodeConfigInvalid(f"is no TOML file: {error}", source=str(path)) from error
    try:
        config = NodeConfig.model_validate(document)
    except ValidationError as error:
        told = "; ".join(
            f"{'.'.join(map(str, each['loc'])) or 'the file'}: {each['msg'].removeprefix('Value error, ')}"
            for each in error.errors()
        )
        raise NodeConfigInvalid(told, source=str(path)) from error
    start = path.resolve().parent
    anchored = _anchored(config, start)
    if anchored.assessment.bundle == DEMONSTRATION:
        return anchored
    bundle = str(start / anchored.assessment.bundle)
    return anchored.model_copy(update={"assessment": anchored.assessment.model_copy(update={"bundle": bundle})})


def _anchored(config: NodeConfig, start: Path) -> NodeConfig:
    """The same configuration with every path absolute."""

    def moved(value: object) -> object:
        if isinstance(value, Path):
            return start / value
        if isinstance(value, BaseModel):
            return value.model_copy(update={name: moved(getattr(value, name)) for name in type(value).model_fields})
        if isinstance(value, tuple):
            return tuple(map(moved, value))
        return value

    anchored = moved(config)
    if not isinstance(anchored, NodeConfig):
        raise TypeError("a configuration stays one")
    return anchored
