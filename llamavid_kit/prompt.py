"""From a question to token ids: conversation templates, image slots and the label mask.

Input: turns of text in which `<image>` marks where the frame tokens go. Output: ids in which each `<image>` is one
`IMAGE_SLOT`, and labels that keep only the answers. What fills a slot is `model.py`; the tokenizers are
`tokenizers.py`.
"""

from dataclasses import dataclass

IMAGE = "<image>"
IMAGE_SLOT = -200  # IMAGE_TOKEN_INDEX of the original: never a vocabulary id
IGNORE = -100  # label of a token that is not supervised


@dataclass(frozen=True)
class Template:
    """How turns become one string (`Conversation` of the original, separator style TWO)."""

    system: str
    human: str = "USER"
    assistant: str = "ASSISTANT"
    turn_end: str = " "
    answer_end: str = "</s>"
    image_mark: str = IMAGE  # how `<image>` is written; it holds IMAGE itself

    def render(self, turns: list[tuple[str, str | None]]) -> str:
        """(question, answer) turns → prompt; a last answer of None leaves the prompt open for the model."""
        text = self.system + self.turn_end if self.system else ""
        for question, answer in turns:
            question = question.replace(IMAGE, self.image_mark)
            text += f"{self.human}: {question}{self.turn_end}{self.assistant}:"
            if answer is not None:
                text += f" {answer}{self.answer_end}"
        return text


VICUNA_SYSTEM = (
    "A chat between a curious user and an artificial intelligence assistant. "
    "The assistant gives helpful, detailed, and polite answers to the user's questions."
)
TEMPLATES = {
    "vicuna_v1": Template(system=VICUNA_SYSTEM),
    "imgsp_v1": Template(system=VICUNA_SYSTEM),  # the training name of the same string
    # `mm_use_im_start_end`: two tokens of their own, which the checkpoint's tokenizer must hold
    "vicuna_v1_im_start_end": Template(system=VICUNA_SYSTEM, image_mark=f"<im_start>{IMAGE}<im_end>"),
    "plain": Template(system=""),  # the shipped model's: short, because every token costs CPU time
}


def human_turn(question: str) -> str:
    """The study's human turn: the clip first, then the question."""
    return f"{IMAGE}\n{question}"


def template(name: str) -> Template:
    """The template called `name`; ValueError lists the known names."""
    if name not in TEMPLATES:
        raise ValueError(f"unknown conversation template {name!r}: expected one of {', '.join(TEMPLATES)}")
    return TEMPLATES[name]


def tokenize(tokenizer, text: str) -> list[int]:
    """Ids of `text` with each `<image>` as one IMAGE_SLOT (`tokenizer_image_token` of the original).

    The stretches between slots are tokenized one by one, and only the first keeps its BOS.
    """
    ids: list[int] = []
    for i, stretch in enumerate(text.split(IMAGE)):
        stretch_ids = tokenizer(stretch).input_ids
        if i:
            ids.append(IMAGE_SLOT)
            if stretch_ids[:1] == [tokenizer.bos_token_id]:
                stretch_ids = stretch_ids[1:]
        ids += stretch_ids
    return ids


def open_prompt(tokenizer, name: str, question: str) -> list[int]:
    """Ids of a one-turn prompt about a clip, open for the model's answer."""
    return tokenize(tokenizer, template(name).render([(human_turn(question), None)]))


def supervised(tokenizer, name: str, turns: list[tuple[str, str]]) -> tuple[list[int], list[int]]:
    """Ids and labels of a finished conversation: labels are IGNORE except on each answer and its `</s>`.

    The same tokens are supervised as by `preprocess_imgsp_v1` of the original: from the first token after
    "ASSISTANT:" to the answer's end. Raises ValueError where an answer is empty, holds `</s>` or `<image>`, or changes
    the tokens before it: the original drops such a sample from the loss. It also drops one whose *question* says
    " ASSISTANT: "; that one is trained on here.
    """
    form = template(name)
    ids = tokenize(tokenizer, form.render(turns))
    labels = [IGNORE] * len(ids)
    for k, (_, answer) in enumerate(turns):
        asked = tokenize(tokenizer, form.render([*turns[:k], (turns[k][0], None)]))
        answered = tokenize(tokenizer, form.render(turns[: k + 1]))
        separates = form.answer_end in answer or IMAGE in answer
        if not answer.strip() or separates or ids[: len(asked)] != asked or ids[: len(answered)] != answered:
            raise ValueError(f"answer {answer!r} cannot be supervised: it is empty or contains a separator")
        labels[len(asked) : len(answered)] = ids[len(asked) : len(answered)]
    return ids, labels
