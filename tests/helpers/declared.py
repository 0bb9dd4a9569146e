"""What the extra [models] installs, for tests: import this before transformers.

`LLAMAVID_MODELS` may name a folder that holds it (`make test` fills one), so that no other process of the tests sees
it: a `torchvision` that was built for a GPU does not import beside a CPU build of torch, nor then does transformers.
Two operators are missing, which no processor of videos calls; they are declared here.
"""

import importlib.util
import os
import sys

if folder := os.environ.get("LLAMAVID_MODELS"):
    sys.path.append(folder)
if importlib.util.find_spec("torchvision"):
    try:
        import torchvision
    except RuntimeError:  # operator torchvision::nms does not exist
        import torch

        DECLARED = torch.library.Library("torchvision", "DEF")
        for operator in ("nms", "qnms"):
            DECLARED.define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        import torchvision  # noqa: F401
