"""The chat model that a command line names: behind an endpoint, or in this process."""

import json
import os
from collections.abc import Mapping, Sequence
from typing import Any

from llamavid_kit.evaluation.judges.chat.endpoint import Chat, Endpoint


def named_chat(
    model: str,
    *,
    endpoint: str | None,
    key_env: str | None,
    changed: Sequence[str],
    settings: Mapping[str, Any],
    prefix: str = "--",
    **limits,
) -> Chat:
    """`Endpoint` where an address is given, else `chat.local.LocalModel`.

    changed: NAME=JSON, in the place of `settings` or beside them; limits: of the endpoint (`timeout_s`, `retries`)
    prefix: of the options, which errors name: "--" for `--set`, "--judge-" for `--judge-set`

    Raises ValueError for a setting that is not NAME=JSON, and for a key variable that is not set.
    """
    settings = dict(settings)
    for setting in changed:
        name, _, value = setting.partition("=")
        try:
            settings[name] = json.loads(value)
        except (ValueError, RecursionError):
            text = f"{prefix}set {setting}: expected NAME=JSON, such as seed=1; texts in double quotes"
            raise ValueError(text) from None
    if endpoint is None and key_env:
        raise ValueError(f"{prefix}key-env {key_env}: for an endpoint, and {prefix}endpoint is missing; name it, too")
    if endpoint is None:
        from llamavid_kit.evaluation.judges.chat.local import LocalModel

        return LocalModel(model, settings=settings)
    key = os.environ.get(key_env) if key_env else None
    if key_env and not key_env.isidentifier():  # it may be the key
        raise ValueError(f"{prefix}key-env: expected the name of a variable that holds the key, not the key itself")
    if key_env and not key:
        text = f"{prefix}key-env {key_env}: the variable is not set, or empty; leave it out to send no key"
        raise ValueError(text)
    return Endpoint(endpoint, model, settings=settings, key=key, **limits)
