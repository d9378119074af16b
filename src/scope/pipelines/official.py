"""The published weights, from the folder they were downloaded to: network, LoRAs, VACE, decoder, text."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from scope.errors import NotFound
from scope.models import checkpoint
from scope.models.codec import Codec
from scope.models.lora import Adapters, Lora, merge, parse
from scope.models.quantize import Kind, Quantisation, quantise
from scope.models.text import TextEncoder, load_umt5, text_weights
from scope.models.tiny_vae import LIGHT_TINY_VAE, TINY_VAE, TinyVae
from scope.models.tokens import load_tokenizer
from scope.models.vace import VaceBranch
from scope.models.vae import LIGHT_VAE, WAN_VAE, WanVae
from scope.models.wan import WanTransformer
from scope.models.weights import load, locate, on_meta, published
from scope.pipelines.family import BESIDE, MERGE, LoraItem, WanOptions
from scope.pipelines.images import Images
from scope.pipelines.parts import Parts, latent_size, work_dtype
from scope.pipelines.recipes import Recipe
from scope.pipelines.words import Words
from scope.settings import Settings

OWN_ALPHA = 256  # of the LoRAs that LongLive and MemFlow were trained with; their files carry none
KINDS: dict[str, Kind] = {"fp8_e4m3fn": "fp8", "int8": "int8"}
Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Decoder:
    """One choice of `vae_type`."""

    file: str
    make: Callable[[Recipe], WanVae | TinyVae]


DECODERS = {
    "wan": Decoder("wan-vae", lambda recipe: WanVae(replace(WAN_VAE, encodes=recipe.encodes))),
    "lightvae": Decoder("light-vae", lambda recipe: WanVae(replace(LIGHT_VAE, encodes=recipe.encodes))),
    "tae": Decoder("tiny-vae", lambda recipe: TinyVae(TINY_VAE)),
    "lighttae": Decoder("light-tiny-vae", lambda recipe: TinyVae(LIGHT_TINY_VAE)),
}


def has(name: str, models_dir: Path) -> bool:
    return published(name).under(models_dir).exists()


def require(recipe: Recipe, options: WanOptions, models_dir: Path, *, vace: bool) -> None:
    """Raises NotFound naming what to fetch when something is not there."""
    names = [recipe.weights, *([recipe.lora] if recipe.lora else []), *([recipe.vace] if vace else [])]
    names += [DECODERS[options.vae_type].file, "tokenizer"]
    missing = [str(error) for error in (_absence(name, models_dir) for name in names) if error]
    try:
        text_weights(models_dir)
    except NotFound as error:
        missing.append(str(error))
    if missing:
        raise NotFound("; ".join(missing))


def _absence(name: str, models_dir: Path) -> str:
    try:
        locate(name, models_dir)
    except NotFound as error:
        return str(error)
    return ""


def parts(recipe: Recipe, options: WanOptions, device: torch.device, home: Settings, progress: Progress, *, vace: bool) -> Parts:
    """Everything, in the order of models-stream.md section 10: base, built-in LoRA, the user's LoRAs, quantisation."""
    dtype = work_dtype(device)
    progress("Loading diffusion model...")
    net = on_meta(lambda: WanTransformer(recipe.base))
    load(net, locate(recipe.weights, home.models_dir), device=device, dtype=dtype, row=published(recipe.weights))
    if recipe.lora:
        own = checkpoint.read(locate(recipe.lora, home.models_dir), published(recipe.lora).nests)
        merge(net, [(parse(own, net, alpha=OWN_ALPHA), 1.0)])
    branch = None
    if vace:
        progress("Loading VACE...")
        branch = on_meta(lambda: VaceBranch(recipe.base, recipe.vace_blocks))
        load(branch, locate(recipe.vace, home.models_dir), device=device, dtype=dtype)
    if options.loras:
        progress("Loading LoRAs...")
    adapters, loras = apply_loras(net, options, home)
    progress("Loading VAE...")
    codec = _decoder(recipe, options, device, home.models_dir)
    progress("Loading text encoder...")
    words = _words(options, device, home.models_dir, dtype)
    pixels = (options.height, options.width)
    return Parts(net, codec, words, latent_size(options), pixels, branch, Images(home.assets_dir), adapters, loras)


def apply_loras(net: WanTransformer, options: WanOptions, home: Settings) -> tuple[Adapters | None, dict[str, str]]:
    """Merge what is to be merged, then quantise, then hang on what is to stay loose; gives what became of each."""
    default = options.lora_merge_strategy if options.lora_merge_strategy in (MERGE, BESIDE) else MERGE
    modes = {item.path: item.merge_mode if item.merge_mode in (MERGE, BESIDE) else default for item in options.loras}
    read = {item.path: (read_lora(item, net, home), item.scale) for item in options.loras}
    merge(net, [read[path] for path, mode in modes.items() if mode == MERGE])
    if options.quantization:
        quantise(net, Quantisation(KINDS[options.quantization]))
    loose = {path: read[path] for path, mode in modes.items() if mode == BESIDE}
    return (Adapters(net, loose) if loose else None), {path: str(mode) for path, mode in modes.items()}


def read_lora(item: LoraItem, net: WanTransformer, home: Settings) -> Lora:
    return parse(checkpoint.read(find_lora(item.path, (home.lora_dir, home.models_dir))), net)


def find_lora(path: str, roots: Sequence[Path]) -> Path:
    """An absolute path inside a root, one relative to it, or the bare name of a file. Raises NotFound."""
    for root in roots:
        inside = root.resolve()
        for name in (path, f"{path}.safetensors"):
            found = (inside / name).resolve()
            if found.is_relative_to(inside) and found.is_file():
                return found
        for found in sorted(inside.rglob("*.safetensors")) if inside.is_dir() and "/" not in path else ():
            if path in (found.name, found.stem):
                return found
    raise NotFound(f"no LoRA {path[:200]!r} in {roots[0]}")


def _decoder(recipe: Recipe, options: WanOptions, device: torch.device, models_dir: Path) -> Codec:
    row = DECODERS[options.vae_type]
    codec = on_meta(lambda: row.make(recipe))
    load(codec, locate(row.file, models_dir), device=device, dtype=work_dtype(device))
    ready: Codec = codec
    return ready


def _words(options: WanOptions, device: torch.device, models_dir: Path, dtype: torch.dtype) -> Words:
    """Loaded now, and tried: what is missing must be said at load, not at the first prompt."""
    where = torch.device("cpu") if options.text_encoder == "cpu" else device
    tokenizer = load_tokenizer(locate("tokenizer", models_dir))
    encoder = TextEncoder(
        lambda: load_umt5(text_weights(models_dir), device=where, storage="fp8", dtype=torch.bfloat16), tokenizer, device=where
    )

    def embed(text: str) -> Tensor:
        return encoder.embed([text])[0].to(device, dtype)

    embed("")
    return Words(embed)
