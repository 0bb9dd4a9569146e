"""The part of a model's reply that answers: what it thinks aloud before, and the template's marks around it, go.

Both are form, no words of the answer, which stay as they are. Reading these is left to each scorer.
"""

import re

_THOUGHT = r"(?:\w+:)?(?:think|thinking|thoughts?|reasoning|analysis|reflection|scratchpad)"
_THOUGHTS_BEGIN = re.compile(
    rf"<{_THOUGHT}>|\[THINK\]|◁think▷|<\|begin_of_thought\|>|<\|channel\|>analysis<\|message\|>", re.I
)
_THOUGHTS_END = re.compile(
    rf"</{_THOUGHT}>|\[/THINK\]|◁/think▷|<\|end_of_thought\|>|<\|channel\|>final<\|message\|>|assistantfinal", re.I
)
_BEGIN = re.compile(
    r"\A(?:\s|<(?:s|bos|start_of_turn|answer|output)>|<\|(?!begin_of_thought|channel)[\w ]+\|>"
    r"|(?:assistant|model|thought)(?=\s*\n|<))*",
    re.I,
)
_END = re.compile(r"(</s>|<eos>|<pad>|<end_of_turn>|\[EOS\]|<\|[\w ]+\|>|<｜[^｜<]*｜>|</(?:answer|output)>)", re.I)


def answer_part(reply: str) -> str:
    """What stands behind the last thought and between the marks of beginning and end, without blanks around it.

    "" where nothing does, as in a reply that was cut off while the model still thought.
    """
    text = _BEGIN.sub("", _THOUGHTS_END.split(reply)[-1], count=1)
    if _THOUGHTS_BEGIN.match(text):
        return ""
    pieces = _END.split(text)
    while len(pieces) > 1 and not pieces[-1].strip():
        del pieces[-2:]
    return "".join(pieces).strip()
