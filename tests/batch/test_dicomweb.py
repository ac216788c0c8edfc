"""Instances of a DICOMweb server: a small one in this process, that can also be slow, wrong and hostile."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from pydicom import dcmread

from edge_sacro.batch import dicomweb
from edge_sacro.batch.dicomweb import Access, WebInstances, access_from_options
from edge_sacro.batch.multipart import first_part
from edge_sacro.cli import main
from edge_sacro.dicom.source import DEFAULT_LIMITS
from edge_sacro.errors import InputNotFound, NotDicom, PeerFailed, SizeLimitExceeded, TruncatedFile, UsageError
from tests.batch.conftest import write_instances

TOKEN = "a-token"  # noqa: S105


class Server:
    """QIDO-RS and WADO-RS over files, two studies; ``trouble`` answers in its place where it wants to."""

    def __init__(self, files: list[Path], certificate: Path | None = None) -> None:
        self.content = {f"1.2.{index}": path.read_bytes() for index, path in enumerate(files)}
        self.asked: list[str] = []
        self.headers: list[dict[str, str]] = []
        self.trouble: Callable[[str, int], tuple[int, dict[str, str], bytes] | None] = lambda *_: None
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        scheme = "http" if certificate is None else "https"
        if certificate is not None:
            tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            tls.load_cert_chain(certificate)
            self._http.socket = tls.wrap_socket(self._http.socket, server_side=True)
        self.base = f"{scheme}://127.0.0.1:{self._http.server_address[1]}/dicom-web"
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def studies(self) -> list[dict[str, Any]]:
        return [{dicomweb.STUDY: {"vr": "UI", "Value": [study]}} for study in ("1.2", "1.3")]

    def answer(self, target: str) -> tuple[int, dict[str, str], bytes]:
        parts = urlsplit(target)
        steps = parts.path.removeprefix("/dicom-web/").split("/")
        query = parse_qs(parts.query)
        if steps == ["studies"]:
            return self._page(self.studies(), query)
        if len(steps) == 3:
            uids = list(self.content) if steps[1] == "1.2" else []
            found = [{dicomweb.SERIES: {"Value": ["1.2.3"]}, dicomweb.INSTANCE: {"Value": [uid]}} for uid in uids]
            return self._page(found, query)
        data = self.content.get(steps[-1])
        if data is None:
            return 404, {}, b""
        return 200, {"Content-Type": 'multipart/related; type="application/dicom"; boundary="x1"'}, parted(data)

    @staticmethod
    def _page(found: list[dict[str, Any]], query: dict[str, list[str]]) -> tuple[int, dict[str, str], bytes]:
        start = int(query["offset"][0])
        some = found[start : start + int(query["limit"][0])]
        if not some:
            return 204, {}, b""
        return 200, {"Content-Type": "application/dicom+json"}, json.dumps(some).encode()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                server.headers.append(dict(self.headers))
                count = server.asked.count(self.path)
                server.asked.append(self.path)
                status, headers, body = server.trouble(self.path, count) or server.answer(self.path)
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        return Handler


def parted(data: bytes) -> bytes:
    return b"--x1\r\nContent-Type: application/dicom\r\n\r\n" + data + b"\r\n--x1--\r\n"


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    return sorted(write_instances(tmp_path / "in", 3).glob("*.dcm"))


@pytest.fixture
def server(files: list[Path]) -> Iterator[Server]:
    made = Server(files)
    yield made
    made.close()


@contextmanager
def listed_at(server: Server) -> Iterator[WebInstances]:
    made = WebInstances(Access(server.base, pauses_s=(0.0, 0.0)))
    try:
        yield made
    finally:
        made.close()


def test_a_batch_over_a_server_has_one_row_an_instance_and_goes_on(
    server: Server, bundle_folder: Path, tmp_path: Path, files: list[Path]
) -> None:
    out = tmp_path / "web.parquet"
    call = ["batch", server.base, "--bundle", str(bundle_folder), "--out", str(out), "--workers", "1", "--json"]
    server.trouble = lambda path, count: (503, {}, b"") if path.endswith("1.2.1") and count == 0 else None
    done = CliRunner().invoke(main, call)
    assert done.exit_code == 0, done.output
    rows = pq.read_table(out).to_pylist()
    assert {row["sha256"] for row in rows} == {hashlib.sha256(each.read_bytes()).hexdigest() for each in files}
    assert rows[0]["paths"][0] == f"{server.base}/studies/1.2/series/1.2.3/instances/1.2.0"
    assert sum(len(row["paths"]) for row in rows) == 5

    before, first = len(server.asked), out.read_bytes()
    again = CliRunner().invoke(main, call)
    assert json.loads(again.stdout)["answered_before"] == 5
    assert out.read_bytes() == first
    asked = [path for path in server.asked[:before] if not path.endswith("1.2.1")]
    assert len(asked) == len(set(asked)), "only what failed was asked for again"
    assert not [path for path in server.asked[before:] if "/series/" in path], "nothing is fetched twice"


def test_lists_are_read_page_by_page(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dicomweb, "PAGE", 2)
    with listed_at(server) as listed:
        assert len(listed.labels) == 5
    offsets = [parse_qs(urlsplit(path).query)["offset"][0] for path in server.asked if "1.2/instances" in path]
    assert offsets == ["0", "2", "4"]


def test_the_token_is_sent_and_the_query_too(server: Server, tmp_path: Path) -> None:
    (tmp_path / "token").write_text(TOKEN + "\n")
    access = access_from_options(server.base + "/", tmp_path / "token", None)
    WebInstances(access, ["ModalitiesInStudy=DX"]).close()
    assert {headers["Authorization"] for headers in server.headers} == {f"Bearer {TOKEN}"}
    assert parse_qs(urlsplit(server.asked[0]).query)["ModalitiesInStudy"] == ["DX"]


def test_an_instance_that_is_gone_is_a_refusal_of_that_instance(server: Server) -> None:
    with listed_at(server) as listed:
        del server.content["1.2.2"]
        content = listed.fetch(listed.labels[2]).content
        assert isinstance(content, InputNotFound)
        assert isinstance(listed.fetch(listed.labels[1]).content, bytes)


@pytest.mark.parametrize(
    ("headers", "body", "kind"),
    [
        ({"Content-Type": "text/html"}, b"<p>sign in", NotDicom),
        ({"Content-Type": 'multipart/related; boundary="x1"'}, b"--x1\r\n\r\nhalf", TruncatedFile),
        ({"Content-Type": 'multipart/related; boundary="x1"'}, b"nothing", NotDicom),
    ],
)
def test_an_answer_that_is_no_instance_is_a_refusal(
    server: Server, headers: dict[str, str], body: bytes, kind: type
) -> None:
    with listed_at(server) as listed:
        server.trouble = lambda *_: (200, headers, body)
        assert isinstance(listed.fetch(listed.labels[0]).content, kind)


def test_an_answer_without_end_is_not_read_to_its_end(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    with listed_at(server) as listed:
        monkeypatch.setattr(dicomweb, "DEFAULT_LIMITS", type(DEFAULT_LIMITS)(file_bytes=100))
        assert isinstance(listed.fetch(listed.labels[0]).content, SizeLimitExceeded)


@pytest.mark.parametrize(
    ("trouble", "told"),
    [
        ((500, {}, b""), "status 500"),
        ((401, {}, b""), "status 401"),
        ((302, {"Location": "http://127.0.0.1:1/"}, b""), "redirects are not followed"),
        ((200, {}, b"<p>sign in"), "no JSON"),
        ((200, {}, b'{"a": 1}'), "no list"),
        ((200, {}, b'[{"0020000D": {"Value": ["../../etc"]}}]'), "no UID"),
        ((200, {}, b"[{}]"), "without 0020000D"),
        ((404, {}, b""), "no such list"),
    ],
)
def test_a_server_that_cannot_be_used_ends_the_batch(
    server: Server, trouble: tuple[int, dict[str, str], bytes], told: str
) -> None:
    server.trouble = lambda *_: trouble
    with pytest.raises(PeerFailed, match=told), listed_at(server):
        pass


def test_a_server_that_is_not_there_ends_the_batch(server: Server) -> None:
    with pytest.raises(PeerFailed, match="ConnectionRefusedError"):
        WebInstances(Access("http://127.0.0.1:9/x", pauses_s=(0.0,)))


@pytest.mark.parametrize(
    "address", ["https:///x", "https://user@host/x", "https://host/x?y=1", "http://host/dicom-web"]
)
def test_addresses_that_cannot_be_meant_are_refused(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(dicomweb.TOKEN, TOKEN)
    with pytest.raises(UsageError):
        access_from_options(address, None, None)


def test_a_token_without_tls_goes_to_this_machine_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(dicomweb.TOKEN, TOKEN)
    assert access_from_options("http://localhost:8042/dicom-web", None, None).token == TOKEN
    with pytest.raises(UsageError, match="without TLS"):
        access_from_options("http://pacs/dicom-web", None, None)


def test_the_part_of_an_answer_is_the_file_to_the_byte(files: list[Path]) -> None:
    data = files[0].read_bytes()
    header = "multipart/related; type=application/dicom; boundary=x1"
    assert first_part(header, parted(data), "x") == data
    assert first_part(header, b"preamble\r\n" + parted(data), "x") == data
    assert first_part("application/dicom", data, "x") == data
    assert dcmread(files[0]).SOPInstanceUID == "2.25.1"


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A key and its own certificate for 127.0.0.1, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "pacs")])
    now = dt.datetime.now(dt.timezone.utc)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path / "server.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    return path


def test_a_server_is_verified_before_it_is_told_the_token(files: list[Path], certificate: Path, tmp_path: Path) -> None:
    (tmp_path / "token").write_text(TOKEN)
    server = Server(files, certificate)
    try:
        trusted = WebInstances(access_from_options(server.base, tmp_path / "token", certificate))
        assert len(trusted.labels) == 5
        trusted.close()
        asked = len(server.asked)
        with pytest.raises(PeerFailed, match="its certificate is not trusted"):
            WebInstances(access_from_options(server.base, tmp_path / "token", None))
        assert len(server.asked) == asked
    finally:
        server.close()
