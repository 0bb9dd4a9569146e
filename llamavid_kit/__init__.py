"""Understand and stress LLaMA-VID (arXiv 2311.17043): two tokens a frame, attention maps, honest FPS ablations.

    import llamavid_kit as lvk
    model = lvk.load("tiny")
    print(model.ask(lvk.Video("clip.mp4"), "What happens?", fps=1))

Names are imported when they are first used, so that data preparation does not wait for torch.
"""

import importlib

_HOME = {
    "AblationConfig": "experiments.arms",
    "AttentionExplorer": "viz.explorers.attention",
    "FrameSampler": "viz.explorers.sampler",
    "InstructionPair": "data.pairs",
    "LlamaVid": "model.llama_vid",
    "LlamaVidConfig": "model.config",
    "PredictionBrowser": "experiments.browser",
    "Reply": "model.ask",
    "TokenBudget": "viz.explorers.budget",
    "Video": "data.video",
    "VisualTokens": "model.context_attention",
    "ablate": "experiments.ablation",
    "audit": "model.audit",
    "clips_from_csv": "data.clips_csv",
    "convert": "model.original.convert",
    "export": "model.original.convert",
    "load": "model.loading",
    "plan": "model.planner",
    "write_report": "experiments.report.page",
}
__all__ = [*_HOME, "plots"]


def __getattr__(name: str):
    if name == "plots":
        return importlib.import_module("llamavid_kit.viz.plots")
    if name not in _HOME:
        raise AttributeError(f"module 'llamavid_kit' has no attribute {name!r}")
    return getattr(importlib.import_module(f"llamavid_kit.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
