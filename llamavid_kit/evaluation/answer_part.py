"""The part of a model's reply that answers: what it thinks aloud before, and the template's marks around it, go."""

import re

_THOUGHTS = r"(?:\w+:)?(?:think(?:ing)?|thoughts?|reasoning|analysis|reflection|scratchpad)"
_OPEN = re.compile(rf"<{_THOUGHTS}>|\[THINK\]|◁think▷|<\|channel\|>analysis", re.I)
_CLOSE = re.compile(rf"</{_THOUGHTS}>|\[/THINK\]|◁/think▷|<\|channel\|>final<\|message\|>|assistantfinal", re.I)
_NAME = r"(?:assistant|model|thought)(?=\s*\n|<)"  # of who speaks, left by a template whose marks were removed
_BEGIN = re.compile(rf"\A(?:\s|<(?:s|bos|start_of_turn|answer)>|<\|(?!channel)[\w ]+\|>|{_NAME})*", re.I)
_END = re.compile(r"(</s>|<eos>|<pad>|<end_of_turn>|<\|[\w ]+\|>|<｜[^｜<]*｜>|</answer>)", re.I)


def answer_part(reply: str) -> str:
    """What stands behind the last thought and between the marks of beginning and end, without blanks around it.

    "" where nothing does, as in a reply that was cut off while the model still thought.
    """
    text = _BEGIN.sub("", _CLOSE.split(reply)[-1], count=1)
    pieces = [""] if _OPEN.match(text) else _END.split(text)
    while len(pieces) > 1 and not pieces[-1].strip():
        del pieces[-2:]
    return "".join(pieces).strip()
