"""What stands in the files of a run's folder, for those who read one back: shapes of `files.check_shape`."""

from typing import Any

LORA = {"seed": int, "fps": (float, None)}
FACTORS = {
    "name": str,
    "model": str,
    "adapter": (LORA, None),
    "fps": float,
    "content": (str, None),
    "frames": str,
    "change?": (str, None),
    "prompt": str,
    "order": (int, None),
    "answering": str,
}
RECEIPT = {"n_frames": int, "visual_tokens": (int, None), "tokens_a_frame": (float, None)}
MEANS = ("score", "precision", "recall", "f1", "animals_f1", "actions_f1")
COUNTS = ("no_label", "no_verdict", "matched", "missing", "invented", "unparsed", "nothing_parsed")
OF_SOME = {  # numbers of an arm that some questions have
    "per_class?": {str: {"n": int, "correct": int, "predicted": int, "wilson95": [float, float]}},
    "labels?": [str],
    "columns?": [str],
    "confusion?": [[int]],
    "scores?": [int],
    **{f"{name}?": float for name in ("balanced_accuracy", "macro_f1", *MEANS)},
    **{f"{name}_interval95?": [float, float] for name in MEANS},
    **{f"{name}?": int for name in COUNTS},
}
SCORE = {"n": int, "correct": int, "accuracy": float, "wilson95": [float, float], **OF_SOME}
BASELINE = {"label": str, "n": int, "correct": int, "accuracy?": float, "wilson95?": [float, float], **OF_SOME}
PAIRED = {
    "family": str,
    "a": str,
    "b": str,
    "n": int,
    "only_a": int,
    "only_b": int,
    "difference": float,
    "interval95": [float, float],
    "p": float,
    "p_holm": float,
    "score_difference?": float,
    "score_interval95?": [float, float],
    "score_p?": float,
    "score_p_holm?": float,
}
EXCLUDED = [{"clip": str, "split": str, "reason": str}]
SUMMARY = {
    "arms": [FACTORS | {"rule": str, "receipt": RECEIPT} | SCORE],
    "paired": [PAIRED],
    "baseline": BASELINE,
    "excluded": EXCLUDED,
    "visibility": [{"set": str, "fps": float, "n": int, "seen": int, "wilson95": [float, float]}],
    "groups": {str: [str]},
    "rule": str,
    "worlds": {str: str},
    "seconds": {str: float},
}
CLIP = {
    "id": str,
    "video": str,
    "question": str,
    "answer": str,
    "choices": [str],
    "split": str,
    "events": [[float, float]],
    "n_frames": (int, None),
    "fps": (float, None),
    "extra": {},
}
CLIPS = {
    "question": str,
    "labels": [str],
    "source": str,
    "judge?": {},
    "animals?": [str],
    "train": [CLIP],
    "test": [CLIP | {"events_seen": {str: int}}],
    "excluded": EXCLUDED,
}
CONFIG = {"quantise?": (str, None), "prompts": [str], "groups": {str: [str]}, "train": {}, "lora": {}}
INPUT = {  # the receipt of one reply (`model.ask.Receipt`)
    **dict.fromkeys(("n_given", "n_arrived", "n_tokens", "n_doubled", "n_dropped"), int),
    "frame_size": [int, int],
    "times_told_s": ([float], None),
}
LINE: dict[str, Any] = {
    "clip": str,
    "truth": str,
    "reply": str,
    "correct": bool,
    "timestamps_s": [float],
    "n_visual": (int, None),
    "receipt?": INPUT,
    "log_likelihood?": {str: float},
    "n_tokens?": {str: int},
    "options?": [str],
}
CLOSED = LINE | {"label": (str, None)}
OPEN = LINE | {"score": int, "problem?": (str, None)}
OPEN |= {f"{name}?": [[(str, None), (str, None)]] for name in ("matched", "missing", "invented")}
OPEN |= {f"{name}?": float for name in ("f1", "animals_f1", "actions_f1")}
