"""What asking costs: a `Chat` around a `Chat` that counts requests and tokens and keeps to a number a minute."""

import threading
import time
from dataclasses import dataclass, field
from typing import Any

from llamavid_kit.evaluation.judges.chat.endpoint import Chat, Messages, Reply


@dataclass
class Meter:
    """Counts what passes to `chat`. Replies that a log already holds never come here and cost nothing.

    per_minute: requests that may begin in a minute, evenly spaced; None for no limit. An endpoint's own further tries
    are not counted; they keep their own distance.
    price: money for a million tokens of (prompt, reply), in the currency you think in; None where not known
    n_requests; n_prompt_tokens, n_reply_tokens: as the model counted them; n_uncounted: replies that did not say
    """

    chat: Chat
    per_minute: float | None = None
    price: tuple[float, float] | None = None
    n_requests: int = field(default=0, init=False)
    n_prompt_tokens: int = field(default=0, init=False)
    n_reply_tokens: int = field(default=0, init=False)
    n_uncounted: int = field(default=0, init=False)

    def __post_init__(self):
        if self.per_minute is not None and not self.per_minute > 0:
            raise ValueError(f"per_minute={self.per_minute}: expected a number above 0, or None for no limit")
        if self.price is not None and (len(self.price) != 2 or min(self.price) < 0):
            raise ValueError(f"price={self.price}: expected money for a million tokens of (prompt, reply), from 0 on")
        self._lock = threading.Lock()
        self._next_s = 0.0

    @property
    def identity(self) -> dict[str, Any]:
        """That of `chat`: counting changes no reply."""
        return self.chat.identity

    @property
    def cost(self) -> float | None:
        """Money so far; a lower bound where `n_uncounted` is not 0, None where no price is known."""
        if self.price is None:
            return None
        return (self.n_prompt_tokens * self.price[0] + self.n_reply_tokens * self.price[1]) / 1e6

    def reply(self, messages: Messages) -> Reply:
        """As `chat.reply`, in its turn. A request that fails counts as one."""
        with self._lock:
            self.n_requests += 1
            now = time.monotonic()
            starts_s = max(now, self._next_s)
            self._next_s = starts_s + (60 / self.per_minute if self.per_minute else 0)
        if starts_s > now:
            time.sleep(starts_s - now)
        reply = self.chat.reply(messages)
        with self._lock:
            if reply.usage is None:
                self.n_uncounted += 1
            else:
                self.n_prompt_tokens += reply.usage[0]
                self.n_reply_tokens += reply.usage[1]
        return reply

    def __str__(self) -> str:
        cost = "" if self.price is None else f", {self.cost:.4f} at {self.price[0]:g} and {self.price[1]:g} a million"
        more = f" ({self.n_uncounted} replies did not say)" if self.n_uncounted else ""
        tokens = f"{self.n_prompt_tokens} tokens sent, {self.n_reply_tokens} received"
        return f"{self.n_requests} requests, {tokens}{more}{cost}"
