"""Guards token ids and label masks against the original's preprocessing: both tokenizers, both `legacy` settings.

What our renderer does not do is left out by name: conversations that the original rewrites before they reach it.
"""

import json

import pytest

from llamavid_kit.prompt import IGNORE, supervised, template, tokenize
from llamavid_kit.text_decoder import tokenize_questions
from llamavid_kit.tokenizers import load_llm_tokenizer, load_question_tokenizer


@pytest.fixture(scope="module", params=["true", "false"])
def text(request, reference):
    """(the set's file, its tokenizer) for legacy true and false."""
    folder = reference / "text"
    stored = json.loads((folder / f"text_legacy_{request.param}.json").read_text(encoding="utf-8"))
    return stored, load_llm_tokenizer(folder / f"tokenizer_legacy_{request.param}")


def test_raw_tokenization(text):
    stored, tokenizer = text
    assert len(stored["raw_tokenization"]) > 10
    for case in stored["raw_tokenization"]:
        assert tokenizer(case["text"]).input_ids == case["ids"], case["text"]


def test_rendered_strings(text):
    """Open and finished prompts of every conversation whose turns alternate, character by character."""
    seen = 0
    for conversation in text[0]["conversations"]:
        turns = alternating(conversation["source"])
        for name in ("vicuna_v1", "imgsp_v1"):
            strings = conversation["strings"].get(name, {})
            if turns and all(answer for _, answer in turns):
                assert template(name).render(turns) == strings["full"], conversation["name"]
                assert template(name).render([*turns[:-1], (turns[-1][0], None)]) == strings["open"]
                seen += 1
    assert seen >= 10


def test_eval_prompts(text):
    stored, tokenizer = text
    cases = [case for case in stored["eval_prompts"] if case["template"] in ("vicuna_v1", "imgsp_v1")]
    assert cases
    for case in cases:
        prompt = template(case["template"]).render([(f"<image>\n{case['question']}", None)])
        assert prompt == case["prompt"] and tokenize(tokenizer, prompt) == case["input_ids"]


def test_ids_and_labels_of_training(text):
    """ids and labels as preprocess_v1 and preprocess_imgsp_v1 make them; where those give up, ours raises."""
    stored, tokenizer = text
    compared, refused = 0, []
    for conversation in stored["conversations"]:
        for result in conversation["results"]:
            turns = alternating(conversation["after_preprocess_multimodal"] or conversation["source"])
            if not comparable(result, turns):
                continue
            if result["n_supervised"]:
                ids, labels = supervised(tokenizer, result["template"], turns)
                where = (conversation["name"], result["function"])
                assert ids == result["input_ids"], where
                assert labels == result["labels"], where
                assert sum(label != IGNORE for label in labels) == result["n_supervised"]
                compared += 1
            elif " ASSISTANT: " not in turns[0][0]:  # that one the original drops, and we train on
                refused.append(conversation["name"])
                with pytest.raises(ValueError, match="cannot be supervised"):
                    supervised(tokenizer, result["template"], turns)
    assert compared >= 20 and {"empty_answer", "eos_in_answer"} <= set(refused)


def comparable(result, turns) -> bool:
    """A result of the two functions whose turns are as given: no error, no random slot, no special call."""
    return bool(
        turns
        and result["function"] in ("preprocess_v1", "preprocess_imgsp_v1")
        and not result.get("error")
        and not result.get("randint_draws")
        and not result.get("note")
    )


def alternating(messages) -> list[tuple[str, str]]:
    """[(human, gpt), …]; a greeting by gpt before the first human turn is dropped, as the original drops it."""
    messages = messages[1:] if messages[0]["from"] == "gpt" else messages
    values = [m["value"] for m in messages]
    return list(zip(values[::2], values[1::2], strict=True))


def test_question_tokenizer(reference):
    stored = json.loads((reference / "text" / "bert_tokenizer.json").read_text(encoding="utf-8"))
    tokenizer = load_question_tokenizer(reference / "text" / "bert-base-uncased")
    assert len(tokenizer) == stored["len_tokenizer"] and tokenizer.bos_token_id == stored["dec_id"]
    assert tokenizer.bos_token == "[DEC]" and stored["cases"]
    for case in stored["cases"]:
        ids, mask = tokenize_questions(tokenizer, case["prompts"])
        assert ids.tolist() == case["input_ids"] and mask.tolist() == case["attention_mask"], case["prompts"]
