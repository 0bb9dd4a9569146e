"""A chat endpoint on this machine that does what its script says, well or badly."""

import contextlib
import hashlib
import json
import re
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Fault:
    """What goes wrong: a status, a raw body, half a body, a wait before the reply or each byte, a reset instead."""

    status: int = 200
    body: str = "{}"
    headers: dict[str, str] = field(default_factory=dict)
    missing_bytes: int = 0
    wait_s: float = 0.0
    drip_s: float = 0.0
    reset: bool = False


@dataclass
class FakeEndpoint:
    """script(body, number): the text of the reply to the number-th request (from 0), or a Fault."""

    script: Callable[[dict[str, Any], int], str | Fault]
    url: str = ""
    bodies: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    times_s: list[float] = field(default_factory=list)


def completion(text: str | None, finish: str = "stop") -> str:
    message = {"role": "assistant", "content": text}
    return json.dumps({"object": "chat.completion", "choices": [{"message": message, "finish_reason": finish}]})


@contextlib.contextmanager
def serve(script) -> Iterator[FakeEndpoint]:
    """A server in threads, for as long as the block lasts."""
    fake, lock = FakeEndpoint(script), threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            with lock:
                number = len(fake.bodies)
                fake.bodies.append(body)
                fake.headers.append(dict(self.headers))
                fake.paths.append(self.path)
                fake.times_s.append(time.monotonic())
            answer = fake.script(body, number)
            fault = answer if isinstance(answer, Fault) else Fault(body=completion(answer))
            time.sleep(fault.wait_s)
            if fault.reset:
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.connection.close()
                return
            content = fault.body.encode()
            self.send_response(fault.status)
            for name, value in fault.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content) + fault.missing_bytes))
            self.send_header("Connection", "close")
            self.end_headers()
            for piece in [content] if not fault.drip_s else (content[k : k + 1] for k in range(len(content))):
                self.wfile.write(piece)
                time.sleep(fault.drip_s)
            self.close_connection = True

        do_GET = do_POST

        def log_message(self, *_):
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_):
            """Clients that gave up are what is being tested."""

    server = Server(("127.0.0.1", 0), Handler)
    server.block_on_close = False
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    fake.url = f"http://127.0.0.1:{server.server_address[1]}/v1"
    try:
        yield fake
    finally:
        server.shutdown()
        server.server_close()


TYPES = {"brief": "detailed", "plot": "character", "detail": "reasoning"}


def good_pairs(body: dict[str, Any]) -> dict[str, Any]:
    """What a well-behaved model answers: as many pairs as asked for, different for each prompt, the same every time."""
    prompt = body["messages"][1]["content"]
    n = int(re.search(r"exactly (\d+)", prompt)[1])
    first = re.search(r'"type": "(\w+)"', prompt)[1]
    about = hashlib.sha256(prompt.encode()).hexdigest()[:12]
    return {
        "pairs": [
            {
                "type": TYPES[first] if k % 2 else first,
                "question": f"Who enters room {k} of {about}?",
                "answer": f"In room {k} of {about} stands the old count, and he smiles at everybody.",
            }
            for k in range(n)
        ]
    }


def good(body: dict[str, Any], number: int = 0) -> str:
    return json.dumps(good_pairs(body))
