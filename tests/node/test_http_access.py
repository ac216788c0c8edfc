"""Who may ask over HTTP: loopback, token, certificate; and what a page of another site cannot do."""

from __future__ import annotations

import http.client
import ssl
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from edge_sacro.errors import NodeConfigInvalid
from edge_sacro.node.config import Http
from edge_sacro.node.web import WebServer
from tests.node.certificates import Authority
from tests.node.http_node import DICOM, Node, phantom_bytes, running

TOKEN = "0123456789abcdef0123456789abcdef"  # noqa: S105 - of this test
RIGHT = {"Authorization": f"Bearer {TOKEN}"}
PROTECTED = ("/v1/instances", "/v1/node", "/metrics", "/v1/instances/1/report", "/nowhere")


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """Of a node on loopback without a token; it keeps nothing but what one test sends at its end."""
    with running(Node(tmp_path_factory.mktemp("access") / "node")) as client:
        yield client


def with_token(folder: Path, text: str = TOKEN + "\n", mode: int = 0o600) -> Http:
    place = folder / "token"
    place.write_text(text)
    place.chmod(mode)
    return Http(port=0, token_file=place)


def test_without_a_token_loopback_may_ask(client: httpx.Client) -> None:
    assert client.get("/v1/instances").status_code == 200


@pytest.mark.parametrize("host", ["clinic.example", "evil.example:8042", "127.0.0.1.evil.example", "10.0.0.1", "["])
def test_a_name_that_was_rebound_to_this_machine_is_no_name_of_it(client: httpx.Client, host: str) -> None:
    answer = client.get("/v1/instances", headers={"Host": host})
    assert (answer.status_code, answer.json()["code"]) == (403, "wrong_host")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost:9000", "[::1]:8042", "127.8.8.8"])
def test_names_of_loopback_pass_through_any_port(client: httpx.Client, host: str) -> None:
    assert client.get("/v1/instances", headers={"Host": host}).status_code == 200


def test_a_page_of_another_site_can_neither_send_nor_read(client: httpx.Client) -> None:
    content = phantom_bytes()
    for headers in (
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ):
        sent = client.post("/v1/instances", content=content, headers={**DICOM, **headers})
        assert (sent.status_code, sent.json()["code"]) == (403, "cross_origin"), headers
        assert client.get("/v1/instances", headers=headers).status_code == 403, headers
    assert client.get("/v1/instances").json()["instances"] == [], "nothing was kept"
    own = {"Origin": str(client.base_url).rstrip("/"), "Sec-Fetch-Site": "same-origin"}
    assert client.post("/v1/instances", content=content, headers={**DICOM, **own}).status_code == 201, "its own may"


def test_a_link_to_the_page_works_and_framing_it_does_not(client: httpx.Client) -> None:
    link = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    answer = client.get("/", headers=link)
    assert answer.status_code == 200
    assert client.get("/v1/instances", headers=link).status_code == 403
    policy = answer.headers["content-security-policy"]
    assert "default-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy


@pytest.mark.parametrize("path", ["/", "/v1/instances", "/v1/instances/9", "/static/app.js", "/nowhere"])
def test_every_answer_carries_the_headers_that_protect_it(client: httpx.Client, path: str) -> None:
    headers = client.get(path).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cache-control"] == ("no-cache" if path.startswith("/static/") else "no-store")
    assert "server" not in headers


def test_no_file_beside_the_pages_can_be_asked_for(client: httpx.Client) -> None:
    for name in ("..%2fapp.py", "%2e%2e/app.py", "__init__.py", "style.css/..", "missing.js"):
        assert client.get(f"/static/{name}").status_code == 404, name


def test_with_a_token_nothing_of_a_patient_is_told_without_it(tmp_path: Path) -> None:
    with running(Node(tmp_path / "node", with_token(tmp_path))) as client:
        for path in PROTECTED:
            answer = client.get(path)
            assert (answer.status_code, answer.json()["code"]) == (401, "not_authorised"), path
            assert answer.headers["www-authenticate"].startswith("Bearer")
        wrong = [TOKEN[:-1], TOKEN + "0", TOKEN.upper(), "x", "é"]
        for each in wrong:
            headers = {"Authorization": f"Bearer {each}".encode()}
            assert client.get("/v1/instances", headers=headers).status_code == 401, each  # type: ignore[arg-type]
        assert client.get("/v1/instances", headers={"Authorization": f"Basic {TOKEN}"}).status_code == 401
        assert client.post("/v1/instances", content=phantom_bytes(), headers=DICOM).status_code == 401
        assert client.post("/dicom-web/studies", content=b"").status_code == 401
        assert client.get("/v1/instances", headers=RIGHT).json()["instances"] == []
        for path in ("/", "/healthz", "/readyz", "/static/app.js", "/openapi.json"):
            assert client.get(path).status_code == 200, path


def test_no_way_of_writing_an_address_leads_around_the_token(tmp_path: Path) -> None:
    node = Node(tmp_path / "node", with_token(tmp_path))
    with running(node):
        for path in (
            "/static/../v1/instances",
            "/static/%2e%2e/v1/instances",
            "/static/..%2fv1/instances",
            "//v1/instances",
            "/v1/instances/",
            "/V1/instances",
            "/v1//instances",
            "/v1/instances?/static/",
            "/v1/instances;/static/x",
            "http://localhost/v1/instances",
        ):
            connection = http.client.HTTPConnection("127.0.0.1", node.server.port, timeout=10)
            connection.putrequest("GET", path, skip_accept_encoding=True)
            connection.endheaders()
            answer = connection.getresponse()
            assert answer.status in (401, 404), path
            assert b"sequence" not in answer.read(), path
            connection.close()


@pytest.mark.parametrize(
    ("text", "mode"), [(TOKEN, 0o604), ("short", 0o600), ("", 0o600), ("with blanks and more of them", 0o600)]
)
def test_a_token_file_that_protects_nothing_is_refused(tmp_path: Path, text: str, mode: int) -> None:
    with pytest.raises(NodeConfigInvalid):
        Node(tmp_path / "node", with_token(tmp_path, text, mode))


def test_a_token_file_that_is_absent_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NodeConfigInvalid):
        Node(tmp_path / "node", Http(port=0, token_file=tmp_path / "absent"))


def test_a_port_that_is_taken_is_told(tmp_path: Path, client: httpx.Client) -> None:
    node = Node(tmp_path / "other")
    server = WebServer(Http(port=client.base_url.port or 0), node.app)
    with pytest.raises(NodeConfigInvalid, match="cannot listen"):
        server.start()
    server.stop()
    node.store.close()


def tls_client(node: Node, authority: Authority, name: str | None) -> httpx.Client:
    """A client that trusts the authority, with a certificate of its own where it has a name."""
    context = ssl.create_default_context(cafile=authority.file)
    if name is not None:
        own = authority.issue(name)
        context.load_cert_chain(own.certificate, own.key)
    return httpx.Client(base_url=node.url, verify=context, timeout=20, trust_env=False)


def test_with_tls_and_no_token_a_certificate_is_needed_and_names_the_client(tmp_path: Path) -> None:
    authority, other = Authority(tmp_path), Authority(tmp_path, "other")
    node = Node(tmp_path / "node", Http(port=0, tls=authority.issue("node")))
    node.server.start()
    try:
        with tls_client(node, authority, "console 1") as client:
            assert client.post("/v1/instances", content=phantom_bytes(), headers=DICOM).status_code == 201
        stored = node.store.instance(1)
        assert stored is not None
        assert stored.peer == "console 1"
        with tls_client(node, authority, None) as client, pytest.raises(httpx.TransportError):
            client.get("/v1/instances")
        stranger, context = other.issue("stranger"), ssl.create_default_context(cafile=authority.file)
        context.load_cert_chain(stranger.certificate, stranger.key)
        with httpx.Client(verify=context, trust_env=False) as client, pytest.raises(httpx.TransportError):
            client.get(f"{node.url}/v1/instances")
        with httpx.Client(trust_env=False) as client, pytest.raises(httpx.TransportError):
            client.get(f"{node.url.replace('https', 'http')}/v1/instances")
    finally:
        node.server.stop()
        node.store.close()


def test_with_tls_and_a_token_either_opens(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    http = with_token(tmp_path).model_copy(update={"tls": authority.issue("node")})
    node = Node(tmp_path / "node", http)
    node.server.start()
    try:
        with tls_client(node, authority, None) as client:
            assert client.get("/v1/instances").status_code == 401
            assert client.get("/v1/instances", headers=RIGHT).status_code == 200
        with tls_client(node, authority, "console") as client:
            assert client.get("/v1/instances").status_code == 200
    finally:
        node.server.stop()
        node.store.close()
