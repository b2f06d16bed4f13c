"""A stand-in, on loopback, for an OpenAI-compatible chat completions endpoint: the test says what the model replies."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Reply:
    """What the endpoint answers: a message of the model, or, with another status, an error."""

    content: Any = None
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    # More keys of the reply, and a body that replaces all of it.
    extra: dict[str, Any] = field(default_factory=dict)
    body: bytes | None = None
    # What the model calls, by the names of the tools. With these, `content` is null.
    calls: list[tuple[str, Any]] = field(default_factory=list)
    error: str = ""

    def message(self, number: int) -> dict[str, Any]:
        if not self.calls:
            return {"role": "assistant", "content": self.content if isinstance(self.content, str) else json.dumps(self.content)}
        return {"role": "assistant", "content": None, "tool_calls": [
            {"id": f"call-{number}-{i}", "type": "function", "function": {"name": name, "arguments": arguments}}
            for i, (name, arguments) in enumerate(self.calls)
        ]}


class StandInChat:
    """A context manager. `model` gets the request and the number of requests before it; an object that it returns is
    sent as JSON."""

    def __init__(self, model: Callable[[dict[str, Any], int], Reply | dict[str, Any] | str]) -> None:
        self.requests: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.paths: list[str] = []
        self._model = model
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self._server.server_port}/openai/v1"

    def __enter__(self) -> StandInChat:
        threading.Thread(target=self._server.serve_forever, name="stand-in-chat", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _handler(self) -> type[http.server.BaseHTTPRequestHandler]:
        chat = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, format: str, *args: object) -> None:
                """Logs nothing: what matters is in `requests`."""

            def do_POST(self) -> None:
                request = json.loads(self.rfile.read(int(self.headers["content-length"])))
                chat.paths.append(self.path)
                chat.headers.append({key.lower(): value for key, value in self.headers.items()})
                chat.requests.append(request)
                reply = chat._model(request, len(chat.requests) - 1)
                if not isinstance(reply, Reply):
                    reply = Reply(reply)
                message = {"index": 0, "finish_reason": "stop", "message": reply.message(len(chat.requests) - 1)}
                whole = {"object": "chat.completion", "model": request["model"], "choices": [message]} | reply.extra
                if reply.status != 200:
                    whole = {"error": {"message": reply.error or f"status {reply.status}, as the test wants it"}}
                data = json.dumps(whole).encode() if reply.body is None else reply.body
                self.send_response(reply.status)
                for key, value in {"content-type": "application/json", "content-length": str(len(data))}.items():
                    self.send_header(key, value)
                for key, value in reply.headers.items():
                    self.send_header(key, value)
                self.end_headers()
                self.wfile.write(data)

        return Handler
