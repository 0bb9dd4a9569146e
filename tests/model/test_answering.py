"""Guards the answers: likelihoods and greedy replies against slow second implementations, and the receipt of each."""

from functools import partial

import numpy as np
import pytest
import torch
from PIL import Image
from small import LABELS, QUESTION, random_tokens, small_model, write_clip

from llamavid_kit.data.films import movie_turn
from llamavid_kit.data.pixels import pixel_values
from llamavid_kit.data.prompt import open_prompt, template, tokenize
from llamavid_kit.data.subtitles import frame_texts, read_subtitles
from llamavid_kit.data.video import Video, VideoError
from llamavid_kit.model import answering, ask
from llamavid_kit.model.answering import LlamaVidAnswerer, View, choice_log_likelihood, generate_texts
from llamavid_kit.model.ask import Receipt, Reply
from llamavid_kit.model.frame_cache import FrameCache

CHOICES = (*LABELS, "A car drives past a house.", "R")
LENGTHS = (1, 5, 2)


@pytest.fixture
def clips(model):
    return [random_tokens(model, n, seed=n) for n in LENGTHS]


def embed(model, ids, tokens):
    """Prompt ids with one slot → (1, L', D), by hand."""
    at = ids.index(-200)
    table = model.get_input_embeddings()
    return torch.cat([table(torch.tensor(ids[:at])), model.project(tokens), table(torch.tensor(ids[at + 1 :]))])[None]


@torch.no_grad()
def slow_likelihood(model, question, tokens, choice):
    """One full forward of prompt and answer, no cache, no batch, no padding."""
    prompt = f"USER: <image>\n{question} ASSISTANT:"
    ids = tokenize(model.tokenizer, f"{prompt} {choice}</s>")
    n_answer = len(ids) - len(tokenize(model.tokenizer, prompt))
    log_p = model.language_model(inputs_embeds=embed(model, ids, tokens)).logits[0].log_softmax(-1)
    positions = range(len(log_p) - n_answer - 1, len(log_p) - 1)
    return sum(float(log_p[at, token]) for at, token in zip(positions, ids[-n_answer:], strict=True))


def test_likelihood_of_each_choice(model, clips):
    table = choice_log_likelihood(model, QUESTION, clips, CHOICES)
    expected = [[slow_likelihood(model, QUESTION, tokens, choice) for choice in CHOICES] for tokens in clips]
    np.testing.assert_allclose(table, expected, atol=2e-3, rtol=1e-4)
    assert np.abs(table[0] - table[1]).max() > 0.1  # the clip matters
    assert (np.exp(table).sum(1) <= 1).all() and (table < 0).all()


def test_likelihood_does_not_depend_on_batch_or_order(model, clips):
    table = choice_log_likelihood(model, QUESTION, clips, CHOICES)
    alone = np.concatenate([choice_log_likelihood(model, QUESTION, [tokens], CHOICES) for tokens in clips])
    np.testing.assert_allclose(table, alone, atol=1e-3)
    reversed_ = choice_log_likelihood(model, QUESTION, clips[::-1], CHOICES[::-1])[::-1, ::-1]
    np.testing.assert_allclose(table, reversed_, atol=1e-3)
    one_by_one = [choice_log_likelihood(model, QUESTION, clips, [choice])[:, 0] for choice in CHOICES]
    np.testing.assert_allclose(table, np.stack(one_by_one, 1), atol=1e-3)


@pytest.mark.parametrize("rows", [1, 30])
def test_choices_in_several_packs(model, clips, monkeypatch, rows):
    """The answers' logits of all clips would not fit at once: fewer choices pass together, and none sees another."""
    expected = choice_log_likelihood(model, QUESTION, clips, CHOICES)
    passes, kept = [], answering._packed_log_likelihood
    monkeypatch.setattr(answering, "_packed_log_likelihood", lambda *a: passes.append(a[1]) or kept(*a))
    monkeypatch.setattr(answering, "PACKED_ROWS", rows)
    np.testing.assert_allclose(choice_log_likelihood(model, QUESTION, clips, CHOICES), expected, atol=1e-4)
    assert sum(map(len, passes)) == len(CHOICES) and len(passes) > 1
    assert all(len(answers) == 1 or 3 * sum(map(len, answers)) <= rows for answers in passes)
    assert rows == 1 or any(len(answers) > 1 for answers in passes)


def test_all_one_token_answers_exhaust_the_probability(model):
    """Over every next token the probabilities sum to 1: nothing is counted twice, nothing is left out."""
    tokens = random_tokens(model, 2)
    ids = open_prompt(model.tokenizer, "plain", QUESTION)
    with torch.no_grad():
        log_p = model.language_model(inputs_embeds=embed(model, ids, tokens)).logits[0, -1].log_softmax(-1)
    (first,) = {tokenize(model.tokenizer, f"USER: <image>\n{QUESTION} ASSISTANT: {c}</s>")[len(ids)] for c in ("Red",)}
    assert slow_likelihood(model, QUESTION, tokens, "Red") < float(log_p[first]) < 0
    assert float(log_p.exp().sum()) == pytest.approx(1, abs=1e-5)


def test_no_choices(model, clips):
    with pytest.raises(ValueError, match="no choices"):
        choice_log_likelihood(model, QUESTION, clips, [])


@torch.no_grad()
def slow_reply(model, question, tokens, max_new_tokens):
    """Greedy decoding by hand: the likeliest token, until the end token."""
    ids, new = open_prompt(model.tokenizer, "plain", question), []
    embeds = embed(model, ids, tokens)
    while len(new) < max_new_tokens and (not new or new[-1] != model.tokenizer.eos_token_id):
        new.append(int(model.language_model(inputs_embeds=embeds).logits[0, -1].argmax()))
        embeds = torch.cat([embeds, model.get_input_embeddings()(torch.tensor([[new[-1]]]))], 1)
    return new


@pytest.fixture(scope="module")
def ending_model(tokenizers):
    """A model that ends its replies, after different numbers of tokens."""
    model = small_model(*tokenizers, seed=3)
    with torch.no_grad():
        model.language_model.lm_head.weight[2] *= 3.0
    return model


def test_greedy_replies(ending_model):
    model = ending_model
    clips = [random_tokens(model, n, seed=s) for s, n in enumerate((1, 5, 2, 9, 3, 3))]
    expected = [slow_reply(model, QUESTION, tokens, 12) for tokens in clips]
    ends = [ids.index(2) if 2 in ids else None for ids in expected]
    assert len(set(ends)) >= 3, ends  # otherwise this test would not see padding after the end
    texts = [model.tokenizer.decode(ids, skip_special_tokens=True).strip() for ids in expected]
    assert generate_texts(model, QUESTION, clips, max_new_tokens=12) == texts
    assert [generate_texts(model, QUESTION, [c], max_new_tokens=12)[0] for c in clips] == texts


def test_replies_are_greedy_whatever_the_model_prefers(model, clips, monkeypatch):
    """A checkpoint's generation settings (sampling, temperature) do not reach an ablation."""
    expected = generate_texts(model, QUESTION, clips, max_new_tokens=5)
    monkeypatch.setattr(model.generation_config, "do_sample", True)
    monkeypatch.setattr(model.generation_config, "temperature", 5.0)
    assert generate_texts(model, QUESTION, clips, max_new_tokens=5) == expected


def test_a_full_gpu_is_asked_less_at_once(model, clips, monkeypatch, caplog):
    """Halved until it does, said, remembered; the same answers, in order. One clip that does not fit is an error."""
    answerer, sizes = LlamaVidAnswerer(model, FrameCache(model)), []
    clips = [*clips, *clips]
    expected = generate_texts(model, QUESTION, clips, max_new_tokens=5)

    def ask(tokens, *, most=2):
        sizes.append(len(tokens))
        if len(tokens) > most:
            raise torch.OutOfMemoryError("full")
        return generate_texts(model, QUESTION, tokens, max_new_tokens=5)

    for _ in range(2):
        assert answerer._in_parts(clips, ask, n_tokens=99, max_new_tokens=5) == expected
    assert sizes == [6, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1] and "no memory for 6 clips at once, 3" in caplog.text
    with pytest.raises(torch.OutOfMemoryError):
        answerer._in_parts(clips, partial(ask, most=0), n_tokens=99, max_new_tokens=5)


def test_a_gpu_is_asked_what_it_has_room_for(model, clips, tmp_path, monkeypatch):
    """Room for 2 of 3: 2 and 1, and the same replies. The prediction is made for the longest prompt."""
    videos = [Video(write_clip(tmp_path / f"{n}.mp4", seconds=n)) for n in (1, 3, 2)]
    pictures = [np.full((30, 40, 3), value, np.uint8) for value in (0, 90, 200)]
    prompts = [QUESTION, "What?", "Which colour is it?"]

    def answers():
        answerer = LlamaVidAnswerer(model, FrameCache(model), max_new_tokens=5)
        written, chosen = (
            answerer.generate(videos, QUESTION, View(2)),
            answerer.choose(videos, QUESTION, LABELS, View(2)),
        )
        seen = answerer.look(pictures, prompts, queries=prompts, pad=True)
        return [[reply.text for reply in replies] for replies in (written, chosen, seen)]

    expected, asked, sizes = answers(), [], []
    monkeypatch.setattr(answering, "has_room", lambda _, batch, **shape: asked.append(shape) or batch <= 2)
    for name in ("greedy_texts", "choice_log_likelihood"):
        kept, at = getattr(answering, name), {"greedy_texts": 1, "choice_log_likelihood": 2}[name]
        monkeypatch.setattr(
            answering, name, lambda *a, kept=kept, at=at, **k: sizes.append(len(a[at])) or kept(*a, **k)
        )
    assert answers() == expected and sizes == [2, 1] * 3
    n_prompt = [len(open_prompt(model.tokenizer, "plain", prompt)) - 1 for prompt in prompts]
    choices = sum(len(answering.answer_ids(model, QUESTION, label)) for label in LABELS)
    lengths = [(n_prompt[0] + 13, 5), (n_prompt[0] + 13, choices), (max(n_prompt) + 3, 5)]
    assert asked[::2] == [{"n_tokens": n, "max_new_tokens": new} for n, new in lengths]


# --- clips on disk


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clips")
    return [
        Video(write_clip(folder / f"{k}.mp4", seconds=s, label=label, seed=k))
        for k, (s, label) in enumerate([(2.0, "Red"), (1.0, "Blue"), (3.1, "Green light")])
    ]


def test_answerer_gives_receipts(model, videos, tmp_path):
    answerer = LlamaVidAnswerer(model, FrameCache(model, tmp_path), max_new_tokens=5)
    expected_times = [[0, 0.5, 1, 1.5], [0, 0.5], [0, 0.5, 1, 1.5, 2, 2.5, 3]]
    chosen = answerer.choose(videos, QUESTION, LABELS, View(2))
    replied = answerer.generate(videos, QUESTION, View(2))
    for replies in (chosen, replied):
        assert [list(r.timestamps_s) for r in replies] == expected_times
        assert [r.receipt for r in replies] == [Receipt(n, n, (28, 28), 2 * n, ()) for n in (4, 2, 7)]
    tokens = [FrameCache(model).tokens(v, QUESTION, fps=2)[0] for v in videos]
    for reply, of_clip in zip(chosen, tokens, strict=True):
        assert list(reply.log_likelihood) == list(LABELS)
        slow = {choice: slow_likelihood(model, QUESTION, of_clip, choice) for choice in LABELS}
        assert reply.log_likelihood == pytest.approx(slow, abs=2e-3)
        assert reply.text == max(slow, key=slow.get)
    for reply, of_clip in zip(replied, tokens, strict=True):
        ids = slow_reply(model, QUESTION, of_clip, 5)
        assert reply.text == model.tokenizer.decode(ids, skip_special_tokens=True).strip()
        assert reply.log_likelihood == {} and reply.tokens is None


def test_ask(model, videos):
    reply = model.ask(videos[2], QUESTION, fps=4, max_new_tokens=5)
    sample = videos[2].sample(4)
    assert reply.timestamps_s == tuple(sample.timestamps_s) and len(reply.timestamps_s) == 13
    tokens, _ = FrameCache(model).tokens(videos[2], QUESTION, fps=4)
    torch.testing.assert_close(reply.tokens.context, tokens.context, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(reply.tokens.content, tokens.content, atol=1e-5, rtol=1e-4)
    assert reply.tokens.attention.shape == (13, 3, 16)
    assert reply.receipt == Receipt(13, 13, (28, 28), 26, ())
    assert (reply.receipt.tokens_a_frame, reply.receipt.n_times) == (2, 0)
    assert reply.text == generate_texts(model, QUESTION, [tokens], max_new_tokens=5)[0]
    assert reply.notes == () and str(reply) == reply.text
    assert model.ask(videos[2].path, QUESTION, fps=4, max_new_tokens=5).text == reply.text


@torch.no_grad()
def test_ask_with_subtitles(tokenizers, videos, tmp_path):
    """Second implementation: embeddings of the text and projected frame tokens, put one behind the other by hand."""
    model, video, fps = small_model(*tokenizers), videos[2], 1
    subtitles = tmp_path / "said.srt"
    first = "1\n00:00:00,900 --> 00:00:01,200\nA car.\n\n"
    subtitles.write_text(first + "2\n00:00:02,000 --> 00:00:02,100\nTwo people...\n")
    reply = model.ask(video, QUESTION, fps=fps, max_new_tokens=5, subtitles=subtitles)
    tokens, times = FrameCache(model).tokens(video, QUESTION, fps=fps)
    texts = frame_texts(read_subtitles(subtitles), times, end_s=video.duration_s)
    assert len(times) == 4 and [bool(text) for text in texts].count(True) == 2
    rows, embed = model.project(tokens), model.get_input_embeddings()

    def words(text):
        return embed(torch.tensor(model.tokenizer(text, add_special_tokens=False).input_ids, dtype=torch.long))

    start, end = template("plain").render([(movie_turn(QUESTION), None)]).split("<image>")
    parts = [embed(torch.tensor(model.tokenizer(start).input_ids))]
    for k, text in enumerate(texts):
        parts += [rows[2 * k : 2 * k + 2], *([words(text)] if text and k < len(texts) - 1 else [])]
    parts.append(words(texts[-1] + end))
    new = super(type(model), model).generate(
        inputs_embeds=torch.cat(parts)[None], max_new_tokens=5, do_sample=False, eos_token_id=2, pad_token_id=0
    )
    assert reply.text == model.tokenizer.decode(new[0], skip_special_tokens=True).strip()
    assert reply.timestamps_s == tuple(times)
    with pytest.raises(ValueError, match="the model has 400"):
        model.ask(video, QUESTION + " word" * 300, fps=fps, subtitles=subtitles)


@torch.no_grad()
def test_ask_about_a_picture(model, tmp_path):
    """A file, an array; padded with the mean colour or cut to the centre."""
    picture = np.random.default_rng(0).integers(0, 256, (40, 90, 3), dtype=np.uint8)
    Image.fromarray(picture).save(tmp_path / "wide.png")
    for pad in (True, False):
        reply = model.ask_image(tmp_path / "wide.png", QUESTION, pad=pad, max_new_tokens=5)
        seen = model.encode_frames(pixel_values(picture[None], size=28, pad=pad))
        tokens = model.frame_tokens(seen, QUESTION)
        assert torch.equal(reply.tokens.context, tokens.context)
        assert reply.text == generate_texts(model, QUESTION, [tokens], max_new_tokens=5)[0]
        assert model.ask_image(picture, QUESTION, pad=pad, max_new_tokens=5).text == reply.text
    assert not torch.equal(model.ask_image(picture, QUESTION).tokens.context, tokens.context)  # padded by default
    (tmp_path / "no.png").write_bytes(b"no picture")
    with pytest.raises(ValueError, match="no.png cannot be read as a picture"):
        model.ask_image(tmp_path / "no.png", QUESTION)
    with pytest.raises(FileNotFoundError):
        model.ask_image(tmp_path / "nowhere.png", QUESTION)
    with pytest.raises(ValueError, match="the model has 400"):
        model.ask_image(picture, QUESTION + " word" * 300)


def test_ask_in_chunks(model, tmp_path):
    """More frames than one chunk holds, and the rows keep their order."""
    video = Video(write_clip(tmp_path / "long.mp4", seconds=4))
    reply = model.ask(video, QUESTION, fps=12, max_new_tokens=1)
    tokens, _ = FrameCache(model).tokens(video, QUESTION, fps=12)
    assert len(reply.timestamps_s) == 48 > 32
    torch.testing.assert_close(reply.tokens.context, tokens.context, atol=1e-5, rtol=1e-4)


def test_notes(tokenizers, videos):
    model = small_model(*tokenizers, world="a world of colours")
    reply = model.ask(videos[1], QUESTION, fps=30, max_new_tokens=2)
    assert reply.notes == (
        "this model only knows a world of colours",
        "30 fps asked, the clip has 12: every frame was used once",
    )
    assert len(reply.timestamps_s) == 12
    assert str(reply) == f"{reply.text}\nnote: {reply.notes[0]}\nnote: {reply.notes[1]}"
    assert str(Reply("yes", (0.0,))) == "yes"


def test_a_clip_too_long_is_refused_before_decoding(model, tmp_path, monkeypatch):
    video = Video(write_clip(tmp_path / "long.mp4", seconds=20))
    monkeypatch.setattr(Video, "frames", lambda *_: pytest.fail("decoded"))
    with pytest.raises(
        ValueError,
        match=r"240 frames at 12 fps .* has 400: ask with fps <= .*, cut .* or load the model with context=568",
    ) as error:
        model.ask(video, QUESTION, fps=12)
    monkeypatch.undo()
    advised = float(str(error.value).split("fps <= ")[1].split(",")[0])
    assert len(model.ask(video, QUESTION, fps=advised).timestamps_s) > 20 * (advised - 0.5)


@pytest.mark.parametrize("fps", [0, -1, float("nan"), float("inf"), "fast"])
def test_ask_at_no_rate(model, videos, fps):
    with pytest.raises(ValueError, match="fps="):
        model.ask(videos[0], QUESTION, fps=fps)


def test_ask_about_no_video(model, tmp_path):
    for path in (tmp_path / "absent.mp4", tmp_path):
        with pytest.raises(VideoError):
            model.ask(path, QUESTION)


@torch.no_grad()
def test_a_film_that_just_fits(tokenizers, videos, tmp_path, monkeypatch):
    """A slot is no token of its own: prompt and frames are counted as the model will see them."""
    model, seen = small_model(*tokenizers), []
    subtitles = tmp_path / "said.srt"
    subtitles.write_text("1\n00:00:00,900 --> 00:00:01,200\nA car.\n")
    monkeypatch.setattr(ask, "check_fits", lambda config, **counts: seen.append(counts))
    monkeypatch.setattr(ask, "greedy_texts", lambda model, prompts, tokens, **_: seen.append((prompts, tokens)) or [""])
    model.ask(videos[2], QUESTION, fps=1, max_new_tokens=7, subtitles=subtitles)
    counts, (prompts, tokens) = seen
    embeds, _, _ = model.splice(torch.tensor(prompts), [tokens])
    assert counts["n_frames"] * model.config.tokens_per_frame() + counts["n_prompt"] == embeds.shape[1] + 7
