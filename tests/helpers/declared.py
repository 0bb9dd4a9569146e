"""Lets a `torchvision` that was built for a GPU be imported beside a CPU build of torch; import it before transformers.

It fails there for want of two operators, which no processor of videos calls: they are declared here.
"""

import importlib.util

if importlib.util.find_spec("torchvision"):
    try:
        import torchvision
    except RuntimeError:  # operator torchvision::nms does not exist
        import torch

        DECLARED = torch.library.Library("torchvision", "DEF")
        for operator in ("nms", "qnms"):
            DECLARED.define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        import torchvision  # noqa: F401
