"""What a client may know about a pipeline before loading it: the schema entry of contract 2.3, made from its row."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict

from scope.contract import Spec
from scope.runtime.effects import EffectParams

log = logging.getLogger(__name__)
NULL = {"type": "null"}
COMMON: dict[str, dict[str, Any]] = {  # fields that clients expect of every pipeline; without `ui` they are not shown
    "height": {"type": "integer", "default": 512, "minimum": 1},
    "width": {"type": "integer", "default": 512, "minimum": 1},
    "manage_cache": {"type": "boolean", "default": True},
    "base_seed": {"type": "integer", "default": 42, "minimum": 0},
    "denoising_steps": {"anyOf": [{"type": "array", "items": {"type": "integer"}}, NULL], "default": None},
    "lora_merge_strategy": {"anyOf": [{"type": "string"}, NULL], "default": None},
    "noise_scale": {"anyOf": [{"type": "number", "minimum": 0.0, "maximum": 1.0}, NULL], "default": None},
    "noise_controller": {"anyOf": [{"type": "boolean"}, NULL], "default": None},
    "input_size": {"anyOf": [{"type": "integer", "minimum": 1}, NULL], "default": 1},
    "ref_images": {"anyOf": [{"type": "array", "items": {"type": "string"}}, NULL], "default": None},
    "vace_context_scale": {"type": "number", "default": 1.0, "minimum": 0.0, "maximum": 2.0},
}


class SchemaEntry(BaseModel):
    """Everything a client can build its controls from. A pipeline whose classes are broken has `schema_error` instead."""

    model_config = ConfigDict(extra="allow")
    id: str
    name: str
    description: str
    version: str
    docs_url: str | None = None
    supported_modes: list[str] = []
    default_mode: str = "text"
    supports_prompts: bool = False
    default_temporal_interpolation_method: str = "slerp"
    default_temporal_interpolation_steps: int = 0
    default_spatial_interpolation_method: str = "linear"
    estimated_vram_gb: float | None = None
    requires_models: bool = False
    supports_lora: bool = False
    supports_vace: bool = False
    supports_cache_management: bool = False
    supports_kv_cache_bias: bool = False
    supports_quantization: bool = False
    min_dimension: int = 1
    recommended_quantization_vram_threshold: float | None = None
    modified: bool = False
    produces_video: bool = True
    produces_audio: bool = False
    usage: list[str] = []
    inputs: list[str] = []
    outputs: list[str] = []
    config_schema: dict[str, Any] = {}
    mode_defaults: dict[str, dict[str, Any]] | None = None
    plugin_name: str | None = None
    available: bool = True
    unavailable_reason: str | None = None
    schema_error: str | None = None


def entry_of(spec: Spec) -> dict[str, Any]:
    """The entry, every key present but `mode_defaults` where there is nothing to override; a stub for a broken pipeline."""
    about = {"id": spec.id, "name": spec.name, "description": spec.description, "version": spec.version}
    try:
        return about | _entry(spec)
    except Exception as error:  # noqa: BLE001 - foreign classes; reported in the entry and in the log
        log.warning("pipeline %s has no usable schema: %s", spec.id, error)
        return about | {"schema_error": f"{type(error).__name__}: {error}"[:400]}


def _entry(spec: Spec) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "docs_url": spec.docs_url,
        "supported_modes": list(spec.modes),
        "default_mode": spec.default_mode,
        "supports_prompts": spec.supports_prompts,
        "default_temporal_interpolation_method": "slerp",
        "default_temporal_interpolation_steps": 0,
        "default_spatial_interpolation_method": "linear",
        "estimated_vram_gb": spec.estimated_vram_gb,
        "requires_models": spec.requires_models,
        "supports_lora": False,
        "supports_vace": False,
        "supports_cache_management": False,
        "supports_kv_cache_bias": False,
        "supports_quantization": False,
        "min_dimension": spec.min_dimension,
        "recommended_quantization_vram_threshold": None,
        "modified": False,
        "produces_video": True,
        "produces_audio": False,
        "usage": list(spec.usage),
        "inputs": ["video"] if "video" in spec.modes else [],
        "outputs": ["video"],
        "config_schema": config_schema(spec),
        "plugin_name": spec.plugin,
        "available": spec.unavailable is None,
        "unavailable_reason": spec.unavailable,
    }
    if overrides := {mode: kept for mode, given in spec.modes.items() if (kept := _without_null(given))}:
        entry["mode_defaults"] = overrides
    return entry | {name: value for name, value in spec.traits.items() if name not in COMMON}


def config_schema(spec: Spec) -> dict[str, Any]:
    """Load options, live parameters and the effects every picture has, in one JSON schema, as clients read it."""
    options, params = spec.options.model_json_schema(), spec.params.model_json_schema()
    effects = {name: _shown(field, is_load_param=False) for name, field in EffectParams.model_json_schema()["properties"].items()}
    fixed = {name: _shown(field, is_load_param=True) for name, field in options.get("properties", {}).items()}
    live = {name: _shown(field, is_load_param=False) for name, field in params.get("properties", {}).items()}
    schema: dict[str, Any] = {
        "type": "object",
        "title": f"{''.join(part.capitalize() for part in spec.id.replace('_', '-').split('-'))}Config",
        "additionalProperties": False,
        "properties": effects | fixed | {name: _either(field, fixed.get(name)) for name, field in live.items()},
    }
    for name, field in COMMON.items():
        told = {"title": name.replace("_", " ").title()} | field | ({"default": spec.traits[name]} if name in spec.traits else {})
        schema["properties"].setdefault(name, told)
    if definitions := options.get("$defs", {}) | params.get("$defs", {}):
        schema["$defs"] = definitions
    if required := [*options.get("required", []), *params.get("required", [])]:
        schema["required"] = required
    return schema


def _shown(field: dict[str, Any], *, is_load_param: bool) -> dict[str, Any]:
    """Complete the hints of a field that has some; one without stays hidden."""
    ui = field.get("ui")
    if not isinstance(ui, dict):
        return field
    hints = {"category": "configuration", "is_load_param": is_load_param} | _without_null(ui)
    if hints.get("modulatable") and "minimum" in field and "maximum" in field:
        hints = {"modulatable_min": field["minimum"], "modulatable_max": field["maximum"]} | hints
    return field | {"ui": hints}


def _either(live: dict[str, Any], fixed: dict[str, Any] | None) -> dict[str, Any]:
    """A parameter that says it is also given at load is shown as clients know the option, marked `live`."""
    if fixed is None or not live.get("ui", {}).get("at_load"):
        return live
    return fixed | {"ui": fixed["ui"] | {"live": True}}


def _without_null(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}
