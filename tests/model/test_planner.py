"""Guards the arithmetic before a run: counts against real models, caches and clips, and refusals whose advice works."""

import json
import math
from pathlib import Path

import pytest
import torch
from small import random_tokens, small_config, write_clip
from transformers import BertConfig, LlamaConfig
from transformers.models.instructblip import InstructBlipQFormerConfig

from llamavid_kit.data.prompt import IMAGE_SLOT
from llamavid_kit.data.video import Video
from llamavid_kit.model.config import LlamaVidConfig
from llamavid_kit.model.llama_vid import LlamaVid
from llamavid_kit.model.planner import answer_need, ask_need, count_parameters, plan, training_need

TINY = {"vocab_size": 1200, "question_vocab_size": 900}


def grouped() -> LlamaVidConfig:
    """Grouped keys and values, a head width of its own, tied embeddings, no norm, an odd Q-Former."""
    llm = LlamaConfig(
        vocab_size=100,
        hidden_size=48,
        intermediate_size=80,
        num_hidden_layers=3,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=20,
        tie_word_embeddings=True,
    )
    qformer = InstructBlipQFormerConfig(
        vocab_size=50,
        hidden_size=24,
        num_hidden_layers=5,
        num_attention_heads=2,
        intermediate_size=30,
        encoder_hidden_size=192,
        max_position_embeddings=77,
    )
    return LlamaVidConfig(LlamaVidConfig.tiny(**TINY).vision_config, qformer, llm, vision_norm=False, n_query=5)


def plain_bert() -> LlamaVidConfig:
    """BERT as text decoder, and features projected to its width."""
    bert = BertConfig(
        vocab_size=50,
        hidden_size=24,
        num_hidden_layers=3,
        num_attention_heads=2,
        intermediate_size=30,
        max_position_embeddings=77,
        is_decoder=True,
        add_cross_attention=True,
    )
    tiny = LlamaVidConfig.tiny(**TINY)
    return LlamaVidConfig(
        tiny.vision_config, bert, tiny.text_config, n_query=0, vision_norm=False, feature_projector=True
    )


def projected() -> LlamaVidConfig:
    """A Q-Former that sees wider features than the tower's."""
    tiny = LlamaVidConfig.tiny(**TINY)
    tiny.qformer_config.encoder_hidden_size = 200
    return LlamaVidConfig(tiny.vision_config, tiny.qformer_config, tiny.text_config, feature_projector=True)


CONFIGS = {
    "plain_bert": plain_bert,
    "projected": projected,
    "tiny": lambda: LlamaVidConfig.tiny(**TINY),
    "7b": LlamaVidConfig.llama_vid_7b_224,
    "grouped": grouped,
}


# By arithmetic on the widths: tower, text decoder, language model, projectors.
PUBLISHED = {
    "llama_vid_7b_224": 7_941_443_072,
    "llama_vid_7b_336": 7_941_893_632,
    "llama_vid_7b_224_long_video": 7_941_443_072,
    "llama_vid_13b_224": 14_231_215_616,
    "llama_vid_13b_336": 14_231_666_176,
}


@pytest.mark.parametrize("preset", PUBLISHED)
def test_parameters_of_the_published_models(preset):
    assert count_parameters(getattr(LlamaVidConfig, preset)()) == PUBLISHED[preset]


@pytest.mark.parametrize("name", CONFIGS)
def test_parameters_are_counted_as_built(name):
    config = CONFIGS[name]()
    with torch.device("meta"):
        model = LlamaVid(config)
    model.tie_weights()
    assert count_parameters(config) == sum(p.numel() for p in model.parameters())
    weights = {dtype: plan(config, duration_s=1, fps=1, dtype=dtype).weight_bytes for dtype in ("bfloat16", "float32")}
    assert weights == {"bfloat16": 2 * count_parameters(config), "float32": 4 * count_parameters(config)}


@pytest.mark.parametrize("content", ["mean", "grid:2", "grid:3", "all"])
@torch.no_grad()
def test_cache_bytes_are_those_of_a_real_cache(tokenizers, content):
    config = small_config(*tokenizers, content=content)
    model = LlamaVid(config).eval()
    planned = plan(config, duration_s=2.5, fps=2, n_prompt=7, dtype="float32")
    visual = random_tokens(model, planned.n_frames, n_content=config.n_content())
    ids = torch.tensor([[5, IMAGE_SLOT, 6, 7, 8, 9, 10, 11]])  # the slot itself takes no place
    out = model(ids, visual=[[visual]], use_cache=True)
    layers = out.past_key_values.layers
    held = sum(t.numel() * t.element_size() for layer in layers for t in (layer.keys, layer.values))
    assert planned.kv_cache_bytes == held
    assert planned.total_tokens == out.logits.shape[1] == 5 * config.tokens_per_frame() + 7
    features = model.encode_frames(torch.zeros(planned.n_frames, 3, 28, 28))
    assert planned.feature_bytes == features.numel() * features.element_size()


@pytest.mark.parametrize("fps", [0.4, 1, 2, 3, 6, 12])
@pytest.mark.parametrize("seconds", [0.5, 2.0, 3.25])
def test_frames_are_those_that_sampling_takes(tmp_path, fps, seconds):
    video = Video(write_clip(tmp_path / "clip.mp4", seconds=seconds))
    planned = plan(LlamaVidConfig.tiny(**TINY), duration_s=video.duration_s, fps=fps)
    assert planned.n_frames == len(video.sample(fps))


def test_a_millisecond_too_long_is_no_frame_more(tmp_path):
    """Containers round: sampling forgives a millisecond, and so must the plan."""
    assert plan(LlamaVidConfig.tiny(**TINY), duration_s=2.0005, fps=1).n_frames == 2
    assert plan(LlamaVidConfig.tiny(**TINY), duration_s=2.002, fps=1).n_frames == 3
    assert plan(LlamaVidConfig.tiny(**TINY), duration_s=0.0001, fps=1).n_frames == 1


def test_numbers_of_the_paper():
    """Two tokens a frame: an hour at 1 fps is 7,200 of them, too many for 4,096."""
    hour = plan(LlamaVidConfig.llama_vid_7b_224(), duration_s=3600, fps=1)
    assert (hour.n_frames, hour.tokens_per_frame, hour.visual_tokens) == (3600, 2, 7200)
    assert hour.context == 4096 and not hour.fits and "does not fit" in str(hour)
    assert hour.kv_cache_bytes == 2 * 32 * 4096 * (7200 + 128) * 2
    minute = plan(LlamaVidConfig.llama_vid_7b_224(), duration_s=60, fps=1, content="all")
    assert minute.tokens_per_frame == 257 and minute.total_tokens == 60 * 257 + 128
    assert plan(LlamaVidConfig.llama_vid_7b_224(), duration_s=60, fps=6).fits


@pytest.mark.parametrize(
    "wrong",
    [{"fps": 0}, {"fps": -1}, {"fps": math.inf}, {"duration_s": 0}, {"duration_s": math.nan}, {"dtype": "int4"}],
)
def test_refusals(wrong):
    with pytest.raises(ValueError, match=f"{next(iter(wrong))}="):
        plan(LlamaVidConfig.tiny(**TINY), **{"duration_s": 1, "fps": 1, **wrong})


# --- what a GPU needs: constants of the planner against measurements (`commands.bench_rows.points`)

RECORDS = [json.loads(line) for line in Path(__file__).with_name("gpu_records.jsonl").read_text().splitlines()]


def need(record):
    config = LlamaVidConfig.llama_vid_7b_224()
    if record["what"] == "ask":
        shape = {name: record[name] for name in ("n_frames", "n_tokens")}
        return ask_need(config, **shape, max_new_tokens=record["new"])
    shape = {name: record[name] for name in ("batch", "n_tokens")}
    if record["what"] == "answer":
        return answer_need(config, **shape, max_new_tokens=record["new"])
    return training_need(config, **shape, share=record["share"])


@pytest.mark.parametrize("half", ["fitted", "tested"])
def test_a_gpu_needs_what_is_predicted(half):
    """Memory within 10%, seconds within 25%: on the records that the constants were fitted to, and on the others."""
    answers, trainings = ([r for r in RECORDS if r["what"] == what] for what in ("answer", "train"))
    fitted = [r for k, r in enumerate(answers) if k // 2 % 2 == 0] + trainings[::2]
    records = fitted if half == "fitted" else [r for r in RECORDS if r not in fitted]
    assert abs(len(records) - len(RECORDS) / 2) <= 2
    assert {r["what"] for r in records} == {"answer", "train"} | ({"ask"} if half == "tested" else set())
    for record in records:
        predicted = need(record)
        assert predicted.n_bytes == pytest.approx(record["bytes"], rel=0.1), record
        assert predicted.seconds == pytest.approx(record["seconds"], rel=0.25), record


def test_a_plan_says_what_asking_takes():
    """Weights and all; 4 bits need less, float32 twice as much."""
    config = LlamaVidConfig.llama_vid_7b_224()
    hour = plan(config, duration_s=3600, fps=1)
    need = ask_need(config, n_frames=3600, n_tokens=hour.total_tokens, max_new_tokens=32)
    assert hour.gpu_bytes == pytest.approx(hour.weight_bytes + need.n_bytes) and hour.seconds == need.seconds
    assert plan(config, duration_s=3600, fps=1, dtype="float32").gpu_bytes == pytest.approx(2 * hour.gpu_bytes)
    assert plan(config, duration_s=3600, fps=1, quantise="4bit").gpu_bytes < hour.gpu_bytes - 8e9
    assert str(hour).endswith("about 20.6 GiB of a GPU, 4.7 s of an H200")


def test_more_needs_more():
    config, one = LlamaVidConfig.llama_vid_7b_224(), {"batch": 2, "n_tokens": 1000}
    needs = [training_need(config, **one, share=share) for share in (0, 1 / 3, 2 / 3, 1)]
    assert sorted(needs, key=lambda n: -n.n_bytes) == needs == sorted(needs, key=lambda n: n.seconds)
    replies = [answer_need(config, batch=b, n_tokens=n, max_new_tokens=9) for b, n in ((1, 500), (2, 500), (2, 5000))]
    assert sorted(replies, key=lambda n: n.n_bytes) == replies
