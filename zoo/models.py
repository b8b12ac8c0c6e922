"""The zoo: real models in small configurations, with random weights from a fixed seed and nothing downloaded.

One home for the builders: the demo, the tests and the bench scripts all make their files through `make_file`.
"""

from __future__ import annotations

import dataclasses
import hashlib
import os
import pathlib
import warnings
import zipfile
from collections.abc import Callable

import torch
from torch import Tensor, nn

SEED = 0
VOCABULARY = 1000
SEQUENCE_LENGTH = 128
KEY_FILE = "zoo_key"  # the archive's extra file that says which builder made it

# What the four small transformers share; the zoo's table of figures is for these sizes.
LAYERS, HIDDEN, HEADS = 4, 256, 4


@dataclasses.dataclass(frozen=True)
class Input:
    """One argument of forward; `limit` is the exclusive bound of an integer input, None for a float32 one."""

    name: str
    shape: tuple[int, ...]
    limit: int | None = None

    def flag(self) -> str:
        """The value for the command line's --input."""
        shape = "x".join(str(extent) for extent in self.shape)
        return f"{self.name}={shape}" + (f":i64:0..{self.limit}" if self.limit else "")

    def sample(self) -> Tensor:
        if self.limit:
            return torch.randint(0, self.limit, self.shape)
        return torch.randn(self.shape)


@dataclasses.dataclass(frozen=True)
class ZooModel:
    build: Callable[[], nn.Module]
    input: Input
    scripts: bool  # torch.jit.script takes it


class Tokens(nn.Module):
    """A transformers model as a function from token ids to hidden states, which is what a trace can hold."""

    def __init__(self, model: nn.Module, causal: bool, **settings: bool) -> None:
        super().__init__()
        self.model = model
        self.settings = settings
        # The causal models would make their mask with vmap, which a trace cannot hold: hand them the finished one.
        mask = torch.ones(SEQUENCE_LENGTH, SEQUENCE_LENGTH, dtype=torch.bool).tril()[None, None] if causal else None
        self.register_buffer("mask", mask)

    def forward(self, input_ids: Tensor) -> Tensor:
        return self.model(input_ids=input_ids, attention_mask=self.mask, return_dict=False, **self.settings)[0]


def _torchvision(name: str) -> nn.Module:
    import torchvision

    return torchvision.models.get_model(name, weights=None)


def _timm(name: str) -> nn.Module:
    import timm

    return timm.create_model(name, pretrained=False)


def _bert(dropout: float) -> nn.Module:
    from transformers import BertConfig, BertModel

    config = BertConfig(
        num_hidden_layers=LAYERS,
        hidden_size=HIDDEN,
        num_attention_heads=HEADS,
        intermediate_size=4 * HIDDEN,
        hidden_dropout_prob=dropout,
        attention_probs_dropout_prob=dropout,
        attn_implementation="sdpa",
    )
    # The pooler reads the first token alone; without it the hidden states are the output.
    return Tokens(BertModel(config, add_pooling_layer=False), causal=False, use_cache=False)


def _gpt2(dropout: float) -> nn.Module:
    from transformers import GPT2Config, GPT2Model

    config = GPT2Config(
        n_layer=LAYERS,
        n_embd=HIDDEN,
        n_head=HEADS,
        resid_pdrop=dropout,
        embd_pdrop=dropout,
        attn_pdrop=dropout,
        attn_implementation="sdpa",
    )
    return Tokens(GPT2Model(config), causal=True, use_cache=False)


def _llama() -> nn.Module:
    from transformers import LlamaConfig, LlamaModel

    config = LlamaConfig(
        num_hidden_layers=LAYERS,
        hidden_size=HIDDEN,
        num_attention_heads=HEADS,
        intermediate_size=688,
        attn_implementation="sdpa",
    )
    return Tokens(LlamaModel(config), causal=True, use_cache=False)


def _t5_encoder() -> nn.Module:
    from transformers import T5Config, T5EncoderModel

    config = T5Config(
        num_layers=LAYERS,
        d_model=HIDDEN,
        d_ff=4 * HIDDEN,
        vocab_size=VOCABULARY,
        feed_forward_proj="gated-gelu",
        dropout_rate=0.1,
    )
    return Tokens(T5EncoderModel(config), causal=False)


def _images(count: int) -> Input:
    return Input("x", (count, 3, 224, 224))


_TOKENS = Input("input_ids", (4, SEQUENCE_LENGTH), VOCABULARY)

MODELS: dict[str, ZooModel] = {
    "convnext_tiny": ZooModel(lambda: _torchvision("convnext_tiny"), _images(4), scripts=True),
    "vit_b_16": ZooModel(lambda: _torchvision("vit_b_16"), _images(2), scripts=True),
    "efficientnet_b0": ZooModel(lambda: _torchvision("efficientnet_b0"), _images(4), scripts=True),
    "mobilenet_v3_large": ZooModel(lambda: _torchvision("mobilenet_v3_large"), _images(4), scripts=True),
    "vit_small_patch16_224": ZooModel(lambda: _timm("vit_small_patch16_224"), _images(2), scripts=True),
    "resnet18": ZooModel(lambda: _torchvision("resnet18"), _images(4), scripts=True),
    "mixer_s16_224": ZooModel(lambda: _timm("mixer_s16_224"), _images(4), scripts=True),
    "eva02_tiny_patch14_224": ZooModel(lambda: _timm("eva02_tiny_patch14_224"), _images(4), scripts=True),
    # transformers' configurations take keyword arguments that torch.jit.script refuses.
    "bert": ZooModel(lambda: _bert(0.0), _TOKENS, scripts=False),
    "bert_dropout": ZooModel(lambda: _bert(0.1), _TOKENS, scripts=False),
    "gpt2": ZooModel(lambda: _gpt2(0.0), _TOKENS, scripts=False),
    "gpt2_dropout": ZooModel(lambda: _gpt2(0.1), _TOKENS, scripts=False),
    "llama": ZooModel(_llama, _TOKENS, scripts=False),
    "t5_encoder": ZooModel(_t5_encoder, _TOKENS, scripts=False),
}


def _unsettle_constants(model: nn.Module) -> None:
    """Gives parameters that start as one constant the spread that training would.

    A head of zeros makes every gradient before it zero, and a layer scale of 1e-6 nearly so: comparing gradients
    would then prove nothing.
    """
    with torch.no_grad():
        for parameter in model.parameters():
            first = parameter.flatten()[0]
            if bool((parameter == first).all()):
                center, spread = (1.0, 0.1) if first > 0 else (0.0, 0.02)
                parameter.normal_(center, spread)


def build(name: str) -> tuple[nn.Module, Input]:
    """The eager module in train mode, the same at every call."""
    torch.manual_seed(SEED)
    entry = MODELS[name]
    model = entry.build().train()
    _unsettle_constants(model)
    return model, entry.input


def _key(name: str, form: str) -> str:
    """Changes whenever a file made from the same name would differ."""
    builder = hashlib.sha256(pathlib.Path(__file__).read_bytes()).hexdigest()
    return f"{name} {form} torch-{torch.__version__} builder-{builder}"


def _key_in(path: pathlib.Path) -> str | None:
    try:
        with zipfile.ZipFile(path) as archive:
            member = next(entry for entry in archive.namelist() if entry.endswith(f"/extra/{KEY_FILE}"))
            return archive.read(member).decode()
    except (OSError, zipfile.BadZipFile, StopIteration):
        return None


def make_file(name: str, form: str, path: pathlib.Path) -> bool:
    """Writes the TorchScript file unless `path` already holds this very model; says whether it wrote."""
    key = _key(name, form)
    if _key_in(path) == key:
        return False
    model, example = build(name)
    with warnings.catch_warnings():
        # TorchScript's deprecation, and the tracer's remarks on shapes that the zoo keeps constant.
        warnings.simplefilter("ignore")
        if form == "scripted":
            module = torch.jit.script(model)
        else:
            # Two traces of a model with dropout differ, so the tracer's own check cannot hold.
            module = torch.jit.trace(model, example.sample(), check_trace=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        torch.jit.save(module, unfinished, _extra_files={KEY_FILE: key.encode()})
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
    return True
