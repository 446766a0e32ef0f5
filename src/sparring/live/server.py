"""A web server for this machine alone: a few routes on 127.0.0.1."""

from __future__ import annotations

import errno
from collections.abc import Callable, Mapping
from contextlib import suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple
from urllib.parse import urlsplit

from sparring.core.errors import SparringError, UsageError

HOST = "127.0.0.1"
_LONGEST = 1 << 16
"""Bytes of a request's body, at most."""


class PageRequest(NamedTuple):
    """One request.

    Args:
        version: the version of the answer that the browser has.
        body: of the request.
    """

    version: str
    body: bytes


class PageResponse(NamedTuple):
    """What is sent back.

    Args:
        body: its text.
        kind: its media type.
        version: of the text; a browser that has it gets an empty answer.
    """

    body: str
    kind: str = "text/html"
    version: str = ""


Routes = Mapping[tuple[str, str], Callable[[PageRequest], PageResponse]]
"""What answers a method and a path, for example ("GET", "/"). Requests come in threads of their own."""


class LocalServer(ThreadingHTTPServer):
    """Serves routes on 127.0.0.1; `with LocalServer(...) as server: server.serve_forever()`.

    Other pages in the same browser neither read nor change anything: a request for another host's name is refused, and
    what is posted has to be JSON, which pages of other origins may not send.

    Args:
        routes: what is served.
        port: of the address; 0 takes any that is free.

    Raises:
        UsageError: the port is taken, or not allowed.
    """

    daemon_threads = True

    def __init__(self, routes: Routes, port: int = 0) -> None:
        self.routes = routes
        try:
            super().__init__((HOST, port), _Handler)
        except OSError as error:
            cause = "is taken" if error.errno == errno.EADDRINUSE else (error.strerror or str(error)).lower()
            raise UsageError(f"--port {port}: {cause}", "leave --port out for any free port") from None

    @property
    def address(self) -> str:
        """For a browser on this machine."""
        return f"http://{HOST}:{self.server_port}/"


def serve_until_stopped(server: LocalServer) -> None:
    """Answer requests until a stop signal.

    Raises:
        Terminated: the signal, in the command line; KeyboardInterrupt elsewhere.
    """
    with server:
        server.serve_forever()


class _Handler(BaseHTTPRequestHandler):
    server: LocalServer
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._answer(b"")

    def do_POST(self) -> None:
        given = self.headers.get("Content-Length", "0")
        length = int(given) if given.isdecimal() else _LONGEST + 1
        if self.headers.get_content_type() != "application/json" or length > _LONGEST:
            self.close_connection = True
            self._send(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "short JSON is wanted", "text/plain")
            return
        self._answer(self.rfile.read(length))

    def log_message(self, format: str, *arguments: object) -> None:
        """Requests are not logged."""

    def _answer(self, body: bytes) -> None:
        route = self.server.routes.get((self.command, urlsplit(self.path).path))
        names = {f"{host}:{self.server.server_port}" for host in (HOST, "localhost")}
        if self.headers.get("Host") not in names:
            self._send(HTTPStatus.FORBIDDEN, f"this server is {self.server.address}", "text/plain")
        elif route is None:
            self._send(HTTPStatus.NOT_FOUND, "there is no such page", "text/plain")
        else:
            version = self.headers.get("If-None-Match", "")
            try:
                answer = route(PageRequest(version, body))
            except (SparringError, OSError) as error:  # files may go while they are read
                self._send(HTTPStatus.CONFLICT, str(error), "text/plain")
                return
            except Exception as error:  # a fault of ours, or of a piece of the user's
                self._send(HTTPStatus.INTERNAL_SERVER_ERROR, f"{type(error).__name__}: {error}", "text/plain")
                raise
            same = bool(version) and version == answer.version
            status = HTTPStatus.NOT_MODIFIED if same else HTTPStatus.OK
            self._send(status, "" if same else answer.body, answer.kind, answer.version)

    def _send(self, status: HTTPStatus, text: str, kind: str, version: str = "") -> None:
        content = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Cache-Control", "no-store")
        if version:
            self.send_header("ETag", version)
        with suppress(ConnectionError):  # a browser that is gone is ignored
            self.end_headers()
            self.wfile.write(content)
