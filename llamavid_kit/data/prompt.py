"""From a question to token ids: conversation templates, image slots and the label mask.

Input: turns of text in which `<image>` marks where the frame tokens go. Output: ids in which each `<image>` is one
`IMAGE_SLOT`, and labels that keep only the answers. What fills a slot is `model.llama_vid`; the tokenizers are
`model.tokenizers`; how a recorded conversation becomes turns is `conversation`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

IMAGE = "<image>"
IMAGE_START, IMAGE_END = "<im_start>", "<im_end>"  # around it in checkpoints with `mm_use_im_start_end`
IMAGE_SLOT = -200  # IMAGE_TOKEN_INDEX of the original: never a vocabulary id
IGNORE = -100  # label of a token that is not supervised

Turns = Sequence[tuple[str, str | None]]  # (question, answer); an answer of None stays open for the model


@dataclass(frozen=True)
class Template:
    """How turns become one string (`Conversation` of the original, separator style TWO).

    image_each_turn: training shows the image in every turn after the first that has it (see `conversation`).
    """

    system: str
    human: str = "USER"
    assistant: str = "ASSISTANT"
    turn_end: str = " "
    answer_end: str = "</s>"
    image_mark: str = IMAGE  # how `<image>` is written; it holds IMAGE itself
    image_each_turn: bool = False

    def render(self, turns: Turns) -> str:
        """Turns → prompt; an answer of None, or an empty one, stays open for the model."""
        text = self.system + self.turn_end if self.system else ""
        for question, answer in turns:
            question = question.replace(IMAGE, self.image_mark)
            text += f"{self.human}: {question}{self.turn_end}{self.assistant}:"
            if answer:
                text += f" {answer}{self.answer_end}"
        return text

    def before_answer(self, turns: Turns, k: int) -> str:
        """What stands before the answer of turn k."""
        return self.render([*turns[:k], (turns[k][0], None)])


@dataclass(frozen=True)
class CaptionTemplate:
    """The image and its caption, one turn: the question reaches the text decoder only (`plain_guided`, stage 1)."""

    answer_end: str = "\n"
    image_each_turn: bool = False

    def render(self, turns: Turns) -> str:
        """One turn → text. Open (answer None) the question is shown, as the original's prompts for answering do."""
        if len(turns) != 1 or IMAGE not in turns[0][0]:
            raise ValueError(f"plain_guided describes one {IMAGE} in one turn, got {turns}")
        question, answer = turns[0]
        return f"{question}{self.answer_end}" if answer is None else f"{IMAGE}{answer}{self.answer_end}"

    def before_answer(self, turns: Turns, k: int) -> str:
        """Trained on, the answer follows the image at once."""
        return IMAGE


VICUNA_SYSTEM = (
    "A chat between a curious user and an artificial intelligence assistant. "
    "The assistant gives helpful, detailed, and polite answers to the user's questions."
)
TEMPLATES: dict[str, Template | CaptionTemplate] = {
    "vicuna_v1": Template(system=VICUNA_SYSTEM),
    "imgsp_v1": Template(system=VICUNA_SYSTEM, image_each_turn=True),  # the same words; stages 2 and 3 train with it
    # `mm_use_im_start_end`: two tokens of their own, which the checkpoint's tokenizer must hold
    "vicuna_v1_im_start_end": Template(system=VICUNA_SYSTEM, image_mark=f"{IMAGE_START}{IMAGE}{IMAGE_END}"),
    "plain_guided": CaptionTemplate(),  # stage 1
    "plain": Template(system=""),  # the shipped model's: short, because every token costs CPU time
}


def human_turn(question: str) -> str:
    """The study's human turn: the clip first, then the question."""
    return f"{IMAGE}\n{question}"


def template(name: str) -> Template | CaptionTemplate:
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


def stop_ids(tokenizer, name: str) -> list[int]:
    """Ids of what ends an answer; the original's scripts stop a reply there (`KeywordsStoppingCriteria`)."""
    ids = tokenizer(template(name).answer_end).input_ids
    return ids[1:] if len(ids) > 1 and ids[0] == tokenizer.bos_token_id else ids


def supervised(tokenizer, name: str, turns: Sequence[tuple[str, str]]) -> tuple[list[int], list[int]]:
    """Ids and labels of a finished conversation, L each: labels are IGNORE except on each answer and its end.

    The same tokens are supervised as by `preprocess_imgsp_v1`, `preprocess_v1` and `preprocess_plain_guided` of the
    original `llamavid/train/train.py`: from the first token after "ASSISTANT:" (after the image, for a caption) to the
    answer's end. Raises ValueError where an answer is empty, holds `</s>` or `<image>`, or changes the tokens before
    it.

    Departures, because the original looks for answers in the text, between " ASSISTANT: " and `</s>`: it drops a
    conversation where a text holds one of them, or an answer is empty, from the loss, with nothing but a printed
    "tokenization mismatch"; here it is refused for its answer, else trained on. And where a question ends in
    " ASSISTANT:" it takes that for the mark and supervises the mark too, "ASSISTANT: ok</s>" for the answer "ok", which
    would teach the model to begin its reply with it; here "ok</s>" alone.
    """
    form = template(name)
    ids = tokenize(tokenizer, form.render(turns))
    labels = [IGNORE] * len(ids)
    for k, (_, answer) in enumerate(turns):
        before = tokenize(tokenizer, form.before_answer(turns, k))
        after = tokenize(tokenizer, form.render(turns[: k + 1]))
        unclear = isinstance(form, Template) and (not answer.strip() or form.answer_end in answer)
        if unclear or IMAGE in answer or ids[: len(before)] != before or ids[: len(after)] != after:
            raise ValueError(f"answer {answer!r} cannot be supervised: it is empty or contains a separator")
        labels[len(before) : len(after)] = ids[len(before) : len(after)]
    return ids, labels
