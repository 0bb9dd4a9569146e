"""Five families of video LLMs, tiny and random: what reaches each of a clip, what the receipt says, what is refused."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from marked_clips import write_brightening

pytest.importorskip("torchvision", reason="the extra [models] is not installed: no torchvision")
pytest.importorskip("num2words", reason="the extra [models] is not installed: no num2words")

import llamavid_kit as lvk
from data_prep.tiny.families import FAMILIES, save_family
from llamavid_kit.files import CheckpointError
from llamavid_kit.model import transformers_video, video_inputs
from llamavid_kit.model.answering import View
from llamavid_kit.model.transformers_video import TransformersVideo

ASK, CHOICES = "What happens?", ["fire", "a fight"]
QWEN = ("qwen3_vl", "qwen2_5_vl")
NO_HEADS = {"model_type": "qwen2", "num_attention_heads": 0}


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    return {family: save_family(family, tmp_path_factory.mktemp(family)) for family in FAMILIES}


@pytest.fixture(scope="module")
def opened(folders):
    return {family: lvk.load(folder) for family, folder in folders.items()}


@pytest.fixture(params=FAMILIES)
def family(request):
    return request.param


@pytest.fixture
def llm(opened, family) -> TransformersVideo:
    return opened[family]


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    """4 s, 15 frames a second; frame k has brightness 4k."""
    path = write_brightening(tmp_path_factory.mktemp("clips") / "marked.mp4", times=range(0, 120, 2))
    return lvk.Video(path)


def arrived(llm, inputs) -> np.ndarray:
    """(T,) brightness of each frame in the pixels that the model gets, in its own unit."""
    pixels = inputs.get("pixel_values_videos", inputs.get("pixel_values")).double()
    if (grid := inputs.get("video_grid_thw")) is None:
        return pixels.flatten(0, -4).mean((1, 2, 3)).numpy()
    side = llm.processor.video_processor.patch_size
    patches = pixels.reshape(int(grid[0, 0]), -1, 3, 2, side, side)
    return patches.mean((1, 2, 4, 5)).flatten().numpy()


def assert_in_order(llm, inputs, sample) -> None:
    """Brightness grows with the frame's number by one constant, and nothing but the last frame comes twice."""
    seen = arrived(llm, inputs)
    seen, filled = seen[: len(sample)], seen[len(sample) :]
    steps = (seen - seen[0]) / (seen[-1] - seen[0])
    places = (sample.indices - sample.indices[0]) / (sample.indices[-1] - sample.indices[0])
    np.testing.assert_allclose(steps, places, atol=0.02)
    np.testing.assert_allclose(filled, seen[-1], rtol=1e-3)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"siez": {"height": 64, "width": 64}}, "'siez': .*size"),  # misspelt: the arm would be the model as shipped
        ({"patch_size": 8}, "'patch_size'"),
        ({"return_metadata": False}, "'return_metadata'"),
        ({"fps": 2, "num_frames": 8}, "'fps', 'num_frames' change nothing: .*do_sample_frames=True"),
    ],
)
def test_a_setting_that_would_change_nothing_is_refused(opened, clip, family, settings, message):
    with pytest.raises(ValueError, match=message):
        replace(opened[family], settings=settings).ask(clip, ASK)


@pytest.mark.parametrize("fps", [2, 3.75])
def test_every_frame_arrives_in_order_and_is_counted(llm, family, clip, fps):
    """8 and 15 frames: the even number as it is, the odd one with its last frame twice where frames go in pairs."""
    sample = clip.sample(fps)
    inputs, receipt, seen_s = llm._look(clip, ASK, View(fps))
    assert_in_order(llm, inputs, sample)
    doubled = len(sample) % 2 if family in QWEN else 0
    n = len(sample)
    assert (receipt.n_given, receipt.n_arrived, receipt.n_doubled, receipt.n_dropped) == (n, n + doubled, doubled, 0)
    assert seen_s == tuple(sample.timestamps_s)
    steps = (n + doubled) // (2 if family in QWEN else 1)
    assert receipt.n_tokens == steps * 4 + (family == "llava_onevision")  # which closes a clip with a new line
    assert receipt.frame_size == ((64, 64) if family == "qwen3_vl" else (56, 56))


TOLD = {  # at 3.75 frames a second, 15 frames, every fourth of 15 a second
    "qwen3_vl": (0.1, 0.7, 1.2, 1.7, 2.3, 2.8, 3.3, 3.7),  # middles of pairs, a tenth of a second
    "qwen2_5_vl": (0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5),  # half seconds: 2 positions a second
    "smolvlm": (*[0.0] * 4, *[1.0] * 4, *[2.0] * 4, *[3.0] * 3),  # whole seconds
}


def test_the_times_told(llm, family, clip):
    reply = llm.ask(clip, ASK, fps=3.75, max_new_tokens=2)
    assert reply.receipt.times_told_s == TOLD.get(family, ())
    assert reply.receipt.n_times == {"smolvlm": 4}.get(family, len(TOLD.get(family, ())))
    assert reply.n_visual == reply.receipt.n_tokens and len(reply.timestamps_s) == 15


def test_one_frame(llm, family, clip):
    """Two for Qwen, which looks at pairs; the receipt says so. And cuDNN's attention, which does not repeat itself, is
    off."""
    cudnn = set()
    hook = llm.model.register_forward_pre_hook(lambda *_: cudnn.add(torch.backends.cuda.cudnn_sdp_enabled()))
    reply = llm.ask(clip, ASK, fps=0.1, max_new_tokens=2)
    hook.remove()
    assert cudnn == {False}
    twice = family in QWEN
    assert (reply.receipt.n_given, reply.receipt.n_arrived, reply.receipt.n_doubled) == (1, 1 + twice, int(twice))
    assert reply.timestamps_s == (0.0,)


def test_clips_of_unequal_length_are_answered_as_each_alone(llm, clip, tmp_path):
    short = lvk.Video(write_brightening(tmp_path / "short.mp4", times=range(20)))
    view = View(5)
    for ask in (
        lambda clips: llm.generate(clips, ASK, view, max_new_tokens=3),
        lambda clips: llm.choose(clips, ASK, CHOICES, view),
    ):
        assert ask([clip, short]) == [*ask([clip]), *ask([short])]


def test_likelihoods_are_those_of_a_plain_forward(llm, family, clip, monkeypatch):
    """Prompt and answer as one text through the model; and a family that is not tested goes through it too."""
    view = View(2)
    (reply,) = llm.choose([clip], ASK, CHOICES, view)
    inputs, *_ = llm._look(clip, ASK, view)
    end = llm.processor.tokenizer.eos_token
    for choice in CHOICES:
        text = f" {choice}{end}" if family == "smolvlm" else choice + end  # "Assistant: fire", and " A:fire"
        ids = llm.processor.tokenizer(text, add_special_tokens=False, return_tensors="pt").input_ids
        whole = dict(inputs)
        whole["input_ids"] = torch.cat([inputs["input_ids"], ids], 1)
        whole["attention_mask"] = torch.ones_like(whole["input_ids"])
        if "mm_token_type_ids" in inputs:
            whole["mm_token_type_ids"] = torch.cat([inputs["mm_token_type_ids"], 0 * ids], 1)
        with torch.inference_mode():
            logits = llm.model(**whole).logits[0, -len(ids[0]) - 1 : -1].double().log_softmax(-1)
        expected = float(logits.gather(1, ids[0][:, None]).sum())
        assert reply.log_likelihood[choice] == pytest.approx(expected, abs=1e-4)
        assert reply.n_tokens[choice] == len(ids[0])
    assert reply.text == max(CHOICES, key=reply.log_likelihood.get)
    monkeypatch.setattr(transformers_video, "TESTED", ())
    assert llm.choose([clip], ASK, CHOICES, view)[0].log_likelihood == pytest.approx(reply.log_likelihood, abs=1e-4)


def test_replies_are_greedy_whatever_the_checkpoint_sets(opened, clip, monkeypatch):
    """The token of the highest logit each time; a penalty in the folder's settings would give another text."""
    llm, view = opened["internvl"], View(2)
    inputs, *_ = llm._look(clip, ASK, view)
    ids = inputs["input_ids"]
    for _ in range(4):
        mask = torch.ones_like(ids)
        with torch.inference_mode():
            best = llm.model(**{**inputs, "input_ids": ids, "attention_mask": mask}).logits[:, -1:].argmax(-1)
        ids = torch.cat([ids, best], 1)
    expected = llm.processor.tokenizer.decode(ids[0, -4:], skip_special_tokens=True).strip()
    monkeypatch.setattr(llm.model.generation_config, "repetition_penalty", 50.0)
    monkeypatch.setattr(llm.model.generation_config, "do_sample", True)
    assert llm.generate([clip], ASK, view, max_new_tokens=4)[0].text == expected


def _planted(fault, frames, times_s, settings):
    """What a faulty hand-over gives to the processor."""
    swapped = [1, 0, *range(2, len(frames))]
    twice = [0, 1, 1, *range(2, len(frames))]
    return {
        "dropped": (frames[:-1], times_s[:-1], settings),
        "doubled": (frames[twice], [times_s[k] for k in twice], settings),
        "swapped": (frames[swapped], [times_s[k] for k in swapped], settings),
        "late": (frames, [t + 1.5 for t in times_s], settings),
        "sampled": (frames, times_s, {"do_sample_frames": True}),
    }[fault]


STAMPED = (*QWEN, "smolvlm")
FAULTS = [
    *(("dropped", family) for family in FAMILIES),
    *(("doubled", family) for family in FAMILIES),
    *(("swapped", family) for family in QWEN),  # of the others the pixels say it, next test
    *(("late", family) for family in STAMPED),  # the others are told no time
    ("sampled", "qwen3_vl"),  # as shipped, it alone chooses frames
]


@pytest.mark.parametrize("fps", [2, 3.75])
@pytest.mark.parametrize(("fault", "family"), FAULTS)
def test_a_planted_fault_is_an_error(opened, family, clip, fault, fps, monkeypatch):
    """Of what the processor says or counts."""
    honest = transformers_video.video_inputs

    def faulty(processor, frames, times_s, question, *, duration_s, settings):
        frames, times_s, settings = _planted(fault, frames, times_s, settings)
        return honest(processor, frames, times_s, question, duration_s=duration_s, settings=settings)

    monkeypatch.setattr(transformers_video, "video_inputs", faulty)
    with pytest.raises(ValueError, match="given and|was told"):
        opened[family].generate([clip], ASK, View(fps), max_new_tokens=2)


@pytest.mark.parametrize("order", [[1, 0, 2, 3, 4, 5, 6, 7], [0, 1, 2, 2, 4, 5, 6, 7]], ids=["swapped", "replaced"])
def test_other_pixels_in_a_frames_place_are_seen(llm, clip, order):
    """The check of order above is one that can fail."""
    sample = clip.sample(2)
    times = [float(t) for t in sample.timestamps_s]
    frames = clip.frames(sample.indices[order])
    inputs, _ = video_inputs.video_inputs(
        llm.processor, frames, times, ASK, duration_s=clip.duration_s, settings={"do_sample_frames": False}
    )
    with pytest.raises(AssertionError):
        assert_in_order(llm, inputs, sample)


def test_time_stamps_of_another_rate_are_an_error(opened, clip, monkeypatch):
    """What Qwen3-VL's processor did where nobody gave it times: 24 frames a second."""
    llm = opened["qwen3_vl"]
    honest = type(llm.processor)._calculate_timestamps
    monkeypatch.setattr(
        type(llm.processor),
        "_calculate_timestamps",
        lambda self, indices, rate, group: honest(self, [*range(len(indices))], 24, group),
    )
    for settings in ({}, {"times_in_prompt": True}):  # said rightly in words besides
        monkeypatch.setattr(llm, "settings", settings)
        with pytest.raises(ValueError, match=r"told 0 s for a frame at 0\.267 s|was told"):
            llm.generate([clip], ASK, View(2), max_new_tokens=2)


def test_times_that_a_template_changes_are_an_error(opened, clip, monkeypatch):
    llm = opened["internvl"]
    lowered = llm.processor.chat_template.replace("{{ c['text'] }}", "{{ c['text'] | lower }}")
    assert lowered != llm.processor.chat_template
    monkeypatch.setattr(llm.processor, "chat_template", lowered)
    monkeypatch.setattr(llm, "settings", {"times_in_prompt": True})
    with pytest.raises(ValueError, match="leave times_in_prompt out"):
        llm.generate([clip], ASK, View(2), max_new_tokens=2)


def test_sampling_that_was_asked_for_is_in_the_receipt(folders, opened, clip):
    """Qwen3-VL keeps 8 frames of 4 s at 2 a second: of 30 given."""
    settings = {"do_sample_frames": True}
    llm = lvk.load(folders["qwen3_vl"], settings=settings)
    (reply,) = llm.generate([clip], ASK, View(7.5), max_new_tokens=2)
    receipt = reply.receipt
    assert (receipt.n_given, receipt.n_arrived, receipt.n_dropped) == (30, 8, 22)
    assert len(reply.timestamps_s) == 8 and reply.timestamps_s[-1] == pytest.approx(
        clip.sample(7.5).timestamps_s[-1], abs=1e-4
    )
    (reply,) = llm.generate([clip], ASK, View(0.1), max_new_tokens=2)  # one frame
    assert (reply.receipt.n_arrived, reply.receipt.n_doubled, reply.receipt.n_dropped) == (2, 1, 0)
    assert reply.timestamps_s == (0.0,)
    assert llm.identity != opened["qwen3_vl"].identity
    with pytest.raises(ValueError, match="does not say which frames it kept"):
        TransformersVideo(
            opened["internvl"].model, opened["internvl"].processor, "x", settings=settings | {"num_frames": 4}
        ).generate([clip], ASK, View(2))


def test_times_that_are_said_in_the_prompt(folders, family, clip, tmp_path):
    """Each frame's own, by a file of settings; they are read from the prompt and checked there."""
    fix = tmp_path / "times.json"
    fix.write_text(json.dumps({"model": str(folders[family]), "settings": {"times_in_prompt": True}}))
    llm, times = lvk.load(fix), clip.sample(3.75).timestamps_s
    inputs, receipt, _ = llm._look(clip, ASK, View(3.75))
    assert receipt.times_told_s == pytest.approx(times, abs=0.005) and receipt.n_times == 15
    said = "taken at 0.00, 0.27, 0.53, "
    assert said in llm.processor.tokenizer.decode(inputs["input_ids"][0])
    assert llm.name == str(fix) and llm.identity != lvk.load(folders[family]).identity
    (reply,) = llm.choose([clip], ASK, CHOICES, View(3.75))
    assert reply.receipt == receipt and {*reply.log_likelihood} == {*CHOICES}


@pytest.mark.parametrize("fps", [1, 2, 7.5])
def test_pixels_a_frame_are_equal_at_every_rate(folders, clip, fps):
    """4, 8 and 30 frames of Qwen3-VL at 32 x 32; as shipped its budget does for 64 x 64."""
    llm = lvk.load(folders["qwen3_vl"], settings={"pixels_a_frame": 32 * 32})
    (reply,) = llm.generate([clip], ASK, View(fps), max_new_tokens=2)
    assert reply.receipt.frame_size == (32, 32) and reply.receipt.tokens_a_frame == 0.5
    with pytest.raises(ValueError, match="whole number above 0"):
        lvk.load(folders["qwen3_vl"], settings={"pixels_a_frame": 0}).ask(clip, ASK)


def test_what_such_a_model_does_not_do(llm, family, clip):
    with pytest.raises(ValueError, match="content tokens are LLaMA-VID's"):
        llm.generate([clip], ASK, View(2, content="grid:2"))
    with pytest.raises(ValueError, match="^change='blank': changes are made to LLaMA-VID's frame tokens"):
        llm.fits(clip, ASK, (), View(2, change="blank"), max_new_tokens=1)
    for mark in (llm.processor.tokenizer.eos_token, llm.processor.image_token, llm.processor.video_token):
        with pytest.raises(ValueError, match="mark of the model's own"):
            llm.generate([clip], f"Is {mark} there?", View(2))
    with pytest.raises(ValueError, match="no choices"):
        llm.choose([clip], ASK, [], View(2))


def test_room_is_counted_in_tokens(llm, clip, monkeypatch):
    """To the token: one less than the prompt with the longest answer is refused."""
    view = View(2)
    length = llm._look(clip, ASK, view)[0]["input_ids"].shape[1]
    monkeypatch.setattr(llm.model.config.get_text_config(), "max_position_embeddings", length + 30)
    llm.fits(clip, ASK, ["x"], view, max_new_tokens=30)
    with pytest.raises(ValueError, match="ask for a lower fps"):
        llm.fits(clip, ASK, ["x"], view, max_new_tokens=31)
    with pytest.raises(ValueError, match=f"the model has {length + 30}"):
        llm.fits(clip, ASK, ["x" * 40], view, max_new_tokens=1)
    with pytest.raises(ValueError, match="ask for a lower fps"):
        llm.generate([clip], ASK, view, max_new_tokens=31)
    with pytest.raises(ValueError, match="ask for a lower fps"):
        llm.choose([clip], ASK, ["x" * 40, "y"], view)


def test_frames_that_would_fill_memory_are_not_decoded(llm, clip, monkeypatch):
    monkeypatch.setattr(transformers_video, "MOST_BYTES", 3 * clip.height * clip.width * 3)
    monkeypatch.setattr(type(clip), "frames", lambda *_: pytest.fail("decoded"))
    with pytest.raises(ValueError, match=r"at fps=4 are .* GiB of pixels, .* are taken: ask for a lower fps"):
        llm.fits(clip, "What?", (), View(4), max_new_tokens=1)


def test_identity_follows_weights_and_settings(folders, opened, family, tmp_path):
    """The same folder elsewhere is the same model; one weight, or the size of frames, makes another."""
    folder = shutil.copytree(folders[family], tmp_path / "copy")
    again = lvk.load(folder)
    assert again.identity == opened[family].identity
    path = folder / "processor_config.json"
    processor = json.loads(path.read_text())
    processor["video_processor"]["image_mean"] = [0.1, 0.2, 0.3]
    path.write_text(json.dumps(processor))
    assert lvk.load(folder).identity != again.identity
    next(again.model.parameters()).data.view(-1)[0] += 1
    assert TransformersVideo(again.model, again.processor, "x").identity != opened[family].identity


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda f: (f / "chat_template.jinja").unlink(), "lacks a chat template"),
        (lambda f: (f / "model.safetensors").rename(f / "pytorch_model.bin"), "expected safetensors"),
        (lambda f: _edit(f / "config.json", auto_map={"AutoModel": "theirs.Model"}), "code from elsewhere"),
        (lambda f: _weights(f, lambda w: w.popitem()), "missing or misshapen"),
        (lambda f: _weights(f, lambda w: next(iter(w.values())).fill_(torch.nan)), "NaN or infinity"),
        (lambda f: (f / "processor_config.json").unlink(), "its processor cannot be opened"),
        (lambda f: _edit(f / "config.json", image_token_index="none"), "cannot be opened"),
        (
            lambda f: _edit(f / "config.json", text_config={"model_type": "qwen3", "num_attention_heads": 0}),
            "cannot be",
        ),
    ],
    ids=["template", "pickle", "code", "weight", "nan", "processor", "setting", "heads"],
)
def test_a_folder_that_lacks_something_is_refused(folders, tmp_path, damage, message):
    folder = shutil.copytree(folders["llava_onevision"], tmp_path / "damaged")
    damage(folder)
    with pytest.raises(CheckpointError, match=message):
        lvk.load(folder)


def _edit(path, **settings):
    path.write_text(json.dumps(json.loads(path.read_text()) | settings))


def _weights(folder, change):
    from safetensors.torch import load_file, save_file

    weights = load_file(folder / "model.safetensors")
    change(weights)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


def test_options_of_llama_vid_are_refused_and_the_other_way_round(folders):
    with pytest.raises(ValueError, match="context=4096 is for LLaMA-VID"):
        lvk.load(folders["internvl"], context=4096)
    with pytest.raises(ValueError, match="'tiny' is LLaMA-VID"):
        lvk.load("tiny", settings={"size": 1})
    with pytest.raises(CheckpointError, match="nowhere"):  # no folder is no LLaMA-VID
        lvk.load("nowhere", settings={"size": 1})


def test_without_torchvision_one_line_says_it(folders, monkeypatch):
    monkeypatch.setattr(transformers_video, "is_torchvision_available", lambda: False)
    with pytest.raises(ValueError, match=r"llamavid-kit\[models\]"):
        lvk.load(folders["smolvlm"])


def test_a_name_in_the_cache(folders, tmp_path, monkeypatch):
    """What `hf download` left on this machine; nothing is fetched."""
    cached = tmp_path / "models--some--model"
    shutil.copytree(folders["internvl"], cached / "snapshots" / "abc")
    (cached / "refs").mkdir()
    (cached / "refs" / "main").write_text("abc")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    assert lvk.load("some/model").name == "some/model"
    with pytest.raises(CheckpointError, match="is not a model"):
        lvk.load("some/other")
