"""Guards real stage training on small clips: what moves, what it saw, that it resumes, and the command line."""

import copy
import json
import pickle
from dataclasses import replace

import pytest
import torch
from small import assert_same, pair, random_tokens, small_model, snapshot
from transformers import Trainer, TrainerCallback

from llamavid_kit.__main__ import main
from llamavid_kit.data.films import MOVIE_END, MOVIE_START
from llamavid_kit.data.pairs import write_jsonl
from llamavid_kit.data.prompt import human_turn, supervised
from llamavid_kit.data.video import Video
from llamavid_kit.model import checkpoints
from llamavid_kit.model.frame_cache import FrameCache
from llamavid_kit.model.original.features import import_features
from llamavid_kit.training import stage as training
from llamavid_kit.training.dataset import ClipCollate, ClipPairs, pair_texts
from llamavid_kit.training.finetune import finetune
from llamavid_kit.training.stage import train_stage
from llamavid_kit.training.stages import STAGES, TrainSettings, part_of

SETTINGS = TrainSettings(learning_rate=1e-2, batch_size=2, accumulate=2, max_steps=4, save_every=1, max_length=400)


@pytest.mark.parametrize("name", STAGES)
def test_a_stage_trains_its_parts_and_nothing_else(own_model, pairs, clips, tmp_path, name):
    before = snapshot(own_model)
    folder = train_stage(own_model, pairs, stage=name, root=clips, fps=2, out=tmp_path, settings=SETTINGS)
    after = checkpoints.load(folder)
    assert_same(snapshot(own_model), after)  # what is saved is what trained, adapters merged
    assert after.config.template == STAGES[name].template and not own_model.training
    assert set(before) == set(snapshot(after))
    trains = {*STAGES[name].trains, *(["language_model"] if STAGES[name].lora else [])}
    moved = {n for n, t in after.named_parameters() if not torch.equal(t, before[n])}
    assert {part_of(n) for n in moved} == trains - {"feature_projector"}
    record = json.loads((tmp_path / "settings.json").read_text())
    assert record["stage"] == name and record["fps"] == 2 and record["train"]["max_steps"] == 4
    assert len((tmp_path / "training.jsonl").read_text().splitlines()) >= 1


def test_done_already(tokenizers, own_model, pairs, clips, tmp_path, monkeypatch):
    where = {"stage": "freeze_all", "root": clips, "out": tmp_path, "settings": SETTINGS}
    folder = train_stage(small_model(*tokenizers), pairs, **where)
    monkeypatch.setattr(training, "fit", None)
    assert train_stage(own_model, pairs, **where) == folder
    for change in ({"stage": "align"}, {"fps": 2}, {"settings": replace(SETTINGS, max_steps=1)}):
        with pytest.raises(ValueError, match="was trained with another"):
            train_stage(own_model, pairs, **where | change)
    with pytest.raises(ValueError, match="was trained with another data"):
        train_stage(own_model, pairs[:-1], **where)


@pytest.mark.parametrize("name", ["align", "freeze_all", "moving_token_lora"])
def test_interrupted_and_started_again(tokenizers, pairs, clips, tmp_path, monkeypatch, name):
    """Killed after step 2: the same weights, bit for bit, as an undisturbed run."""
    where = {"stage": name, "root": clips, "fps": 2, "settings": SETTINGS}
    whole = checkpoints.load(train_stage(small_model(*tokenizers), pairs, out=tmp_path / "whole", **where))

    class Stop(TrainerCallback):
        def on_step_end(self, args, state, control, **kwargs):
            if state.global_step == 3:
                raise KeyboardInterrupt

    real = Trainer.__init__
    monkeypatch.setattr(
        Trainer, "__init__", lambda self, *a, **k: real(self, *a, **k | {"callbacks": [*k["callbacks"], Stop()]})
    )
    with pytest.raises(KeyboardInterrupt):
        train_stage(small_model(*tokenizers), pairs, out=tmp_path / "cut", **where)
    assert not (tmp_path / "cut" / "model").exists() and list((tmp_path / "cut" / "checkpoints").iterdir())
    monkeypatch.setattr(Trainer, "__init__", real)
    again = checkpoints.load(train_stage(small_model(*tokenizers), pairs, out=tmp_path / "cut", **where))
    assert_same(snapshot(whole), again)


def test_accumulated_samples_are_one_step(tokenizers, pairs, clips, tmp_path):
    """Three samples in one batch or one after the other: as many steps, and the same loss, a mean over tokens."""
    losses = []
    for batch_size, accumulate in ((3, 1), (1, 3)):
        settings = TrainSettings(batch_size=batch_size, accumulate=accumulate, epochs=2, save_every=1)
        out = tmp_path / str(batch_size)
        train_stage(small_model(*tokenizers), pairs, stage="align", root=clips, out=out, settings=settings)
        assert [p.name for p in (out / "checkpoints").iterdir()] == ["checkpoint-1"]
        losses.append(json.loads((out / "training.jsonl").read_text().splitlines()[0])["loss"])
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)
    texts = pair_texts(small_model(*tokenizers), pairs)
    assert len({sum(label >= 0 for label in text.labels) for text in texts}) > 1  # answers of unequal length


@pytest.fixture
def film_pairs(clips, own_model):
    """One film as a clip with subtitles, one as the original's feature file; both ask and answer the same."""
    (clips / "said.srt").write_text("1\n00:00:01,000 --> 00:00:01,900\nTwo people...\n")
    features = torch.randn(3, 17, 24, generator=torch.Generator().manual_seed(0)).half().numpy()
    (clips / "film.pkl").write_bytes(pickle.dumps({"feats": features, "inputs": "<image>A car...<image><image>"}))
    film = pair("film", "Red", split="train", extra={})
    subtitled = pair("c2", "Blue", split="train", extra={"subtitles": "said.srt"})
    return [subtitled, replace(film, video="film.pkl"), pair("c0", "Red", split="train")]


def test_films_are_seen_with_their_subtitles(own_model, film_pairs, clips, tmp_path, monkeypatch):
    """What stage 3 sees, put together by hand: the movie turn, a slot for each token, the whole turn asked."""
    seen = {}
    monkeypatch.setattr(training, "fit", lambda model, data, collate, **kwargs: seen.update(data=data))
    train_stage(own_model, film_pairs, stage="long_video", root=clips, fps=1, out=tmp_path, settings=SETTINGS)
    frames = ["<image><image>" * 2 + "Two people" + "<image><image>", "<image><image>A car" + "<image><image>" * 2]
    turns = [f"{MOVIE_START}{text}{MOVIE_END}\n{film_pairs[0].question}" for text in frames]
    turns.append(human_turn(film_pairs[0].question))
    for (ids, labels, _), turn, one in zip(seen["data"], turns, film_pairs, strict=True):
        assert (ids, labels) == supervised(own_model.tokenizer, "imgsp_v1", [(turn, one.answer)])
    query = f"{MOVIE_START}{MOVIE_END}\n{film_pairs[0].question}"
    with torch.no_grad():
        clip, _ = FrameCache(own_model).tokens(Video(clips / "c2.mp4"), query, fps=1)
        film = own_model.frame_tokens(import_features(clips / "film.pkl").features, query)
        plain, _ = FrameCache(own_model).tokens(Video(clips / "c0.mp4"), film_pairs[0].question, fps=1)
    for k, tokens in enumerate((clip, film, plain)):
        torch.testing.assert_close(seen["data"][k][2].context, tokens.context, atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(seen["data"][k][2].content, tokens.content, atol=1e-5, rtol=1e-4)


def test_a_stage_on_films_runs(own_model, film_pairs, clips, tmp_path):
    """The splice takes a slot a token beside a slot a clip, in one batch."""
    train_stage(own_model, film_pairs, stage="long_video", root=clips, fps=1, out=tmp_path, settings=SETTINGS)
    losses = [json.loads(line)["loss"] for line in (tmp_path / "training.jsonl").read_text().splitlines()]
    assert all(0 < loss < 20 for loss in losses)


def test_films_are_refused_where_they_would_be_seen_without_subtitles(own_model, film_pairs, clips, tmp_path):
    for name in ("instruct", "align"):
        with pytest.raises(ValueError, match=r"'c2' is about a film .* long_video"):
            train_stage(own_model, film_pairs, stage=name, root=clips, out=tmp_path / name, settings=SETTINGS)
    tokens = [random_tokens(own_model, 2) for _ in film_pairs]
    with pytest.raises(ValueError, match=r"'c2' is about a film .*--stage long_video"):
        finetune(own_model, film_pairs, tokens, out=tmp_path / "lora")


@pytest.mark.parametrize("name", ["freeze_all", "instruct", "moving_token_lora"])
def test_a_bfloat16_model(own_model, pairs, clips, tmp_path, name):
    """Steps too small for its own precision add up, and it keeps its precision on disk."""
    with pytest.raises(ValueError, match="float16 model cannot be trained .* dtype=torch.bfloat16"):
        own = {"root": clips, "out": tmp_path / "half", "settings": SETTINGS}
        train_stage(copy.deepcopy(own_model).half(), pairs, stage=name, **own)
    own_model.to(torch.bfloat16)
    before = snapshot(own_model)
    settings = replace(SETTINGS, learning_rate=3e-5, max_steps=30, scheduler="constant", warmup_ratio=0)
    folder = train_stage(own_model, pairs, stage=name, root=clips, fps=2, out=tmp_path, settings=settings)
    after = checkpoints.load(folder)
    assert {t.dtype for t in after.state_dict().values() if t.is_floating_point()} == {torch.bfloat16}
    weight = "content_projector.2.weight"
    moved = (after.state_dict()[weight] != before[weight]).float().mean()
    assert moved > 0.3, f"{moved:.0%} of {weight} moved"


def test_a_cut_that_leaves_no_answer_is_refused(own_model, pairs, clips, tmp_path):
    """The original trains on such a sample: its loss is not a number when it is alone."""
    settings = TrainSettings(max_length=20, max_steps=1)
    with pytest.raises(ValueError, match="'c0': nothing of its answer is within the first 20 of"):
        train_stage(own_model, pairs, stage="instruct", root=clips, out=tmp_path, settings=settings)
    own_model.config.template = "plain"
    longest = max(len(ids) for ids, *_ in ClipPairs(own_model, pairs, root=clips, fps=1))
    kept = ClipCollate(own_model, longest - 1)([ClipPairs(own_model, pairs, root=clips, fps=1)[1]])
    assert kept["input_ids"].shape[1] == kept["labels"].shape[1] <= longest - 1


def test_no_pairs_and_no_such_stage(own_model, pairs, tmp_path):
    with pytest.raises(ValueError, match="no training pairs"):
        train_stage(own_model, [], stage="align", out=tmp_path)
    with pytest.raises(ValueError, match="unknown stage 'stage3'"):
        train_stage(own_model, pairs, stage="stage3", out=tmp_path)


def test_command_line(tokenizers, pairs, clips, tmp_path, monkeypatch, capsys):
    """--stage takes the published settings where no option says otherwise."""
    checkpoints.save(small_model(*tokenizers), tmp_path / "base")
    write_jsonl(pairs, tmp_path / "pairs.jsonl")
    arguments = {}

    def look(model, pairs, **kwargs):
        arguments.update(kwargs, pairs=pairs)
        return tmp_path

    monkeypatch.setattr(training, "train_stage", look)
    command = ["finetune", "--pairs", tmp_path / "pairs.jsonl", "--root", clips, "--model", tmp_path / "base"]
    command = [*map(str, command), "--out", str(tmp_path / "run"), "--fps", "2", "--stage", "instruct", "--seed", "3"]
    assert main(command) == 0 and str(tmp_path) in capsys.readouterr().out
    assert arguments["stage"] == "instruct" and arguments["fps"] == 2
    assert arguments["root"] == clips and arguments["pairs"] == pairs
    settings = arguments["settings"]
    assert settings.learning_rate == 2e-5 and settings.epochs == 1 and settings.seed == 3
    assert main([*command, "--epochs", "2", "--learning-rate", "0.5"]) == 0
    assert (arguments["settings"].epochs, arguments["settings"].learning_rate) == (2, 0.5)
    assert arguments["settings"].accumulate == STAGES["instruct"].settings.accumulate
    assert main([*command[:-4], "--stage", "stage9"]) == 2
