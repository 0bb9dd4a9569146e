"""A chat model in this process, for films that may not leave the machine, by the protocol of `chat.endpoint.Chat`.

Knows transformers' causal language models and their chat templates; only safetensors are read, and no code of a model.
"""

import hashlib
import threading
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from llamavid_kit.evaluation.judges.chat.endpoint import DEFAULT_SETTINGS, Messages, RefusedError, Reply
from llamavid_kit.model.decoding import repeatable
from llamavid_kit.model.original.tensors import read_object

SETTINGS = ("temperature", "top_p", "max_tokens", "seed")


class LocalModel:
    """A folder or a hub name with a causal language model in safetensors and a tokenizer with a chat template.

    settings: temperature (0: greedy), top_p, max_tokens, seed. device: default the GPU if there is one.
    Raises ValueError for a setting or a model that cannot be used.
    """

    def __init__(self, model: str, *, settings: dict[str, Any] | None = None, device: str | None = None):
        self.settings = {k: v for k, v in (settings or DEFAULT_SETTINGS).items() if v is not None}
        if unknown := sorted(set(self.settings) - set(SETTINGS)):
            raise ValueError(f"settings {unknown} are unknown for a local model; known are {SETTINGS}")
        self.name = model
        self.device = device or ("cuda" if torch.cuda.is_available() else "cpu")
        try:
            if (Path(model) / "config.json").is_file():
                read_object(Path(model) / "config.json")  # refuses what names foreign code
            self.tokenizer = AutoTokenizer.from_pretrained(model, trust_remote_code=False)
            loaded = AutoModelForCausalLM.from_pretrained(
                model, dtype="auto", use_safetensors=True, trust_remote_code=False
            )
        except Exception as error:  # transformers, tokenizers and safetensors raise many kinds
            words = " ".join(str(error).split())
            raise ValueError(f"{model} could not be loaded: expected a chat model in safetensors ({words})") from error
        if not self.tokenizer.chat_template:
            raise ValueError(f"{model} has no chat template: expected a chat model, not a base model")
        self.model = loaded.to(self.device).eval()
        self._one_at_a_time = threading.Lock()

    @cached_property
    def weights(self) -> str:
        """sha256 of every tensor: another model under the same name is told apart. Some seconds for 7B."""
        digest = hashlib.sha256()
        for name, tensor in sorted(self.model.state_dict().items()):
            digest.update(f"{name}{tensor.dtype}{tuple(tensor.shape)}".encode())
            digest.update(tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy())
        return digest.hexdigest()

    @property
    def identity(self) -> dict[str, Any]:
        """Name, weights and settings."""
        return {"local_model": self.name, "weights": self.weights, "settings": self.settings}

    def reply(self, messages: Messages) -> Reply:
        """One reply. Raises RefusedError where prompt and reply do not fit the model's context; ValueError where its
        chat template is damaged or takes no such messages."""
        try:
            inputs = self.tokenizer.apply_chat_template(
                messages, add_generation_prompt=True, return_tensors="pt", return_dict=True
            ).to(self.device)
        except Exception as error:  # a template is a program, and can fail in any way
            words = f"{type(error).__name__}: {error}"
            raise ValueError(f"{self.name}: its chat template takes no such messages ({words}); mend it") from error
        n_prompt = inputs["input_ids"].shape[1]
        most = self.settings.get("max_tokens", DEFAULT_SETTINGS["max_tokens"])
        room = getattr(self.model.config, "max_position_embeddings", None)
        if room and n_prompt + most > room:
            raise RefusedError(f"{n_prompt} tokens and max_tokens={most} do not fit the model's {room}; shorten one")
        temperature = self.settings.get("temperature", 0)
        sampling = {"do_sample": temperature > 0}
        if temperature > 0:
            sampling |= {"temperature": temperature, "top_p": self.settings.get("top_p", 1.0)}
        with self._one_at_a_time, torch.inference_mode(), repeatable():
            if "seed" in self.settings:
                torch.manual_seed(self.settings["seed"])
            ids = self.model.generate(**inputs, max_new_tokens=most, **sampling)[0, n_prompt:]
        finish = "length" if len(ids) >= most else "stop"
        return Reply(self.tokenizer.decode(ids, skip_special_tokens=True), finish, (n_prompt, len(ids)))
