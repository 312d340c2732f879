"""The server of a page answers the browser of this machine, and nobody else."""

import socket
import threading
from collections.abc import Iterator
from http.client import HTTPConnection, HTTPResponse

import pytest

from minigrad.errors import ArgumentError
from minigrad.playground import server as module
from minigrad.playground.server import PageServer, serve

PAGE = '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'">Secret \u2202'


@pytest.fixture
def server() -> Iterator[PageServer]:
    with PageServer() as made:
        made.show(PAGE)
        thread = threading.Thread(target=made.serve_forever, args=[0.01], daemon=True)
        thread.start()
        yield made
        made.shutdown()
        thread.join()


def ask(
    server: PageServer, path: str | None = None, method: str = "GET", **headers: str
) -> tuple[HTTPResponse, bytes]:
    connection = HTTPConnection("127.0.0.1", server.server_port, timeout=5)
    connection.request(method, server.path if path is None else path, headers=headers)
    response = connection.getresponse()
    body = response.read()
    connection.close()
    return response, body


def raw(server: PageServer, request: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", server.server_port), timeout=5) as connection:
        connection.sendall(request)
        connection.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: connection.recv(4096), b""))


def test_the_page_at_its_address(server: PageServer) -> None:
    assert server.address == f"http://127.0.0.1:{server.server_port}/{server.token}/"
    response, body = ask(server)
    assert (response.status, body.decode()) == (200, PAGE)
    assert response.headers["Content-Security-Policy"].startswith("default-src 'none'; ")
    assert "frame-ancestors 'none'" in response.headers["Content-Security-Policy"]
    for name, value in {
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Cache-Control": "no-store",
    }.items():
        assert response.headers[name] == value
    assert not [name for name in response.headers if name.startswith("Access-Control")]
    response, body = ask(server, method="HEAD")
    assert (response.status, body) == (200, b"")
    assert int(response.headers["Content-Length"]) == len(PAGE.encode())
    assert ask(server, Host=f"localhost:{server.server_port}")[0].status == 200
    own = f"http://127.0.0.1:{server.server_port}"
    assert ask(server, Origin=own)[0].status == 200


def test_each_server_has_a_token_of_its_own(server: PageServer) -> None:
    with PageServer() as other:
        assert other.token != server.token and len(other.token) >= 43  # 256 bits
        response, body = ask(server, other.path)
        assert response.status == 404 and b"the whole address that minigrad printed" in body
        assert response.getheader("Content-Type") == "text/plain; charset=utf-8"


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "",
        "/index.html",
        "//",
        "/../",
        "/%2e%2e/",
        "/etc/passwd",
        "/{token}",
        "/{token}/x",
        "/{short}/",
        "/{other}/",
        "/{token}/?x",
        "/{token}/#x",
        "http://evil/{token}/",
        "*",
        "/{token}//",
        "/./{token}/",
        "/{encoded}/",
        "/é/",
        "/{token}é/",
    ],
)
def test_no_other_path(server: PageServer, path: str) -> None:
    token = server.token
    other = token[:-1] + ("a" if token[-1] != "a" else "b")
    encoded = f"%{ord(token[0]):02x}{token[1:]}"
    path = path.format(token=token, short=token[:-1], other=other, encoded=encoded)
    request = f"GET {path or '/'} HTTP/1.1\r\nHost: 127.0.0.1:{server.server_port}\r\n\r\n"
    answer = raw(server, request.encode())
    assert b" 404 " in answer.partition(b"\r\n")[0] and b"Secret" not in answer


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:{port}",
        "127.0.0.1",
        "127.0.0.1:1",
        "0.0.0.0:{port}",
        "[::1]:{port}",
        "127.0.0.1:{port}.evil.example",
        "localhost",
        "LOCALHOST:{port}",
        "",
    ],
)
def test_dns_rebinding_finds_another_host(server: PageServer, host: str) -> None:
    response, body = ask(server, Host=host.format(port=server.server_port))
    assert (response.status, body) == (403, b"")


@pytest.mark.parametrize(
    "origin",
    [
        "http://evil.example",
        "null",
        "https://127.0.0.1:{port}",
        "http://127.0.0.1",
        "",
        "http://127.0.0.1:{port}.evil.example",
        "http://localhost:{port}",
        "file://",
    ],
)
def test_other_origins_are_refused(server: PageServer, origin: str) -> None:
    response, body = ask(server, Origin=origin.format(port=server.server_port))
    assert (response.status, body) == (403, b"")
    assert "Access-Control-Allow-Origin" not in response.headers


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "GETS"])
def test_other_methods_are_refused(server: PageServer, method: str) -> None:
    response, body = ask(server, method=method)
    assert (response.status, body) == (501, b"")
    assert "Secret" not in str(response.headers)


@pytest.mark.parametrize(
    "request_text",
    [
        "GET {path} HTTP/1.1\r\n\r\n",
        "GET {path} HTTP/1.1\r\n{host}{host}\r\n",
        "GET {path}\r\n\r\n",
        "GET {path} HTTP/9.9\r\n{host}\r\n",
        "\r\n\r\n",
        "x" * 70000 + "\r\n\r\n",
        "GET {path} HTTP/1.1\r\n{host}X: " + "y" * 70000 + "\r\n\r\n",
        "GET <script> HTTP/1.1\r\n",
        "GET {path} HTTP/1.1\r\n{host}" + "A: b\r\n" * 200 + "\r\n",
        "\x00ÿþ\r\n\r\n",
        "GET {path} HTTP/1.1\r\n{host}Origin: a\r\nOrigin: {origin}\r\n\r\n",
    ],
)
def test_requests_that_are_none(server: PageServer, request_text: str) -> None:
    own = f"127.0.0.1:{server.server_port}"
    for name, text in {"path": server.path, "host": f"Host: {own}\r\n"}.items():
        request_text = request_text.replace(f"{{{name}}}", text)
    answer = raw(server, request_text.replace("{origin}", f"http://{own}").encode("latin-1"))
    assert b"Secret" not in answer and b"<script>" not in answer
    assert ask(server)[0].status == 200  # it goes on


def test_it_listens_on_this_machine_alone(server: PageServer) -> None:
    assert server.server_address[0] == "127.0.0.1"


def test_a_slow_request_does_not_hold_others_up(
    server: PageServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module.Handler, "timeout", 0.2)
    with socket.create_connection(("127.0.0.1", server.server_port), timeout=5) as slow:
        slow.sendall(b"GET /")
        assert ask(server)[0].status == 200
        assert slow.recv(100) == b""  # hung up on


def test_ctrl_c_stops_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ports: list[int] = []

    def interrupted(server: PageServer, poll_interval: float) -> None:
        ports.append(server.server_port)
        raise KeyboardInterrupt

    monkeypatch.setattr(PageServer, "serve_forever", interrupted)
    opened: list[str] = []
    called = threading.Event()

    def browser(address: str) -> None:
        opened.append(address)
        called.set()

    monkeypatch.setattr(module.webbrowser, "open", browser)
    serve(lambda: PAGE)
    assert called.wait(5)
    printed = capsys.readouterr()
    assert opened[0] in printed.out and "stopped" in printed.err
    with socket.socket() as free:  # the port is free again
        free.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        free.bind(("127.0.0.1", ports[0]))
    serve(lambda: PAGE, browser=False)
    assert len(opened) == 1


def test_ports_are_tried_before_the_page_is_made(server: PageServer) -> None:
    def unmade() -> str:
        raise AssertionError

    with pytest.raises(ArgumentError, match="cannot be used"):
        serve(unmade, server.server_port)
    with pytest.raises(ArgumentError, match="from 0 to 65535"):
        serve(unmade, 70000)
