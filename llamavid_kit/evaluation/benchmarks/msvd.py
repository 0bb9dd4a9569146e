"""MSVD-QA (Xu et al. 2017): 13,157 short questions about short clips, answered by one word, scored by a judge.

Sources: data.mendeley.com/datasets/h5j7cpwnvn, named by xudejing/video-question-answering; dvlab-research/LLaMA-VID,
`scripts/video/eval/msvd_eval.sh`. Video-ChatGPT's published number is of val_qa.json, says its issue 113: no neighbour
of LLaMA-VID's, which is of test_qa.json.

The study's 59.17 is 7,786 of 13,157 (59.1776, cut off), by Llama-3-8B-Instruct; an earlier run over 9,870 of them gave
59.08.
"""

from functools import partial

from llamavid_kit.evaluation.benchmarks.base import Benchmark
from llamavid_kit.evaluation.benchmarks.video_qa import load_qa, score_qa

BENCHMARK = Benchmark.of("msvd", partial(load_qa, name="msvd", prefix="vid"), score_qa)
