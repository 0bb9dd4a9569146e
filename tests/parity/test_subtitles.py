"""Guards what is said at which frame, and the whole movie prompt, against every record of the original."""

import json

import pytest

from llamavid_kit.data.films import MOVIE_START, interleave, movie_turn, query_of, show_frames
from llamavid_kit.data.prompt import IGNORE, IMAGE, human_turn, supervised, template
from llamavid_kit.data.subtitles import Cue, frame_texts
from llamavid_kit.model.tokenizers import load_llm_tokenizer


@pytest.fixture(scope="module")
def records(reference):
    stored = json.loads((reference / "frames" / "frame_indices.json").read_text(encoding="utf-8"))["load_video_input"]
    assert stored
    return stored


@pytest.fixture(scope="module", params=["true", "false"])
def movies(request, reference):
    """(movie records, their tokenizer) for legacy true and false."""
    folder = reference / "text"
    stored = json.loads((folder / f"text_legacy_{request.param}.json").read_text(encoding="utf-8"))["movie"]
    assert stored
    return stored, load_llm_tokenizer(folder / f"tokenizer_legacy_{request.param}")


def cues_of(record) -> list[Cue]:
    return [Cue(s["start_time"], s["end_time"], s["text"]) for s in record["subtitles"]]


def test_original_rule_equals_every_record(records):
    for record in records:
        texts = frame_texts(cues_of(record), record["frame_time"], rule="original")
        assert interleave(texts, ellipses="keep") == record["result"]


def test_our_rule_differs_only_by_early_cues(records):
    """Without the cues that are over at the first frame, the two rules agree on every record."""
    n_early = 0
    for record in records:
        first = record["frame_time"][0]
        lasting = [cue for cue in cues_of(record) if cue.end_s > first]
        n_early += len(record["subtitles"]) - len(lasting)
        ours = frame_texts(cues_of(record), record["frame_time"])
        assert ours == frame_texts(lasting, record["frame_time"], rule="original")
    assert n_early, "no record shows the quirk"


def test_turns_and_query(movies):
    wrapped = 0
    for record in movies[0]:
        before, *texts = record["pkl_inputs"].split(IMAGE)
        frames = interleave(texts, tokens_per_frame=record["video_token"])
        assert before == "" and frames == record["video_inputs"]
        assert interleave(texts, ellipses="keep") == record["pkl_inputs"]
        asked = record["source"][0]["value"]
        is_wrapped = asked.startswith(MOVIE_START)
        wrapped += is_wrapped
        assert (movie_turn if is_wrapped else human_turn)(asked.split("\n", 1)[1]) == asked
        after = [
            m | {"value": show_frames(m["value"], frames, marks=record["mm_use_im_start_end"])}
            if IMAGE in m["value"]
            else m
            for m in record["source"]
        ]
        assert after == record["sources_after"]
        assert query_of(asked) == record["query_prompt"]
        assert record["result"]["qformer_prompts_overwritten_by_query_prompt"] == [query_of(asked)]
    assert 0 < wrapped < len(movies[0])


def test_ids_and_labels(movies):
    """Down to the token ids and the label mask; a slot that the original drew for a later turn is taken from there."""
    stored, tokenizer = movies
    for record in stored:
        result, values = record["result"], [m["value"] for m in record["sources_after"]]
        turns = list(zip(values[::2], values[1::2], strict=True))
        for k, side in enumerate(result["image_side"], start=1):
            question, answer = turns[k]
            turns[k] = (human_with_slot(question, side), answer)
        assert template(result["template"]).render(turns) == result["conversation_string"]
        ids, labels = supervised(tokenizer, result["template"], turns)
        assert ids == result["input_ids"] and labels == result["labels"]
        assert sum(label != IGNORE for label in labels) == result["n_supervised"]


def human_with_slot(question: str, side: str) -> str:
    return f"{IMAGE}\n{question}" if side == "start" else f"{question}\n{IMAGE}"
