"""Runs of video benchmarks without a model worth the name: who answers, who judges, what the command line says."""

import hashlib
from pathlib import Path

from made_up_video_benchmarks import VIDEO, write_json

from llamavid_kit.model.ask import Reply

N = 24


def many_questions(folder: Path) -> Path:
    """MSVD-QA with N questions about its two clips."""
    VIDEO["msvd"](folder)
    rows = [{"id": k, "video_id": 1301 + k % 2, "question": f"what is {k}?", "answer": f"{k % 3}"} for k in range(N)]
    write_json(folder / "test_qa.json", rows)
    return folder


class Parrot:
    """A `ClipModel` that answers by a table, `replies`, else with the question; notes what it was called with."""

    def __init__(self, **replies):
        self.replies, self.calls = replies, []

    def watch(self, clip, questions, *, fps):
        self.calls += [(clip.path.name, question, fps) for question in questions]
        return [Reply(self.replies.get(question, question), (0.0,)) for question in questions]


class Minds:
    """Endpoint models whose verdict hangs on model, question and how often that came. times: (model, words) → n."""

    def __init__(self):
        self.times = {}

    def __call__(self, body, number) -> str:
        words = body["messages"][1]["content"]
        key = (body["model"], words)
        self.times[key] = self.times.get(key, 0) + 1
        return self.reply(*key, self.times[key])

    @staticmethod
    def reply(model: str, words: str, asking: int) -> str:
        """By a hash: some 1 of 6 says nothing, and 1 of 3 changes from asking to asking."""
        fixed = hashlib.sha256(f"{model}{words}".encode()).digest()
        moody = hashlib.sha256(f"{model}{words}{asking}".encode()).digest()
        score = (moody if fixed[0] % 3 == 0 else fixed)[1] % 6
        if moody[3] % 6 == 0:
            return "I cannot say."
        pred = f'"pred": "{"yes" if score >= 3 else "no"}", ' if '"pred"' in words else ""
        return f'{{{pred}"score": {score}}}'


def evaluate_tiny(name: str, data: Path, out: Path, *options: str) -> list[str]:
    """The command that has the shipped model answer in six tokens."""
    folders = ["--data", str(data), "--out", str(out)]
    return ["evaluate", name, "--model", "tiny", *folders, "--max-new-tokens", "6", *options]
