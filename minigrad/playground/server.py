"""A server of one page for the browser on this machine, and for nobody else."""

from __future__ import annotations

import hmac
import re
import secrets
import sys
import threading
import webbrowser
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from minigrad.errors import ArgumentError

HOST = "127.0.0.1"
PATIENCE = 10.0  # seconds that a request may take to be sent
# What is shown at another path.
ELSEWHERE = b"The page is at the whole address that minigrad printed, up to its last character: /"
NOTHING = "default-src 'none'"  # the policy of a page without one
POLICY = re.compile(r'http-equiv="Content-Security-Policy" content="([^"]*)"')


def serve(make_page: Callable[[], str], port: int = 0, browser: bool = True) -> None:
    """Serve a page until Ctrl-C, and open it in the browser.

    Args:
        make_page: makes the page. It is called when the port is ours, as it may take long.
        port: 0: any that is free.
        browser: open the page in the browser; else its address is printed only.

    Raises:
        ArgumentError: if the port is taken, or not a port.
    """
    with PageServer(port) as server:
        server.show(make_page())
        try:
            print(f"The playground is at {server.address}\nStop it with Ctrl-C.", flush=True)
            if browser:
                threading.Thread(target=webbrowser.open, args=[server.address], daemon=True).start()
            server.serve_forever(poll_interval=0.1)
        except KeyboardInterrupt:
            print("\nstopped", file=sys.stderr)


class PageServer(ThreadingHTTPServer):
    """Serves one page, at an address with a random token in it, to programs on this machine that
    know the address. Other pages in the same browser do not, and could not read the answer: it is
    refused to other origins, and to other names of this machine, as those of DNS rebinding are.

    `address`: of the page, which `show` sets before the first request is answered.
    """

    daemon_threads = True
    block_on_close = False

    def __init__(self, port: int = 0) -> None:
        if not 0 <= port < 65536:
            raise ArgumentError(f"a port is a number from 0 to 65535, not {port}")
        self.token = secrets.token_urlsafe(32)
        self.show("")
        try:
            super().__init__((HOST, port), Handler)
        except OSError as error:
            raise ArgumentError(
                f"port {port} cannot be used ({error.strerror}): choose another, or 0 for any"
            ) from None
        self.names = {f"{name}:{self.server_port}" for name in (HOST, "localhost")}
        self.path = f"/{self.token}/"
        self.address = f"http://{HOST}:{self.server_port}{self.path}"

    def show(self, page: str) -> None:
        """Set the page, and the policy that is sent with it: its own, and no frame around it."""
        found = POLICY.search(page)
        own = "frame-ancestors 'none'"  # which only a header can say
        self.page = page.encode()
        self.policy = f"{found[1] if found else NOTHING}; {own}"

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing of browsers that hang up."""


class Handler(BaseHTTPRequestHandler):
    """Answers one request."""

    server: PageServer
    timeout = PATIENCE
    server_version, sys_version = "minigrad", ""

    def do_GET(self) -> None:
        self.answer(with_body=True)

    def do_HEAD(self) -> None:
        self.answer(with_body=False)

    def answer(self, with_body: bool) -> None:
        status = self.status()
        body = {200: self.server.page, 404: ELSEWHERE}.get(status, b"")
        self.send_response(status)
        for name, value in {
            "Content-Type": f"text/{'html' if status == 200 else 'plain'}; charset=utf-8",
            "Content-Length": str(len(body)),
            "Content-Security-Policy": self.server.policy,
            "Cross-Origin-Opener-Policy": "same-origin",
            "Cross-Origin-Resource-Policy": "same-origin",
            "Referrer-Policy": "no-referrer",
            "X-Content-Type-Options": "nosniff",
            "Cache-Control": "no-store",
        }.items():
            self.send_header(name, value)
        self.end_headers()
        if with_body:
            self.wfile.write(body)

    def status(self) -> int:
        hosts, origins = self.headers.get_all("Host", []), self.headers.get_all("Origin", [])
        if len(hosts) != 1 or hosts[0] not in self.server.names:
            return 403
        if any(origin != f"http://{hosts[0]}" for origin in origins):
            return 403
        # In constant time: how long an answer takes tells nothing of the token.
        same = hmac.compare_digest(self.path.encode(), self.server.path.encode())
        return 200 if same else 404

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Nothing of the request is in the answer."""
        self.close_connection = True
        self.send_response(code)
        self.send_header("Content-Length", "0")
        self.send_header("Connection", "close")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nothing is written down."""
