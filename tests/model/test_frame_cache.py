"""Guards the frame cache: what it gives is what a direct computation gives, for this clip, question and model."""

import copy
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from peft import get_peft_model
from safetensors.torch import load, save_file
from small import QUESTION, small_model, write_clip

from llamavid_kit.data import video_readers
from llamavid_kit.data.pixels import pixel_values
from llamavid_kit.data.video import Video, VideoError
from llamavid_kit.files import partial_path
from llamavid_kit.model import frame_cache, identity
from llamavid_kit.model.answering import LlamaVidAnswerer
from llamavid_kit.model.frame_cache import FrameCache
from llamavid_kit.model.identity import settings_key, vision_key
from llamavid_kit.model.llama_vid import LlamaVid
from llamavid_kit.model.lora import LoraSettings, lora_config

OTHER = "What happens in the video?"


@pytest.fixture
def clip(tmp_path):
    return write_clip(tmp_path / "clips" / "a.mp4", seconds=3.0)


@pytest.fixture
def decoded(monkeypatch):
    """Frame indices of each decoding call."""
    calls, kept = [], Video.frames
    monkeypatch.setattr(Video, "frames", lambda self, indices: calls.append(list(indices)) or kept(self, indices))
    return calls


def same(a, b) -> bool:
    return torch.equal(a.context, b.context) and torch.equal(a.content, b.content)


@torch.no_grad()
def test_equals_direct_computation(model, clip, tmp_path):
    video = Video(clip)
    sample = video.sample(4)
    frames = pixel_values(video.frames(sample.indices), size=28)
    direct = model.frame_tokens(model.encode_frames(frames), QUESTION)
    for cache in (FrameCache(model, tmp_path / "cache"), FrameCache(model)):
        for _ in range(2):
            tokens, times = cache.tokens(video, QUESTION, fps=4)
            torch.testing.assert_close(tokens.context, direct.context, atol=1e-5, rtol=1e-5)
            torch.testing.assert_close(tokens.content, direct.content, atol=1e-5, rtol=1e-5)
            assert tokens.attention is None and times.tolist() == sample.timestamps_s.tolist()
            assert times.tolist() == pytest.approx([k / 4 for k in range(12)], abs=0.02)


def test_slow_rates_come_free_with_the_fast(model, clip, tmp_path, decoded):
    cache, video = FrameCache(model, tmp_path), Video(clip)
    fast, _ = cache.tokens(video, QUESTION, fps=6)
    assert [len(call) for call in decoded] == [18]
    for fps, every in ((1, 6), (2, 3), (3, 2)):
        slow, times = cache.tokens(video, QUESTION, fps=fps)
        assert same(slow, fast[::every]) and times.tolist() == pytest.approx(np.arange(3 * fps) / fps)
    assert len(decoded) == 1
    cache.tokens(video, QUESTION, fps=4)  # 12 frames, of which those at 0, 0.5, 1, … s are there
    assert len(decoded) == 2 and len(decoded[1]) == 6
    assert same(cache.tokens(video, QUESTION, fps=6)[0], fast) and len(decoded) == 2


def test_frames_added_out_of_order_stay_in_order(model, clip, tmp_path):
    """First the slow rate, then the fast: the new frames lie between the old ones."""
    cache, video = FrameCache(model, tmp_path), Video(clip)
    cache.tokens(video, QUESTION, fps=1)
    mixed, _ = cache.tokens(video, QUESTION, fps=6)
    expected, _ = FrameCache(model).tokens(video, QUESTION, fps=6)
    torch.testing.assert_close(mixed.context, expected.context, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(mixed.content, expected.content, atol=1e-5, rtol=1e-5)


def test_a_long_clip_is_decoded_in_pieces(model, tmp_path, decoded):
    video = Video(write_clip(tmp_path / "long.mp4", seconds=9))
    tokens, _ = FrameCache(model).tokens(video, QUESTION, fps=12)
    assert len(tokens) == 108 and [len(call) for call in decoded] == [48, 48, 12]


def test_threads_get_what_one_caller_gets(model, tmp_path):
    """Twelve clips and as many copies under other names, by eight threads into one folder."""
    clips = [write_clip(tmp_path / f"{k}.mp4", seconds=1.0, seed=k) for k in range(12)]
    copies = [Path(shutil.copy(clip, tmp_path / f"copy_{clip.name}")) for clip in clips]
    alone, shared = FrameCache(model), FrameCache(model, tmp_path / "cache")
    together = [clip for pair in zip(clips, copies, strict=True) for clip in pair]
    with ThreadPoolExecutor(8) as threads:
        tokens = list(threads.map(lambda clip: shared.tokens(Video(clip), QUESTION, fps=6)[0], together))
    for k, clip in enumerate(clips):
        expected = alone.tokens(Video(clip), QUESTION, fps=6)[0]
        assert same(tokens[2 * k], expected) and same(tokens[2 * k + 1], expected)
    assert sorted(p.suffix for p in (tmp_path / "cache").iterdir()) == [".safetensors"] * 12


def test_content_is_the_key_and_not_the_name(model, clip, tmp_path, decoded):
    cache = FrameCache(model, tmp_path / "cache")
    first, _ = cache.tokens(Video(clip), QUESTION, fps=2)
    renamed = clip.rename(clip.with_name("renamed.mp4"))
    again, _ = cache.tokens(Video(renamed), QUESTION, fps=2)
    assert same(first, again) and len(decoded) == 1
    write_clip(renamed, seconds=3.0, label="Blue", seed=1)
    changed, _ = cache.tokens(Video(renamed), QUESTION, fps=2)
    assert len(decoded) == 2 and not same(first, changed)
    write_clip(clip, seconds=3.0)  # the old bytes under the old name
    assert same(cache.tokens(Video(clip), QUESTION, fps=2)[0], first) and len(decoded) == 2


def test_question_model_and_content_are_in_the_key(model, tokenizers, clip, tmp_path, decoded):
    video = Video(clip)
    first, _ = FrameCache(model, tmp_path).tokens(video, QUESTION, fps=2)
    asked_otherwise, _ = FrameCache(model, tmp_path).tokens(video, OTHER, fps=2)
    assert len(decoded) == 2 and not same(first, asked_otherwise)
    other, _ = FrameCache(small_model(*tokenizers, seed=1), tmp_path).tokens(video, QUESTION, fps=2)
    assert len(decoded) == 3 and not same(first, other)
    grid, _ = FrameCache(small_model(*tokenizers, content="grid:2"), tmp_path).tokens(video, QUESTION, fps=2)
    assert len(decoded) == 4 and grid.content.shape[1] == 4
    assert same(FrameCache(model, tmp_path).tokens(video, QUESTION, fps=2)[0], first) and len(decoded) == 4


def test_the_reader_is_in_the_key(model, clip, tmp_path, decoded):
    """The readers differ in the last bit for some files: what one decoded is not given out for the other."""
    for reader in ("pyav", "auto", "pyav"):
        FrameCache(model, tmp_path).tokens(Video(clip, reader=reader), QUESTION, fps=2)
    assert len(decoded) == (2 if Video(clip).reader == "decord" else 1)


def test_a_clip_that_decord_gives_up_is_kept_as_pyavs(model, clip, tmp_path, decoded, monkeypatch, in_this_process):
    """In the second chunk: what decord gave before it is not kept, under neither name."""
    read = video_readers.DecordReader.frames

    def fails_late(self, indices):
        if indices[-1] >= 20:
            raise VideoError(self.path, "decord stops")
        return (frame // 2 for frame in read(self, indices))  # other bytes than PyAV's

    monkeypatch.setattr(video_readers.DecordReader, "frames", fails_late)
    monkeypatch.setattr(video_readers, "_DECORD_FAILED", set())
    monkeypatch.setattr(LlamaVid.encode_video, "__kwdefaults__", {**LlamaVid.encode_video.__kwdefaults__, "chunk": 4})
    cache, video = FrameCache(model, tmp_path / "cache"), Video(clip)
    assert video.reader == "decord"
    tokens, _ = cache.tokens(video, QUESTION, fps=6)
    assert video.reader == "pyav" and len(list((tmp_path / "cache").iterdir())) == 1
    n_calls = len(decoded)
    again, _ = FrameCache(model, tmp_path / "cache").tokens(Video(clip, reader="pyav"), QUESTION, fps=6)
    assert same(tokens, again) and len(decoded) == n_calls  # a run started again decodes nothing
    direct, _ = FrameCache(model).tokens(Video(clip, reader="pyav"), QUESTION, fps=6)
    assert same(tokens, direct)


@pytest.mark.parametrize(
    "name",
    [
        "vision_tower.embeddings.patch_embedding.weight",
        "vision_norm.bias",
        "text_decoder.query_tokens",
        "text_decoder.qformer.embeddings.word_embeddings.weight",
        "context_attention.key_projector.weight",
    ],
)
def test_every_part_that_sees_is_in_the_key(tokenizers, name):
    model = small_model(*tokenizers)
    before = vision_key(model)
    assert vision_key(small_model(*tokenizers)) == before
    with torch.no_grad():
        model.get_parameter(name).flatten()[-1] += 1e-6 if "bias" in name else 1e-3
    assert vision_key(model) != before


@pytest.mark.parametrize(
    "change",
    [
        lambda c: setattr(c, "image_mean", [0, 0, 0]),
        lambda c: setattr(c, "drop_cls", False),
        lambda c: setattr(c, "question_max_length", 20),
        lambda c: setattr(c.vision_config, "num_attention_heads", 4),
        lambda c: setattr(c.vision_config, "layer_norm_eps", 1e-2),
        lambda c: setattr(c.vision_config, "hidden_act", "relu"),
        lambda c: setattr(c.qformer_config, "num_attention_heads", 4),
        lambda c: setattr(c.qformer_config, "layer_norm_eps", 1e-2),
        lambda c: setattr(c.qformer_config, "hidden_act", "relu"),
        lambda c: setattr(c.qformer_config, "cross_attention_frequency", 1),
        lambda c: setattr(c.vision_config, "image_size", 56),
        lambda c: setattr(c, "image_std", [1, 1, 1]),
        lambda c: setattr(c, "vision_norm", False),
        lambda c: setattr(c, "n_query", 4),
    ],
)
def test_settings_without_a_tensor_are_in_the_key(tokenizers, change):
    """Equal weights with other heads, epsilons or frames see something else."""
    model = small_model(*tokenizers)
    before = vision_key(model)
    change(model.config)
    assert vision_key(model) != before


def test_precision_is_in_the_key(model):
    assert vision_key(copy.deepcopy(model).to(torch.bfloat16)) != vision_key(model)


def test_an_adapter_and_the_projectors_change_no_key(tokenizers):
    model = small_model(*tokenizers)
    before = vision_key(model)
    with torch.no_grad():
        model.content_projector[0].weight += 1
        model.language_model.lm_head.weight += 1
    assert vision_key(model) == before
    adapted = get_peft_model(model, lora_config(LoraSettings(), modules_to_save=["content_projector"]))
    assert vision_key(adapted.get_base_model()) == before


def test_a_file_that_was_not_finished_is_never_used(model, clip, tmp_path, decoded):
    cache, video = FrameCache(model, tmp_path), Video(clip)
    expected, _ = cache.tokens(video, QUESTION, fps=2)
    (file,) = tmp_path.glob("*.safetensors")
    content = file.read_bytes()
    file.rename(partial := partial_path(file))
    partial.write_bytes(content[: len(content) // 2])
    again, _ = cache.tokens(video, QUESTION, fps=2)
    assert same(again, expected) and len(decoded) == 2
    whole = [p for p in tmp_path.iterdir() if p.is_file() and not p.name.startswith(".")]
    assert whole == [file] and file.read_bytes() == content


@pytest.mark.parametrize("damage", ["cut", "header", "a bit", "no digest"])
def test_a_damaged_file_is_said_and_encoded_again(model, clip, tmp_path, decoded, caplog, damage):
    cache, video = FrameCache(model, tmp_path), Video(clip)
    expected, _ = cache.tokens(video, QUESTION, fps=2)
    (file,) = tmp_path.glob("*.safetensors")
    content = file.read_bytes()
    if damage == "no digest":
        save_file({n: t for n, t in load(content).items() if n != frame_cache.DIGEST}, file)
    else:
        last = content[-1] ^ 0x40
        spoilt = {"cut": content[:-7], "header": b"x" + content[1:], "a bit": content[:-1] + bytes([last])}
        file.write_bytes(spoilt[damage])
    again, _ = cache.tokens(video, QUESTION, fps=2)
    assert same(again, expected) and len(decoded) == 2 and file.read_bytes() == content
    assert f"{file.name} is damaged, or of an older version of this kit; its frames are encoded again" in caplog.text


def test_killed_while_writing(model, clip, tmp_path, monkeypatch, decoded):
    """Half a file lies there when the process dies: the next one computes again."""

    real = frame_cache.save_file

    def dies(tensors, path):
        real(tensors, path)
        path.write_bytes(path.read_bytes()[:100])
        raise KeyboardInterrupt

    cache, video = FrameCache(model, tmp_path), Video(clip)
    monkeypatch.setattr(frame_cache, "save_file", dies)
    with pytest.raises(KeyboardInterrupt):
        cache.tokens(video, QUESTION, fps=2)
    monkeypatch.setattr(frame_cache, "save_file", real)
    tokens, _ = cache.tokens(video, QUESTION, fps=2)
    assert same(tokens, FrameCache(model).tokens(video, QUESTION, fps=2)[0])


def test_no_folder_keeps_nothing(model, clip, tmp_path, decoded, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before = set(tmp_path.rglob("*"))
    cache = FrameCache(model)
    cache.tokens(Video(clip), QUESTION, fps=2)
    cache.tokens(Video(clip), QUESTION, fps=2)
    assert len(decoded) == 2 and set(tmp_path.rglob("*")) == before


def test_weights_are_hashed_when_a_key_is_first_needed_and_once(model, clip, tmp_path, monkeypatch):
    """Hashing a 7B model reads gigabytes: a cache that keeps nothing never does, one that keeps does it once."""
    hashed = []
    monkeypatch.setattr(identity, "_hash", lambda _, parts, settings: hashed.append(parts) or f"{parts}{settings}")
    FrameCache(model).tokens(Video(clip), QUESTION, fps=1)
    assert hashed == []
    answerer = LlamaVidAnswerer(model, FrameCache(model, tmp_path / "cache"))
    for fps in (1, 2):
        answerer.cache.tokens(Video(clip), QUESTION, fps=fps)
    assert hashed == [identity.VISION_SIDE]
    assert answerer.identity == answerer.identity
    assert hashed == [identity.VISION_SIDE, ("content_projector", "language_model")]


@pytest.mark.parametrize("contents", [("mean", "grid:2"), (None, "all")])
def test_kinds_of_content_share_one_look(model, clip, tmp_path, monkeypatch, contents):
    """Frames are decoded once for all kinds, and each kind is what a direct computation gives."""
    decoded, frames = [], Video.frames
    monkeypatch.setattr(Video, "frames", lambda self, at: decoded.append(len(at)) or frames(self, at))
    cache = FrameCache(model, tmp_path / "cache")
    cache.fill(Video(clip), [QUESTION], fps=4, contents=contents)
    n_decoded = len(decoded)
    for content in contents:
        tokens, _ = cache.tokens(Video(clip), QUESTION, fps=2, content=content)
        assert len(decoded) == n_decoded
        video = Video(clip)
        pictures = frames(video, video.sample(2).indices)
        features = model.encode_frames(model.config.pixel_values(pictures))
        direct = model.frame_tokens(features, QUESTION, content=content)
        assert (
            torch.allclose(tokens.content, direct.content, atol=1e-5) and tokens.content.shape == direct.content.shape
        )


@pytest.mark.parametrize("name", ["tokenizer", "question_tokenizer"])
def test_another_tokenizer_makes_another_model(tokenizers, name):
    """A word more is another model; a length that some call asked for is not."""
    model = small_model(*tokenizers)
    before = settings_key(model)
    own = copy.deepcopy(getattr(model, name))
    setattr(model, name, own)
    own("some words of a question", truncation=True, max_length=4)
    assert settings_key(model) == before
    own.add_tokens(["zebra"])
    assert settings_key(model) != before
