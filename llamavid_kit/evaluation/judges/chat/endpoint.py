"""Any chat model, and a log of its replies: messages in, one text out.

Knows OpenAI-compatible endpoints (`Endpoint`) and `ReplyLog`, which asks nothing twice. A model in this process is
`chat.local`; what is asked, and what a good reply is, is left to the caller.
"""

import contextlib
import email.utils
import hashlib
import http.client
import json
import logging
import random
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

log = logging.getLogger(__name__)

Messages = list[dict[str, str]]  # {"role": "system" | "user" | "assistant", "content": text}
DEFAULT_SETTINGS: dict[str, Any] = {"temperature": 0, "max_tokens": 4096}
MAX_REPLY_BYTES = 10_000_000
_RETRIED = (408, 409, 425, 429)  # and everything from 500
_THIS_REQUEST = (400, 413, 422)  # the server read the request and does not take it: another one may fit


class RefusedError(Exception):
    """The model does not take this request (too long, filtered); asking again would not help, the next one may pass."""


class UnreachableError(ConnectionError):
    """No reply after all retries; a later run may get one."""


class _TransientError(Exception):
    def __init__(self, what: str, retry_after_s: float = 0.0):
        super().__init__(what)
        self.retry_after_s = retry_after_s


@dataclass(frozen=True)
class Reply:
    """What the model said. finish: why it stopped, "stop" or "length" (cut off at max_tokens) or what a server says.

    usage: tokens of (prompt, reply) that it counted, None where it did not say; replies are equal without it
    """

    text: str
    finish: str = "stop"
    usage: tuple[int, int] | None = field(default=None, compare=False)


class Chat(Protocol):
    """Anything that answers. `identity`: JSON values that, with the messages, decide the reply."""

    @property
    def identity(self) -> dict[str, Any]: ...

    def reply(self, messages: Messages) -> Reply: ...


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect would carry the key to another host."""

    def redirect_request(self, *_):
        return None


@dataclass(frozen=True)
class Endpoint:
    """A model behind an OpenAI-compatible server: POST `url`/chat/completions.

    url: base address such as http://127.0.0.1:8000/v1    key: sent as bearer token; never logged, stored or in errors
    settings: fields of the request body; one that is None is not sent (for servers that refuse it)
    timeout_s: for one try, whole reply included           retries: further tries after a time-out, a broken
    connection, 408, 409, 425, 429 or 5xx, `backoff_s`·2^k apart, or as long as Retry-After says, up to `max_wait_s`

    Raises ValueError for an address, a setting, a key or a model that the server does not know.
    """

    url: str
    model: str
    settings: dict[str, Any] = field(default_factory=lambda: dict(DEFAULT_SETTINGS))
    key: str | None = field(default=None, repr=False)
    timeout_s: float = 300.0
    retries: int = 5
    backoff_s: float = 1.0
    max_wait_s: float = 120.0

    def __post_init__(self):
        _check_address(self.url)
        if self.key is not None and not (self.key.isascii() and self.key.isprintable() and " " not in self.key):
            raise ValueError("the key holds blanks, line ends or other characters that a header cannot carry")
        if not self.model:
            raise ValueError("model='': expected the name under which the endpoint serves it")
        if fixed := sorted({"model", "messages", "stream", "n"} & set(self.settings)):
            raise ValueError(f"settings {fixed} are not free: one reply, unstreamed, of the model named")
        if self.timeout_s <= 0 or self.retries < 0 or self.backoff_s < 0 or self.max_wait_s < 0:
            raise ValueError("timeout_s must be above 0; retries, backoff_s and max_wait_s at least 0")

    @property
    def identity(self) -> dict[str, Any]:
        """Model and settings; not the address, so that a server that moved goes on with the same log."""
        return {"endpoint_model": self.model, "settings": self.settings}

    def reply(self, messages: Messages) -> Reply:
        """One reply. Raises UnreachableError, RefusedError; ValueError where no request can succeed."""
        for retry in range(self.retries + 1):
            try:
                return self._post(messages)
            except _TransientError as error:
                if retry == self.retries or error.retry_after_s > self.max_wait_s:
                    wait = f", wait of {error.retry_after_s:g} s asked" if error.retry_after_s else ""
                    raise UnreachableError(f"{error} ({retry + 1} tries{wait})") from None
                backoff_s = self.backoff_s * 2**retry * random.uniform(0.5, 1.0)  # apart, where several wait
                wait_s = min(max(backoff_s, error.retry_after_s), self.max_wait_s)
                log.warning("%s; try %d of %d in %.1f s", error, retry + 2, self.retries + 1, wait_s)
                time.sleep(wait_s)
        raise AssertionError("the last retry returns or raises")

    def _post(self, messages: Messages) -> Reply:
        body = {"model": self.model, "messages": messages}
        body |= {name: value for name, value in self.settings.items() if value is not None}
        request = urllib.request.Request(
            self.url.rstrip("/") + "/chat/completions", data=json.dumps(body).encode(), method="POST"
        )
        request.add_header("Content-Type", "application/json")
        if self.key:
            request.add_header("Authorization", f"Bearer {self.key}")
        deadline = time.monotonic() + self.timeout_s
        try:
            with urllib.request.build_opener(_NoRedirect).open(request, timeout=self.timeout_s) as response:
                return self._read(_body(response, deadline))
        except urllib.error.HTTPError as error:
            raise self._meaning(error) from None
        except (OSError, http.client.HTTPException) as error:  # time-outs, resets, refusals, half a reply
            raise _TransientError(f"no reply: {self._excerpt(error)}") from None

    def _meaning(self, error: urllib.error.HTTPError) -> Exception:
        text = ""
        with contextlib.suppress(OSError, http.client.HTTPException):
            text = error.read(2000).decode("utf-8", "replace")
        what = f"HTTP {error.code} {self._excerpt(text)}".strip()
        if error.code in _RETRIED or error.code >= 500:
            return _TransientError(what, _retry_after(error.headers.get("Retry-After", "")))
        if error.code in _THIS_REQUEST:
            return RefusedError(what)
        return ValueError(
            f"the endpoint answered {what}; check its address ({self.url}), the model's name ({self.model}) and the key"
        )

    def _read(self, body: bytes) -> Reply:
        try:
            whole = json.loads(body)
            choice = whole["choices"][0]
            text = choice["message"].get("content")
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
            raise _TransientError(f"not a chat completion: {self._excerpt(body.decode('utf-8', 'replace'))}") from None
        if not isinstance(text, str | None):
            raise _TransientError(f"content is {type(text).__name__}, expected text")
        finish = self._without_key(str(choice.get("finish_reason") or "stop"))
        return Reply(self._without_key(text or ""), finish, _usage(whole.get("usage")))

    def _without_key(self, text: str) -> str:
        """What a server said, without the key, which some of them repeat."""
        return text.replace(self.key, "***") if self.key else text

    def _excerpt(self, message: object) -> str:
        """At most 300 characters of a server's message, without the key."""
        return self._without_key(" ".join(str(message).split()))[:300]


def _check_address(url: str) -> None:
    """ValueError for what is no address of a server; where a key could stand in it, it is not shown."""
    plain = not {*"@?#;"} & {*url}
    try:
        parts = urllib.parse.urlsplit(url)
        known = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is not a number: it may be a key
        plain = known = False
    if not plain:
        raise ValueError(
            "the endpoint's address holds a user, a key, a query or a port that is not a number: expected one such as "
            "http://127.0.0.1:8000/v1; give a key through the environment"
        )
    if not known:
        raise ValueError(f"endpoint {url!r}: expected an address such as http://127.0.0.1:8000/v1")


def _usage(usage: Any) -> tuple[int, int] | None:
    try:
        n_prompt, n_reply = usage["prompt_tokens"], usage["completion_tokens"]
    except (TypeError, LookupError):
        return None
    return (n_prompt, n_reply) if all(type(n) is int and n >= 0 for n in (n_prompt, n_reply)) else None


def _body(response, deadline: float) -> bytes:
    body = bytearray()
    while piece := response.read1(65536):
        body += piece
        if len(body) > MAX_REPLY_BYTES:
            raise _TransientError(f"a reply of more than {MAX_REPLY_BYTES} bytes")
        if time.monotonic() > deadline:
            raise TimeoutError("timed out in the middle of a reply")
    return bytes(body)  # half a body, where the connection ended, is no JSON


def _retry_after(value: str) -> float:
    """Seconds of a Retry-After header, a number or a date; 0 where it makes no sense."""
    with contextlib.suppress(ValueError):
        return max(0.0, float(value))
    with contextlib.suppress(ValueError):
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - time.time())
    return 0.0


class ReplyLog:
    """An append-only JSONL of replies. A request that is in it is not asked again, so that a killed run goes on.

    The key is the sha256 of messages, `identity` and attempt. A last line that a kill cut short is taken away.
    A request that the model refused is not sent again by this log; a later one, after a change of the server say, is.
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)
        self._writing = threading.Lock()
        self._replies: dict[str, Reply] = {}
        self._refused: dict[str, str] = {}
        if self.path.is_file():
            self._read()

    def __len__(self) -> int:
        return len(self._replies)

    def _read(self) -> None:
        written = self.path.read_bytes()
        whole = written[: written.rfind(b"\n") + 1]
        if len(whole) < len(written):
            log.warning("%s: its last line was cut short and is asked again", self.path)
            with self.path.open("r+b") as file:
                file.truncate(len(whole))
        for number, line in enumerate(whole.splitlines(), start=1):
            try:
                record = json.loads(line)
                if not isinstance(record["text"], str):
                    raise TypeError("text is no text")
                self._replies[record["key"]] = Reply(record["text"], record["finish"])
            except (ValueError, TypeError, KeyError):
                raise ValueError(f"{self.path}, line {number}: not a logged reply; delete that line") from None

    def reply(
        self, chat: Chat, messages: Messages, *, identity: Any = None, attempt: int = 1, about: str = ""
    ) -> Reply:
        """The reply of the log, else of `chat`, which is written down before it is returned. RefusedError as `chat`.

        identity: JSON values in the place of the chat's own, where its replies are kept for more than it knows
        attempt: tells the same messages apart when they are sent again; about: a name for readers of the log
        """
        request = {"messages": messages, "identity": identity or chat.identity, "attempt": attempt}
        key = hashlib.sha256(json.dumps(request, sort_keys=True).encode()).hexdigest()
        if key in self._refused:
            raise RefusedError(self._refused[key])
        if key not in self._replies:
            try:
                reply = chat.reply(messages)
            except RefusedError as error:
                self._refused[key] = str(error)
                raise
            line = {"key": key, "about": about, "attempt": attempt, "finish": reply.finish, "text": reply.text}
            with self._writing:
                if key in self._replies:  # another thread asked the same and was faster: one reply, as on the disk
                    return self._replies[key]
                self.path.parent.mkdir(parents=True, exist_ok=True)
                with self.path.open("a", encoding="ascii") as file:
                    file.write(json.dumps(line) + "\n")
                self._replies[key] = reply
        return self._replies[key]
