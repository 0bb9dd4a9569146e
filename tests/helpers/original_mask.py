"""A second implementation of the original's label mask: it looks for the answers in the text, by their separators."""

from llamavid_kit.data.prompt import IGNORE, template, tokenize


def original_supervised(tokenizer, name: str, turns) -> tuple[list[int], list[int]]:
    """Ids and labels of `preprocess_v1` and `preprocess_imgsp_v1` (`llamavid/train/train.py`) for a chat template.

    All labels are IGNORE where it prints "tokenization mismatch".
    """
    form = template(name)
    text = form.render(turns)
    ids = tokenize(tokenizer, text)
    labels, mark, done = list(ids), f"{form.turn_end}{form.assistant}: ", 1
    labels[:done] = [IGNORE]
    for part in text.split(form.answer_end):
        pieces = part.split(mark)
        if part == "" or len(pieces) != 2:
            break
        n_question = len(tokenize(tokenizer, pieces[0] + mark)) - 2  # without BOS and the blank at the end
        labels[done : done + n_question] = [IGNORE] * n_question
        done += len(tokenize(tokenizer, part))  # its BOS stands for the end of the answer
    labels[done:] = [IGNORE] * len(labels[done:])
    return ids, labels if done == len(ids) else [IGNORE] * len(ids)
