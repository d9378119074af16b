"""Published weights: which files there are, where each lives, and which pipeline needs which (contract 5.2). No torch here."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from scope.errors import NotFound

UNFINISHED = ".incomplete"  # how the name of a file ends that is still being fetched
CONFIG = "config.json"  # fetched along with every repository that has one; nothing here needs it


@dataclass(frozen=True, slots=True)
class Published:
    """One file (or folder) that someone publishes on Hugging Face."""

    repo: str
    file: str  # below the repository
    megabytes: int  # about; what a download will take
    nests: tuple[str, ...] = ()  # dictionaries the tensors may lie in, first choice first
    prefix: str = ""  # what the names begin with
    holds: tuple[str, ...] = ()  # for a folder: what must be in it

    def under(self, models_dir: Path) -> Path:
        """Where Scope keeps it: a repository `owner/name` lies in `name`."""
        return models_dir / self.repo.split("/")[1] / self.file

    @property
    def parts(self) -> tuple[str, ...]:
        """The files of the row, below the repository."""
        return tuple(f"{self.file}/{name}" for name in self.holds) or (self.file,)

    def present(self, models_dir: Path) -> bool:
        """Whether all of it is here; what is still being fetched is not."""
        home = self.under(models_dir)
        return all(_is_whole(home / name) for name in self.holds) if self.holds else _is_whole(home)


def _is_whole(path: Path) -> bool:
    return path.is_file() and path.stat().st_size > 0


_GENERATOR = ("generator", "generator_ema", "state_dict")
_WORDS = ("special_tokens_map.json", "spiece.model", "tokenizer.json", "tokenizer_config.json")
FILES: dict[str, Published] = {
    "wan-1.3b-config": Published("daydreamlive/Wan2.1-T2V-1.3B", CONFIG, 1),
    "wan-14b-config": Published("daydreamlive/Wan2.1-T2V-14B", CONFIG, 1),
    "wan-1.3b": Published("Wan-AI/Wan2.1-T2V-1.3B", "diffusion_pytorch_model.safetensors", 5_676),
    "wan-14b": Published("Wan-AI/Wan2.1-T2V-14B", "diffusion_pytorch_model.safetensors.index.json", 57_154),
    "wan-vae": Published("daydreamlive/Wan2.1-T2V-1.3B", "Wan2.1_VAE.pth", 508),
    "light-vae": Published("daydreamlive/Autoencoders", "lightvaew2_1.pth", 32),
    "tiny-vae": Published("daydreamlive/Autoencoders", "taew2_1.pth", 23),
    "light-tiny-vae": Published("daydreamlive/Autoencoders", "lighttaew2_1.pth", 23),
    "tokenizer": Published("daydreamlive/Wan2.1-T2V-1.3B", "google/umt5-xxl", 21, holds=_WORDS),
    "umt5-fp8": Published("daydreamlive/WanVideo_comfy", "umt5-xxl-enc-fp8_e4m3fn.safetensors", 6_732),
    "umt5-bf16": Published("Wan-AI/Wan2.1-T2V-1.3B", "models_t5_umt5-xxl-enc-bf16.pth", 11_362),
    "vace-1.3b": Published("daydreamlive/WanVideo_comfy", "Wan2_1-VACE_module_1_3B_bf16.safetensors", 1_470),
    "vace-14b": Published("daydreamlive/WanVideo_comfy", "Wan2_1-VACE_module_14B_bf16.safetensors", 6_100),
    "self-forcing": Published(
        "gdhe17/Self-Forcing", "checkpoints/self_forcing_dmd.pt", 5_676, ("generator_ema", "generator"), "model."
    ),
    "longlive": Published(
        "daydreamlive/LongLive-1.3B", "models/longlive_base.pt", 5_676, ("generator", "generator_ema"), "model."
    ),
    "longlive-lora": Published("daydreamlive/LongLive-1.3B", "models/lora.pt", 1_400, ("generator_lora",)),
    "streamdiffusionv2": Published("daydreamlive/StreamDiffusionV2", "wan_causal_dmd_v2v/model.pt", 5_676, _GENERATOR, "model."),
    "streamdiffusionv2-14b": Published(
        "jerryfeng/StreamDiffusionV2", "wan_causal_dmd_v2v_14b/model.pt", 57_154, _GENERATOR, "model."
    ),
    "krea": Published("daydreamlive/krea-realtime-video", "krea-realtime-video-14b.safetensors", 28_577, (), "model."),
    "reward-forcing": Published(
        "daydreamlive/Reward-Forcing-T2V-1.3B", "rewardforcing.pt", 5_676, ("generator_ema", "generator"), "model."
    ),
    "memflow": Published("daydreamlive/MemFlow", "base.pt", 5_676, ("generator", "generator_ema"), "model."),
    "memflow-lora": Published("daydreamlive/MemFlow", "lora.pt", 1_400, ("generator_lora",)),
    "rife": Published("daydreamlive/RIFE", "flownet.pkl", 25),
    "scribble": Published("daydreamlive/VACE-Annotators", "scribble/anime_style/netG_A_latest.pth", 17),
    "depth-small": Published("daydreamlive/Video-Depth-Anything-Small", "video_depth_anything_vits.pth", 116),
}

_ALL_WAN = ("wan-1.3b-config", "wan-vae", "tokenizer", "umt5-fp8", "light-vae", "tiny-vae", "light-tiny-vae")
_SMALL, _LARGE = (*_ALL_WAN, "vace-1.3b"), (*_ALL_WAN, "vace-14b", "wan-14b-config")
NEEDS: dict[str, tuple[str, ...]] = {  # pipeline -> names in FILES
    "longlive": (*_SMALL, "longlive", "longlive-lora"),
    "streamdiffusionv2": (*_SMALL, "streamdiffusionv2"),
    "krea-realtime-video": (*_LARGE, "krea"),
    "reward-forcing": (*_SMALL, "reward-forcing"),
    "memflow": (*_SMALL, "memflow", "memflow-lora"),
    "rife": ("rife",),
    "scribble": ("scribble",),
    "video-depth-anything": ("depth-small",),
}
BASES: dict[str, str] = {  # pipeline -> the network its LoRAs must have been trained for
    "longlive": "Wan2.1 1.3B",
    "streamdiffusionv2": "Wan2.1 1.3B",
    "krea-realtime-video": "Wan2.1 14B",
    "reward-forcing": "Wan2.1 1.3B",
    "memflow": "Wan2.1 1.3B",
}


def rows(pipeline: str) -> Iterator[Published]:
    """What a pipeline needs; nothing for one without weights. Configurations are left out: a folder without them will do."""
    yield from (FILES[name] for name in NEEDS.get(pipeline, ()) if FILES[name].file != CONFIG)


def published(name: str) -> Published:
    """Raises NotFound for a name not in the table."""
    if name not in FILES:
        raise NotFound(f"no published file called {name!r}; there are {', '.join(FILES)}")
    return FILES[name]


def locate(name: str, models_dir: Path) -> Path:
    """The file on this machine. Raises NotFound saying what to fetch when it, or a part of it, is not there."""
    row = published(name)
    path = row.under(models_dir)
    if not row.present(models_dir):
        raise NotFound(f"{path} is not there; fetch {row.file} from {row.repo} (about {row.megabytes:,} MB)")
    return path
