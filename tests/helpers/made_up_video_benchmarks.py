"""Made-up data folders of the video benchmarks, in the formats and under the names in which they are published."""

import json
from pathlib import Path

from small import write_clip

ABOUT = {  # question, answer; the clips are called by number
    0: ("what fills the picture?", "red"),
    1: ("what is moving?", "block"),
    2: ("what fills the picture?", "blue"),
}
TYPES = {"a": [("is it red", "yes", 3), ("what is moving", "a block", 0)], "b_c": [("how many blocks", "1", 7)]}


def write_json(path: Path, content) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def read_json(path: Path):
    return json.loads(path.read_text(encoding="utf-8"))


def change(path: Path, row: int, **changes) -> None:
    """Other values in one row of a JSON list; a key that becomes "gone" goes."""
    rows = read_json(path)
    rows[row] |= changes
    write_json(path, [{k: v for k, v in row.items() if v != "gone"} for row in rows])


def clip(folder: Path, name: str, k: int = 0) -> Path:
    return write_clip(folder / name, seconds=1.0, fps=6, label=("Red", "Green light", "Blue")[k % 3], seed=k)


def msvd(folder: Path, prefix: str = "vid") -> Path:
    """Three questions about two clips; one clip is named with its prefix, one without."""
    for name, k in ((f"{prefix}1301.mp4", 0), ("1302.avi", 2)):
        clip(folder / "video", name, k)
    videos = {0: 1301, 1: 1301, 2: 1302}
    rows = [{"id": 40 + k, "video_id": videos[k], "question": q, "answer": a} for k, (q, a) in ABOUT.items()]
    write_json(folder / "test_qa.json", rows)
    return folder


def msrvtt(folder: Path) -> Path:
    return msvd(folder, prefix="video")


def activitynet(folder: Path) -> Path:
    """Three questions of three types about two clips; the answers stand in another order than the questions."""
    questions, answers = [], []
    for k, (name, rows) in enumerate(TYPES.items()):
        clip(folder / "all_test", f"v_{name}.mp4", k)
        for n, (question, answer, kind) in enumerate(rows):
            questions.append({"video_name": name, "question": question, "question_id": f"v_{name}_{n}"})
            answers.append({"answer": answer, "type": kind, "question_id": f"v_{name}_{n}"})
    write_json(folder / "test_q.json", questions)
    write_json(folder / "test_a.json", answers[::-1])
    return folder


def video_chatgpt(folder: Path) -> Path:
    """Three generic rows, one of them twice, a temporal one and two of consistency."""
    for k, name in enumerate(("v_one", "v_two.x")):
        clip(folder / "Test_Videos", f"{name}.mp4", k)
    generic = [
        {"video_name": "v_one", "Q": "What is seen?", "A": "A red picture with a small block."},
        {"video_name": "v_two.x", "Q": "What is seen?", "A": "A green picture."},
        {"video_name": "v_one", "Q": "What is seen?", "A": "A red picture with a small block."},
    ]
    temporal = [{"video_name": "v_one", "Q": "What happens first?", "A": "The block is on the left, then it moves."}]
    consistency = [
        {"video_name": "v_one", "Q1": "What moves?", "Q2": "Which thing is moving?", "A": "A small block."},
        {"video_name": "v_two.x", "Q1": "Which colour?", "Q2": "What colour is it?", "A": "Green."},
    ]
    for name, rows in (("generic", generic), ("temporal", temporal), ("consistency", consistency)):
        write_json(folder / f"{name}_qa.json", rows)
    return folder


VIDEO = {"msvd": msvd, "msrvtt": msrvtt, "activitynet": activitynet, "video_chatgpt": video_chatgpt}
