"""Understand and stress LLaMA-VID (arXiv 2311.17043): two tokens a frame, attention maps, honest FPS ablations.

    import llamavid_kit as lvk
    model = lvk.load("tiny")
    print(model.ask(lvk.Video("clip.mp4"), "What happens?", fps=1))

Names are imported when they are first used, so that data preparation does not wait for torch.
"""

import importlib

_HOME = {
    "AblationConfig": "ablation",
    "AttentionExplorer": "explorers.attention",
    "FrameSampler": "explorers.sampler",
    "InstructionPair": "pairs",
    "LlamaVid": "model",
    "LlamaVidConfig": "config",
    "PredictionBrowser": "explorers.predictions",
    "Reply": "answering",
    "TokenBudget": "explorers.budget",
    "Video": "video",
    "VideoError": "video",
    "VisualTokens": "context_attention",
    "ablate": "ablation",
    "clips_from_csv": "own_data",
    "convert": "conversion",
    "export": "conversion",
    "import_features": "feature_file",
    "load": "checkpoints",
    "plan": "planner",
    "write_report": "report",
}
__all__ = [*_HOME, "plots"]


def __getattr__(name: str):
    if name == "plots":
        return importlib.import_module("llamavid_kit.plots")
    if name not in _HOME:
        raise AttributeError(f"module 'llamavid_kit' has no attribute {name!r}")
    return getattr(importlib.import_module(f"llamavid_kit.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
