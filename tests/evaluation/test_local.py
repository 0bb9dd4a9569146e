"""Guards a chat model in this process: its template, its seed, what tells one from another, and what it refuses."""

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file

from llamavid_kit.evaluation.judges.chat.endpoint import RefusedError
from llamavid_kit.evaluation.judges.chat.local import LocalModel

MESSAGES = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Grüße?"}]


def test_a_local_model_speaks_by_its_template(chat_model):
    chat = LocalModel(str(chat_model), settings={"temperature": 0, "max_tokens": 6}, device="cpu")
    cudnn = set()
    hook = chat.model.register_forward_pre_hook(lambda *_: cudnn.add(torch.backends.cuda.cudnn_sdp_enabled()))
    reply = chat.reply(MESSAGES)
    hook.remove()
    assert cudnn == {False}, "cuDNN's attention does not repeat itself"
    prompt = chat.tokenizer(
        "system: Be brief.\nuser: Grüße?\nassistant:", return_tensors="pt", add_special_tokens=False
    )
    whole = chat.model.generate(**prompt, max_new_tokens=6, do_sample=False)[0]
    n = prompt["input_ids"].shape[1]
    assert reply.text == chat.tokenizer.decode(whole[n:], skip_special_tokens=True)
    assert reply.finish == ("length" if len(whole) - n == 6 else "stop")
    assert reply.usage == (n, len(whole) - n)
    settings = {"temperature": 0, "max_tokens": 6}
    assert chat.identity == {"local_model": str(chat_model), "weights": chat.weights, "settings": settings}


def test_other_weights_under_the_same_name_are_another_model(chat_model):
    one, two = (LocalModel(str(chat_model), settings={"max_tokens": 6}, device="cpu") for _ in range(2))
    with torch.no_grad():
        two.model.lm_head.weight[3, 5] += 0.5
    assert one.identity["local_model"] == two.identity["local_model"] and one.identity != two.identity
    assert LocalModel(str(chat_model), settings={"max_tokens": 6}, device="cpu").identity == one.identity


def test_a_local_model_samples_by_its_seed(chat_model):
    texts = [
        LocalModel(str(chat_model), settings={"temperature": 1.5, "max_tokens": 12, "seed": seed}).reply(MESSAGES).text
        for seed in (1, 1, 2)
    ]
    assert texts[0] == texts[1] != texts[2]


def test_what_a_local_model_refuses(chat_model, tmp_path):
    with pytest.raises(RefusedError, match=r"max_tokens=4096 do not fit the model's 120"):
        LocalModel(str(chat_model)).reply(MESSAGES)
    with pytest.raises(ValueError, match=r"\['response_format'\] are unknown"):
        LocalModel(str(chat_model), settings={"response_format": {}})
    shutil.copytree(chat_model, tmp_path / "pickled")
    weights = tmp_path / "pickled" / "model.safetensors"
    torch.save(load_file(weights), weights.with_name("pytorch_model.bin"))
    weights.unlink()
    with pytest.raises(ValueError, match="could not be loaded: expected a chat model in safetensors"):
        LocalModel(str(tmp_path / "pickled"))
    for name, content in {
        "tokenizer.json": "{}",
        "tokenizer_config.json": "\xe9{",
        "model.safetensors": "\0" * 20,
        "config.json": json.dumps({"model_type": "llama", "attn_implementation": "somebody/kernels"}),
    }.items():
        shutil.copytree(chat_model, tmp_path / name)
        (tmp_path / name / name).write_text(content, encoding="latin-1")
        with pytest.raises(ValueError, match=rf"{name} could not be loaded: expected a chat model") as error:
            LocalModel(str(tmp_path / name))
    assert "names code from elsewhere" in str(error.value)
    shutil.copytree(chat_model, tmp_path / "odd")
    (tmp_path / "odd" / "chat_template.jinja").write_text("{% for %}")
    with pytest.raises(ValueError, match=r"odd: its chat template takes no such messages \(TemplateSyntaxError"):
        LocalModel(str(tmp_path / "odd"), settings={"max_tokens": 6}).reply(MESSAGES)
    shutil.copytree(chat_model, tmp_path / "base")
    (tmp_path / "base" / "chat_template.jinja").unlink()
    with pytest.raises(ValueError, match="no chat template"):
        LocalModel(str(tmp_path / "base"))
