"""How much the zoo's models may keep once rewritten: what zoo_test.py checks and bench/model_table.py shows."""

from __future__ import annotations

# What the original may keep at most once rewritten, in MiB (issue "From the output, everywhere").
KEPT_MIB = {
    "convnext_tiny": 250,
    "efficientnet_b0": 248,
    "mobilenet_v3_large": 146.9,
    "vit_b_16": 148,
    "mixer_s16_224": 97,
    "gpt2": 21.5,
    "gpt2_dropout": 35,
    "bert_dropout": 35,
    "llama": 30,
    "t5_encoder": 71,
}

# The same for scripted files, where it differs: the branches of torchvision's attention hide which linear reads the norm.
KEPT_SCRIPTED_MIB = {"vit_b_16": 157}
