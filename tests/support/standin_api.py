"""A stand-in, on loopback, for the model behind an agent: enough of four streaming HTTP APIs to hold a conversation.

Claude Code speaks Anthropic's Messages API, Codex OpenAI's Responses API, Gemini CLI Google's, most others OpenAI's
Chat Completions. The user's prompt steers the answer:

    THINK=4           answer for 4 seconds, a word each 0.2 s
    HELD              answer until the test releases the turn, a word each 0.2 s
    QUIET             think silently, and then answer at once
    RUNTOOL=[date]    end by asking the agent to run that shell command; once its result is here, answer it as usual
    FREELY            and do not ask for permission (only Codex leaves that to the model)
    BACKGROUND        and let it run in the background for the rest of the turn
    CALLTOOL=NAME {…} end by calling that tool with the JSON object, up to the end of the line; once its result is here,
                      answer it as usual

The model's turns are recorded with the times (CLOCK_MONOTONIC) at which they began and ended.

A script may answer instead: it gets each turn, and returns what the model says, or the tool that it calls.
"""

from __future__ import annotations

import http.server
import itertools
import json
import math
import re
import select
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

DEFAULT_THINK_SECONDS = 2.0
WORD_SECONDS = 0.2

_ids = itertools.count(1)

Event = dict[str, Any]
# A tool's name and its arguments.
Call = tuple[str, dict[str, Any]]


@dataclass(frozen=True)
class Command:
    """What the agent is asked to run."""

    text: str
    freely: bool
    in_background: bool


@dataclass
class Turn:
    """The model's turn: from the agent's request to the last byte of the answer, or until the agent hangs up."""

    prompt: str
    # What the agent reports about the tools that it was asked to call, as text.
    tool_results: list[str] = field(default_factory=list)
    begin: float = field(default_factory=time.monotonic)
    end: float | None = None
    dropped: bool = False
    released: threading.Event = field(default_factory=threading.Event)

    @property
    def think_seconds(self) -> float:
        # An agent that was interrupted may put the previous prompt back, so the last word counts.
        found = re.findall(r"THINK=([\d.]+)", self.prompt)
        return float(found[-1]) if found else DEFAULT_THINK_SECONDS

    @property
    def rest_seconds(self) -> float:
        """For how long the answer still goes on; infinite if the test says when it ends."""
        if "HELD" in self.prompt:
            return 0 if self.released.is_set() else math.inf
        return max(0, self.begin + self.think_seconds - time.monotonic())

    @property
    def quiet(self) -> bool:
        return "QUIET" in self.prompt

    @property
    def command(self) -> Command | None:
        match = re.search(r"RUNTOOL=\[(.*?)\]", self.prompt)
        return Command(match[1], "FREELY" in self.prompt, "BACKGROUND" in self.prompt) if match else None

    @property
    def call(self) -> Call | None:
        match = re.search(r"CALLTOOL=(\S+) (\{.*\})", self.prompt)
        return (match[1], json.loads(match[2])) if match else None


class Messages:
    """Anthropic's Messages API."""

    path = "/v1/messages"
    is_aside = False

    def __init__(self, request: dict[str, Any]) -> None:
        self._model = request.get("model")
        said = itertools.takewhile(lambda message: message["role"] != "assistant", reversed(request["messages"]))
        self._news = [message for message in said if message["role"] == "user"]
        self.streams = bool(request.get("stream"))

    @property
    def prompt(self) -> str:
        blocks = (block for message in self._news for block in message["content"])
        return "\n".join(block["text"] for block in blocks if block["type"] == "text")

    @property
    def tool_results(self) -> list[str]:
        blocks = (block for message in self._news for block in message["content"])
        return [json.dumps(block["content"]) for block in blocks if block["type"] == "tool_result"]

    @staticmethod
    def command_call(command: Command) -> Call:
        return "Bash", {"command": command.text, "description": "run", "run_in_background": command.in_background}

    def whole_answer(self) -> Event:
        text = {"type": "text", "text": "ok"}
        return self._message() | {"content": [text], "stop_reason": "end_turn"}

    def begin(self) -> list[Event]:
        return [{"type": "message_start", "message": self._message()}]

    def begin_text(self) -> list[Event]:
        return [{"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}]

    def word(self, word: str) -> list[Event]:
        delta = {"type": "text_delta", "text": word}
        return [{"type": "content_block_delta", "index": 0, "delta": delta}]

    def finish(self, _text: str, call: Call | None) -> list[Event]:
        tool_use = self._tool_use(*call) if call else []
        stop = {"stop_reason": "tool_use" if call else "end_turn", "stop_sequence": None}
        return [
            {"type": "content_block_stop", "index": 0},
            *tool_use,
            {"type": "message_delta", "delta": stop, "usage": {"output_tokens": 20}},
            {"type": "message_stop"},
        ]

    def _message(self) -> Event:
        return {
            "id": f"msg_{next(_ids)}",
            "type": "message",
            "role": "assistant",
            "model": self._model,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": {"input_tokens": 10, "output_tokens": 1},
        }

    @staticmethod
    def _tool_use(name: str, arguments: dict[str, Any]) -> list[Event]:
        block = {"type": "tool_use", "id": f"toolu_{next(_ids)}", "name": name, "input": {}}
        delta = {"type": "input_json_delta", "partial_json": json.dumps(arguments)}
        return [
            {"type": "content_block_start", "index": 1, "content_block": block},
            {"type": "content_block_delta", "index": 1, "delta": delta},
            {"type": "content_block_stop", "index": 1},
        ]


class Responses:
    """OpenAI's Responses API."""

    path = "/v1/responses"
    streams = True
    is_aside = False

    def __init__(self, request: dict[str, Any]) -> None:
        self._last = request["input"][-1]
        self._response_id = f"resp_{next(_ids)}"
        self._item_id = f"msg_{next(_ids)}"

    @property
    def prompt(self) -> str:
        content = self._last.get("content") or []
        return "\n".join(part["text"] for part in content if part["type"] == "input_text")

    @property
    def tool_results(self) -> list[str]:
        return [json.dumps(self._last["output"])] if self._last["type"] == "function_call_output" else []

    @staticmethod
    def command_call(command: Command) -> Call:
        arguments: dict[str, Any] = {"cmd": command.text}
        if not command.freely:
            # Codex asks its user because this asks for escalated permissions.
            arguments |= {"sandbox_permissions": "require_escalated", "justification": "May I run this?"}
        if command.in_background:
            arguments["yield_time_ms"] = 500
        return "exec_command", arguments

    def begin(self) -> list[Event]:
        return [{"type": "response.created", "response": {"id": self._response_id}}]

    def begin_text(self) -> list[Event]:
        return [{"type": "response.output_item.added", "output_index": 0, "item": self._message("")}]

    def word(self, word: str) -> list[Event]:
        place = {"output_index": 0, "content_index": 0, "item_id": self._item_id}
        return [{"type": "response.output_text.delta", "delta": word} | place]

    def finish(self, text: str, call: Call | None) -> list[Event]:
        items = [self._message(text)]
        if call:
            items.append(self._function_call(*call))
        usage = {"input_tokens": 10, "output_tokens": 5, "total_tokens": 15}
        return [
            *({"type": "response.output_item.done", "output_index": i, "item": item} for i, item in enumerate(items)),
            {"type": "response.completed", "response": {"id": self._response_id, "usage": usage}},
        ]

    def _message(self, text: str) -> Event:
        content = [{"type": "output_text", "text": text}]
        return {"type": "message", "role": "assistant", "id": self._item_id, "content": content}

    @staticmethod
    def _function_call(name: str, arguments: dict[str, Any]) -> Event:
        # Codex keeps the tools of an MCP server in a namespace of its own.
        namespace, _, tool = name.rpartition("__")
        return {
            "type": "function_call",
            "id": f"fc_{next(_ids)}",
            "call_id": f"call_{next(_ids)}",
            "name": tool,
            "arguments": json.dumps(arguments),
        } | ({"namespace": namespace} if namespace else {})


class GenerateContent:
    """Google's Gemini API."""

    def __init__(self, request: dict[str, Any], streams: bool) -> None:
        said = itertools.takewhile(lambda content: content["role"] != "model", reversed(request["contents"]))
        self._news = list(said)
        self._config = request.get("generationConfig", {})
        self.streams = streams

    tool_results: tuple[str, ...] = ()

    @property
    def is_aside(self) -> bool:
        """Whether this asks for more than a turn of the conversation: such a request has a format for the answer."""
        return "responseJsonSchema" in self._config

    @property
    def prompt(self) -> str:
        return "\n".join(part["text"] for content in self._news for part in content["parts"] if "text" in part)

    @staticmethod
    def command_call(command: Command) -> Call:
        return "run_shell_command", {"command": command.text}

    def whole_answer(self) -> Event:
        # Gemini CLI also asks which model should answer, and who speaks next.
        choice = {"reasoning": "none", "model_choice": "flash", "next_speaker": "user"}
        return self._part(json.dumps(choice)) | {"usageMetadata": {"totalTokenCount": 3}}

    def begin(self) -> list[Event]:
        return []

    def begin_text(self) -> list[Event]:
        return []

    def word(self, word: str) -> list[Event]:
        return [self._part(word)]

    def finish(self, _text: str, call: Call | None) -> list[Event]:
        event = self._part("")
        if call:
            event["candidates"][0]["content"]["parts"] = [{"functionCall": {"name": call[0], "args": call[1]}}]
        event["candidates"][0]["finishReason"] = "STOP"
        return [event | {"usageMetadata": {"promptTokenCount": 1, "candidatesTokenCount": 2, "totalTokenCount": 3}}]

    @staticmethod
    def _part(text: str) -> Event:
        return {"candidates": [{"content": {"role": "model", "parts": [{"text": text}]}, "index": 0}]}


class ChatCompletions:
    """OpenAI's Chat Completions API."""

    path = "/chat/completions"

    def __init__(self, request: dict[str, Any]) -> None:
        self._model = request.get("model")
        self._tools = [tool["function"] for tool in request.get("tools") or [] if tool["type"] == "function"]
        said = itertools.takewhile(lambda message: message["role"] != "assistant", reversed(request["messages"]))
        self._news = list(said)
        self.streams = bool(request.get("stream"))

    @property
    def is_aside(self) -> bool:
        """After a turn, Qwen Code asks at length what to remember of it, and what its user may say next."""
        return len(self.prompt) > 200 and "THINK=" not in self.prompt and not self.tool_results

    @property
    def prompt(self) -> str:
        return "\n".join(text for message in self._news if message["role"] == "user" for text in self._texts(message))

    @property
    def tool_results(self) -> list[str]:
        return [json.dumps(message["content"]) for message in self._news if message["role"] == "tool"]

    def command_call(self, command: Command) -> Call:
        """Uses the tool that the agent offers for this; each agent has another name for it."""
        tool = next(tool for tool in self._tools if re.search("bash|shell|command", tool["name"]))
        form = tool["parameters"]
        values = {"boolean": False, "string": "run", "number": 60, "integer": 60, "array": [command.text]}
        given = {name: values[form["properties"][name]["type"]] for name in form["required"]}
        return tool["name"], given | ({"command": command.text} if "command" in given else {})

    def whole_answer(self) -> Event:
        message = {"role": "assistant", "content": "ok"}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        return self._chunk("chat.completion") | {"choices": [choice], "usage": self._usage}

    def begin(self) -> list[Event]:
        return []

    def begin_text(self) -> list[Event]:
        return [self._delta({"role": "assistant", "content": ""})]

    def word(self, word: str) -> list[Event]:
        return [self._delta({"content": word})]

    def finish(self, _text: str, call: Call | None) -> list[Event]:
        said = []
        if call:
            function = {"name": call[0], "arguments": json.dumps(call[1])}
            tool_call = {"index": 0, "id": f"call_{next(_ids)}", "type": "function", "function": function}
            said = [self._delta({"tool_calls": [tool_call]})]
        end = self._delta({}, "tool_calls" if call else "stop")
        return [*said, end, self._chunk() | {"choices": [], "usage": self._usage}]

    _usage = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}

    def _chunk(self, kind: str = "chat.completion.chunk") -> Event:
        return {"id": "chat_1", "object": kind, "created": int(time.time()), "model": self._model}

    def _delta(self, delta: Event, reason: str | None = None) -> Event:
        return self._chunk() | {"choices": [{"index": 0, "delta": delta, "finish_reason": reason}]}

    @staticmethod
    def _texts(message: dict[str, Any]) -> list[str]:
        content = message["content"]
        return [content] if isinstance(content, str) else [part["text"] for part in content if part["type"] == "text"]


Api = Messages | Responses | GenerateContent | ChatCompletions
Script = Callable[[Turn], str | Call]


def _api_of(path: str, request: dict[str, Any]) -> Api | None:
    if path == Messages.path:
        return Messages(request)
    if path == Responses.path:
        return Responses(request)
    if path.endswith((":generateContent", ":streamGenerateContent")):
        return GenerateContent(request, path.endswith(":streamGenerateContent"))
    if path.endswith(ChatCompletions.path):
        return ChatCompletions(request)
    return None


class _Server(http.server.ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """Agents hang up at any time."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


class StandInApi:
    """The server, on a free port of loopback; a context manager."""

    def __init__(self, script: Script | None = None) -> None:
        self.script = script
        self._changed = threading.Condition()
        self._turns: list[Turn] = []
        self._handed_out = 0
        self._server = _Server(("127.0.0.1", 0), _handler_of(self))
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> StandInApi:
        threading.Thread(target=self._server.serve_forever, name="stand-in-api", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def next_turn(self, seconds: float = 60) -> Turn:
        """The first turn that this has not returned yet, as soon as it has begun."""
        self._wait(lambda: len(self._turns) > self._handed_out, seconds, "the beginning of a turn")
        self._handed_out += 1
        return self._turns[self._handed_out - 1]

    def wait_for_end(self, turn: Turn, seconds: float = 60) -> float:
        """The time at which the turn ended."""
        self._wait(lambda: turn.end is not None, seconds, f"the end of the turn '{turn.prompt}'")
        assert turn.end
        return turn.end

    def record(self) -> list[str]:
        """All turns, in readable form."""
        with self._changed:
            return [
                f"{turn.begin:.3f} to {turn.end and round(turn.end, 3)}, dropped: {turn.dropped}: {turn.prompt[-60:]!r}"
                for turn in self._turns
            ]

    def begin(self, turn: Turn) -> None:
        with self._changed:
            self._turns.append(turn)
            self._changed.notify_all()

    def end(self, turn: Turn, dropped: bool) -> None:
        with self._changed:
            turn.dropped = dropped
            turn.end = time.monotonic()
            self._changed.notify_all()

    def _wait(self, condition: Callable[[], bool], seconds: float, what: str) -> None:
        with self._changed:
            if not self._changed.wait_for(condition, seconds):
                raise TimeoutError(f"not within {seconds:g} s: {what}")


def _handler_of(api: StandInApi) -> type[http.server.BaseHTTPRequestHandler]:
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: object) -> None:
            """Logs nothing: what matters is in the turns."""

        def do_HEAD(self) -> None:
            self._answer_whole({})

        def do_GET(self) -> None:
            self._answer_whole({"object": "list", "data": [], "models": []})

        def do_POST(self) -> None:
            request = json.loads(self.rfile.read(int(self.headers["content-length"])) or "{}")
            path = self.path.partition("?")[0]
            answer = _api_of(path, request)
            if not answer:
                return self._answer_whole({"input_tokens": 10, "totalTokens": 10})
            if not isinstance(answer, Responses) and not answer.streams:
                return self._answer_whole(answer.whole_answer())
            # The agent also asks for titles and similar things; only the conversation itself has tools.
            if not request.get("tools") or answer.is_aside:
                return self._stream(answer, Turn("THINK=0"))
            turn = Turn(answer.prompt, list(answer.tool_results))
            api.begin(turn)
            dropped = True
            try:
                self._stream(answer, turn)
                dropped = False
            except ConnectionError:
                # The user pressed Esc, or the agent is gone.
                self.close_connection = True
            finally:
                api.end(turn, dropped)

        def _answer_whole(self, body: dict[str, Any]) -> None:
            data = json.dumps(body).encode()
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(data)

        def _stream(self, answer: Api, turn: Turn) -> None:
            self.send_response(200)
            self.send_header("content-type", "text/event-stream")
            self.send_header("transfer-encoding", "chunked")
            self.end_headers()
            self._send(answer.begin())
            if api.script:
                self._send(answer.begin_text())
                said = api.script(turn)
                text, call = (said, None) if isinstance(said, str) else ("I look further.", said)
                return self._end(answer, text, call)
            if turn.quiet:
                self._stay(turn.rest_seconds)
            self._send(answer.begin_text())
            text = ""
            while turn.rest_seconds > 0:
                # Never the same twice: Gemini CLI stops what looks like a loop.
                word = f"word {next(_ids)} "
                text += word
                self._send(answer.word(word))
                self._stay(min(WORD_SECONDS, turn.rest_seconds))
            self._end(answer, "Done.", answer.command_call(turn.command) if turn.command else turn.call, text)

        def _end(self, answer: Api, word: str, call: Call | None, before: str = "") -> None:
            self._send(answer.word(word))
            self._send(answer.finish(before + word, call))
            if isinstance(answer, ChatCompletions):
                self._write_chunk(b"data: [DONE]\n\n")
            self._write_chunk(b"")

        def _send(self, events: list[Event]) -> None:
            for event in events:
                name = f"event: {event['type']}\n" if "type" in event else ""
                self._write_chunk(f"{name}data: {json.dumps(event)}\n\n".encode())

        def _write_chunk(self, data: bytes) -> None:
            self.wfile.write(b"%x\r\n%b\r\n" % (len(data), data))

        def _stay(self, seconds: float) -> None:
            """Waits, but no longer than until the agent hangs up: nothing else comes from the agent meanwhile."""
            if select.select([self.connection], [], [], seconds)[0]:
                raise ConnectionResetError("the agent hung up")

    return Handler
