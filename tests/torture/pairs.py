"""Two processes on one folder at the same moment: one is refused by name, or both end; nothing is interleaved or lost.

And two that fill one frame cache: nobody stops, and the frame tokens that lie there are those of the clips.
"""

import re
import shutil
import time
from pathlib import Path

import harness
import jobs
import small
from harness import Table

from llamavid_kit.data.video import Video
from llamavid_kit.model.frame_cache import FrameCache

N_PAIRS, APART_S = 2, 0.3
REFUSED = re.compile("is being written by|begun by another process")


def run(table: Table, work: Path, *, share: float = 1.0, seed: int = 0) -> None:
    n = max(1, round(N_PAIRS * share))
    with jobs.endpoint():
        for job in jobs.JOBS:
            two_at_once(table, job, work / job.name, n=n, seed=seed)
    one_cache(table, work / "cache", n=4 * n)


def two_at_once(table: Table, job: jobs.Job, work: Path, *, n: int, seed: int) -> None:
    prepared, logs = jobs.prepared(job, work), [work / "log0", work / "log1"]
    calm = jobs.begun(job, work / "calm", prepared)
    assert harness.wait(jobs.child(job, calm, prepared, logs[0])) == 0, logs[0].read_text()[-3000:]
    expected = harness.contents(calm, leave_out=job.leave_out)
    for k in range(n):
        folder, both = jobs.begun(job, work / "shared", prepared), []
        for log in logs:
            both.append(jobs.child(job, folder, prepared, log))
            time.sleep(harness.seeded(seed, job.name, k).uniform(0, APART_S))
        codes, said = [harness.wait(pid) for pid in both], [jobs.said(log) for log in logs]
        wrong = harness.differences(expected, harness.contents(folder, leave_out=job.leave_out))
        refused = all(code == 0 or REFUSED.search(text) for code, text in zip(codes, said, strict=True))
        what = f"status {codes}; {'; '.join(wrong[:4])}; {said}"
        table.count(job.name, 0 in codes and refused and not wrong, what)


def one_cache(table: Table, work: Path, *, n: int) -> None:
    work.mkdir()
    model = small.small_model(*small.tokenizers())
    clips = [small.write_clip(work / f"c{k}.mp4", seed=k, seconds=3) for k in range(8)]
    asked = [(clip, question) for clip in clips for question in ("one?", "two?")]
    true = {key: FrameCache(model).tokens(Video(key[0]), key[1], fps=12)[0] for key in asked}

    def fill() -> None:
        cache = FrameCache(model, work / "cache")
        for fps in (1, 2, 3, 4, 6, 12):  # each rate adds frames to a file that is there
            for clip in clips:
                cache.fill(Video(clip), ["one?", "two?"], fps=fps)

    for _ in range(n):
        shutil.rmtree(work / "cache", ignore_errors=True)
        codes = [harness.wait(pid) for pid in [harness.spawn(fill, log=work / f"log{k}") for k in (0, 1)]]
        kept = {key: FrameCache(model, work / "cache").tokens(Video(key[0]), key[1], fps=12)[0] for key in asked}
        wrong = sum((kept[key].context - true[key].context).abs().max().item() > 1e-4 for key in asked)
        what = f"status {codes}, frame tokens of {wrong} of {len(asked)} are others"
        table.count("frame cache", codes == [0, 0] and not wrong, what)
