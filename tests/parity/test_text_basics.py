"""Guards token ids, label masks and questions of training and answering against the original's preprocessing: both
tokenizers, both `legacy` settings, every record. A record that no check below claims is a failure.
"""

import json
import random
from itertools import chain

import pytest
from original_mask import original_supervised

from llamavid_kit.data.conversation import image_first, image_in_each_turn, training_text, turns_of
from llamavid_kit.data.prompt import IGNORE, IMAGE_SLOT, TEMPLATES, stop_ids, template, tokenize
from llamavid_kit.model.text_decoder import tokenize_questions
from llamavid_kit.model.tokenizers import load_llm_tokenizer, load_question_tokenizer
from llamavid_kit.training.dataset import collate_text

ABOUT = {"set", "legacy", "note"}
ELSEWHERE = {"movie"}  # subtitles and shots, not conversations: checked where they are built
FUNCTIONS = {"preprocess_imgsp_v1": "imgsp_v1", "preprocess_v1": "vicuna_v1", "preprocess_plain_guided": "plain_guided"}
RAW = "called directly on the raw source (no preprocess_multimodal): <image> stays where it is"
SAME = (None, "another random seed", "refine_prompt=True")  # refining looks for line breaks, which are gone by then


@pytest.fixture(scope="module", params=["true", "false"])
def text(request, reference):
    """(the set's file, its tokenizer) for legacy true and false."""
    folder = reference / "text"
    stored = json.loads((folder / f"text_legacy_{request.param}.json").read_text(encoding="utf-8"))
    assert stored["legacy"] == (request.param == "true")
    return stored, load_llm_tokenizer(folder / f"tokenizer_legacy_{request.param}")


def check_raw(stored, tokenizer):
    for i, case in enumerate(stored["raw_tokenization"]):
        assert set(case) == {"text", "ids"}
        assert tokenizer(case["text"]).input_ids == case["ids"], case["text"]
        yield "raw_tokenization", i


def check_prompts(stored, tokenizer):
    """The evaluation scripts' prompt, its ids, and where they stop."""
    for i, case in enumerate(stored["eval_prompts"]):
        assert set(case) == {"question", "template", "prompt", "input_ids", "stop_str", "stop_ids"}
        form = template(case["template"])
        prompt = form.render([(f"<image>\n{case['question']}", None)])
        assert prompt == case["prompt"] and tokenize(tokenizer, prompt) == case["input_ids"], case["question"]
        assert form.answer_end == case["stop_str"] and [stop_ids(tokenizer, case["template"])] == case["stop_ids"]
        yield "eval_prompts", i


def check_strings(stored, tokenizer):
    """Finished and open prompts, and the image at the head of its turn, character by character."""
    for conversation in stored["conversations"]:
        name, source = conversation["name"], conversation["source"]
        for key, marks in (("after_preprocess_multimodal", False), ("after_preprocess_multimodal_im_start_end", True)):
            if conversation[key] is not None:
                moved = [{**m, "value": image_first(m["value"], marks=marks)} for m in source]
                assert moved == conversation[key], (name, key)
            yield "conversations", name, key
        turns = turns_of([(m["from"], m["value"]) for m in source])
        for kind, answer in (("full", turns[-1][1] or None), ("open", None)):
            asked = [*turns[:-1], (turns[-1][0], answer)]
            for form, strings in conversation["strings"].items():
                if strings[kind].startswith("CRASH"):  # a caption after a question, several turns: not one of ours
                    assert form == "plain_guided" and (answer is not None or len(turns) > 1)
                elif form == "plain_guided" and not conversation["is_image"]:
                    with pytest.raises(ValueError, match="one <image> in one turn"):
                        template(form).render(asked)
                else:
                    assert template(form).render(asked) == strings[kind], (name, form, kind)
                yield "conversations", name, form, kind


def check_training(stored, tokenizer):
    """Ids, labels, the text decoder's questions and the side of added images."""
    for conversation in stored["conversations"]:
        for i, result in enumerate(conversation["results"]):
            check_result(tokenizer, conversation, result)
            yield "conversations", conversation["name"], i, result["function"]


def check_result(tokenizer, conversation, result):
    where = (conversation["name"], result["function"], result.get("note"))
    assert FUNCTIONS[result["function"]] == result["template"] and result.get("note") in (*SAME, RAW), where
    rng = random.Random(result["random_seed"])
    options = {"rng": rng, "move_image": result.get("note") != RAW}
    if "error" in result:
        with pytest.raises(ValueError, match="one <image> in one turn"):
            training_text(tokenizer, result["template"], conversation["source"], **options)
        return
    ids, labels, questions = made(tokenizer, result, conversation["source"], **options)
    assert ids == result["input_ids"] and labels == result["labels"], where
    assert sum(label != IGNORE for label in labels) == result["n_supervised"], where
    assert (IMAGE_SLOT in ids) == result["has_image"] == conversation["is_image"]
    if result["qformer_prompts"] is not None:  # vicuna_v1 makes none
        assert questions == result["qformer_prompts"], where
    again = random.Random(result["random_seed"])  # as many draws as the original made, with the same outcome
    draws = [again.randint(0, 1) for _ in result["randint_draws"]]
    assert draws == result["randint_draws"] and again.getstate() == rng.getstate(), where
    assert [("start", "end")[draw] for draw in draws] == result["image_side"]
    if result["printed"] is not None:
        assert "tokenization mismatch" in result["printed"] and result["n_supervised"] == 0
        check_given_up(tokenizer, result["template"], conversation["source"])


def made(tokenizer, result, source, *, rng, move_image=True):
    """(ids, labels, questions) of a conversation: ours, and where the original gives up, a second implementation's.

    The second implementation of the label mask must agree with every record of a chat template.
    """
    name, state = result["template"], rng.getstate()
    texts = [(m["from"], image_first(m["value"]) if move_image else m["value"]) for m in source]
    turns = turns_of(texts)
    questions = [human.replace("<image>", "").replace("\n", "") for human, _ in turns]
    turns = image_in_each_turn(turns, rng) if template(name).image_each_turn else turns
    second = None if name == "plain_guided" else original_supervised(tokenizer, name, turns)
    if result["printed"] is not None:
        return *second, questions
    rng.setstate(state)
    ours = training_text(tokenizer, name, source, rng=rng, move_image=move_image)
    assert second in (None, (ours.ids, ours.labels))
    return ours.ids, ours.labels, list(ours.questions)


def check_given_up(tokenizer, name, source):
    """Where the original prints and drops the sample, ours raises, or trains if the fault is not in an answer."""
    answers = [m["value"] for m in source if m["from"] == "gpt"]
    if any(not answer.strip() or "</s>" in answer for answer in answers):
        with pytest.raises(ValueError, match="cannot be supervised"):
            training_text(tokenizer, name, source, rng=random.Random(0))
    else:
        text = training_text(tokenizer, name, source, rng=random.Random(0))
        assert any(label != IGNORE for label in text.labels)


def check_truncation(stored, tokenizer):
    """What the collator cuts: an image sample anywhere, a text-only sample as if it had been cut before."""
    sources = {c["name"]: c["source"] for c in stored["conversations"]}
    for case in stored["truncation"]:
        result, longest = case["result"], case["model_max_length"]
        rng = random.Random(result["random_seed"])
        ids, labels, questions = made(tokenizer, result, sources[case["name"]], rng=rng)
        early = None if result["has_image"] else longest
        assert ids[:early] == result["input_ids"] and labels[:early] == result["labels"], case["name"]
        assert questions == result["qformer_prompts"]
        assert sum(label != IGNORE for label in labels[:early]) == result["n_supervised"]
        batch = collate_text([(ids, labels)], tokenizer.pad_token_id, max_length=longest)
        assert {k: v.tolist() for k, v in batch.items()} == case["collated"], case["name"]
        yield "truncation", case["name"]


CHECKS = (check_raw, check_prompts, check_strings, check_training, check_truncation)


@pytest.mark.parametrize("check", CHECKS)
def test_records(text, check):
    """Each part of the file, so that the first red test names the guilty one."""
    assert list(check(*text))


def test_every_record_is_covered(text):
    """Nothing in the file is left out, whatever another file holds."""
    stored = text[0]
    there = [(key, i) for key in ("raw_tokenization", "eval_prompts") for i in range(len(stored[key]))]
    there += [("truncation", case["name"]) for case in stored["truncation"]]
    for c in stored["conversations"]:
        there += [("conversations", c["name"], key) for key in c if key.startswith("after_")]
        there += [("conversations", c["name"], form, kind) for form, kinds in c["strings"].items() for kind in kinds]
        there += [("conversations", c["name"], i, r["function"]) for i, r in enumerate(c["results"])]
        assert {k for k in c if not k.startswith("after_")} == {"name", "source", "is_image", "strings", "results"}
    covered = list(chain.from_iterable(check(*text) for check in CHECKS))
    assert len(set(covered)) == len(covered) and len(set(there)) == len(there)
    assert set(covered) == set(there), f"not covered: {sorted(map(str, set(there) - set(covered)))}"
    assert set(stored) == ABOUT | ELSEWHERE | {key for key, *_ in there}
    print(f"\n{len(covered)} records of text_legacy_{str(stored['legacy']).lower()}.json covered")
    results = [r for c in stored["conversations"] for r in c["results"]]
    assert {r["template"] for r in results} <= set(TEMPLATES) and len(covered) >= 100
    assert any(r.get("printed") for r in results) and any(r.get("randint_draws") for r in results)


def test_padding(text):
    """Samples of unequal length, padded on the right: with the unknown token, IGNORE and mask 0."""
    stored, tokenizer = text
    found = [r for c in stored["conversations"] for r in c["results"] if "error" not in r]
    pair = [min(found, key=lambda r: len(r["input_ids"])), max(found, key=lambda r: len(r["input_ids"]))]
    batch = collate_text([(r["input_ids"], r["labels"]) for r in pair], tokenizer.pad_token_id)
    short, long = (len(r["input_ids"]) for r in pair)
    assert short < long and batch["input_ids"].shape == (2, long)
    assert batch["input_ids"][0].tolist() == pair[0]["input_ids"] + [tokenizer.unk_token_id] * (long - short)
    assert batch["labels"][0].tolist() == pair[0]["labels"] + [IGNORE] * (long - short)
    assert batch["attention_mask"].tolist() == [[1] * short + [0] * (long - short), [1] * long]


def test_question_tokenizer(reference):
    stored = json.loads((reference / "text" / "bert_tokenizer.json").read_text(encoding="utf-8"))
    assert set(stored) == {"len_tokenizer", "dec_id", "cases"}
    tokenizer = load_question_tokenizer(reference / "text" / "bert-base-uncased")
    assert len(tokenizer) == stored["len_tokenizer"] and tokenizer.bos_token_id == stored["dec_id"]
    assert tokenizer.bos_token == "[DEC]" and stored["cases"]
    for case in stored["cases"]:
        ids, mask = tokenize_questions(tokenizer, case["prompts"])
        assert ids.tolist() == case["input_ids"] and mask.tolist() == case["attention_mask"], case["prompts"]
        assert not any(chain.from_iterable(case["token_type_ids"]))  # the Q-Former has none
