#!/usr/bin/env python3
"""Makes a TorchScript file that can be trained: 01_make_model.py OUT.pt

Traced in train mode, so that what training keeps is what the file keeps. The weights are random: nothing is downloaded.
"""

import sys

import timm
import torch


def main() -> None:
    out = sys.argv[1]
    torch.manual_seed(0)
    model = timm.create_model("vit_tiny_patch16_224", pretrained=False, num_classes=10)
    model.train()  # before tracing: the mode is baked into a trace
    example = torch.randn(4, 3, 224, 224)
    torch.jit.save(torch.jit.trace(model, example), out)
    print(f"{out}: {sum(parameter.numel() for parameter in model.parameters()):,} parameters")


if __name__ == "__main__":
    main()
