"""Ten benchmarks, one file each: `benchmark(name)` is the object BENCHMARK of its file, imported when asked for."""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from llamavid_kit.evaluation.benchmarks.base import Benchmark

FILES = {
    "gqa": "llava_gqa_testdev_balanced.jsonl, testdev_balanced_questions.json and images/",
    "pope": "llava_pope_test.jsonl, coco/coco_pope_{adversarial,popular,random}.json and val2014/",
    "scienceqa": "llava_test_CQM-A.json, problems.json, pid_splits.json and images/test/",
    "mmbench": "mmbench_dev_20230712.tsv",
    "vizwiz": "llava_test.jsonl and test/ (for the server), or val.json and val/",
    "vqav2": (
        "llava_vqav2_mscoco_test-dev2015.jsonl, llava_vqav2_mscoco_test2015.jsonl and test2015/ (for the server), or "
        "v2_OpenEnded_mscoco_val2014_questions.json, v2_mscoco_val2014_annotations.json and val2014/"
    ),
    "msvd": "test_qa.json and video/ (and youtube_mapping.txt where the clips have their YouTube names)",
    "msrvtt": "test_qa.json and video/",
    "activitynet": "test_q.json, test_a.json and all_test/",
    "video_chatgpt": "generic_qa.json, temporal_qa.json, consistency_qa.json and Test_Videos/",
}
"""Name → what the data folder must hold, in the names under which LLaVA and the benchmark's authors publish it.

The video benchmarks' folders are called as LLaMA-VID's scripts call them.
"""


def benchmark(name: str) -> "Benchmark":
    """The benchmark called `name`. ValueError lists the known names."""
    if name not in FILES:
        raise ValueError(f"unknown benchmark {name!r}: expected one of {', '.join(FILES)}")
    return importlib.import_module(f"llamavid_kit.evaluation.benchmarks.{name}").BENCHMARK
