"""MSRVTT-QA (Xu et al. 2017): 72,821 short questions about clips of 10 to 30 s, scored by a judge.

Sources: data.mendeley.com/datasets/bvxhs33bw6, named by
xudejing/video-question-answering; dvlab-research/LLaMA-VID, `scripts/video/eval/msrvtt_eval.sh`. As for MSVD-QA,
Video-ChatGPT's published number is of val_qa.json.

The original's script writes its verdicts into MSVD-QA's folder, where the sums read every file that lies there; here
every run has a file of its own.
"""

from functools import partial

from llamavid_kit.evaluation.benchmarks.base import Benchmark
from llamavid_kit.evaluation.benchmarks.video_qa import load_qa, score_qa

BENCHMARK = Benchmark.of("msrvtt", partial(load_qa, name="msrvtt", prefix="video"), score_qa)
