"""Where a parameter message is checked, key by key, while its sender still listens."""

from __future__ import annotations

import reprlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from scope.contract import Change, Params, cues

Kinds = Mapping[str, type[Params]]  # node id -> what it understands
_SHORT = reprlib.Repr()  # quotes what was given; never deep, so that a nested value cannot exhaust the stack
_SHORT.maxstring = _SHORT.maxother = 60


@dataclass(slots=True)
class Checked:
    """What became of a message: per node the values it takes, the keys that were refused and why, and the unknown ones."""

    accepted: dict[str, Change] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    unknown: list[str] = field(default_factory=list)

    @property
    def keys(self) -> list[str]:
        return sorted({key for change in self.accepted.values() for key in change})

    @property
    def merged(self) -> Change:
        return {key: value for change in self.accepted.values() for key, value in change.items()}


class Door:
    """Knows every key of a chain. A key goes to every node that knows it, or to one node when it is addressed."""

    def __init__(self, kinds: Kinds) -> None:
        self._kinds = kinds
        self.nodes = frozenset(kinds)
        self.cues = frozenset().union(*(cues(kind) for kind in kinds.values())) if kinds else frozenset()

    def check(self, change: Change, node: str | None = None) -> Checked:
        """Sort the keys of `change`. Never raises: a bad value is a refusal with a sentence, and the rest goes on."""
        checked = Checked()
        kinds = self._kinds if node is None else {node: self._kinds[node]}
        for key, value in change.items():
            self._check_key(kinds, key, value, checked)
        return checked

    def _check_key(self, kinds: Kinds, key: str, value: Any, checked: Checked) -> None:
        knowing = [node for node, kind in kinds.items() if key in kind.model_fields]
        if not knowing:
            checked.unknown.append(str(key)[:80])
            return
        if _not_given(key, value):
            return
        for node in knowing:
            try:
                checked.accepted.setdefault(node, {})[key] = _clean(kinds[node], key, value)
            except ValidationError as error:
                checked.refused[key] = explain(error, key)


def _not_given(key: str, value: Any) -> bool:
    """Clients with fixed structs send empty prompts for "unset" (contract, appendix C)."""
    return key == "prompts" and value in ("", [], None)


def _clean(kind: type[Params], key: str, value: Any) -> Any:
    """The value as the field takes it, in JSON's terms; alone, so that one bad value cannot spoil its neighbours.

    Raises ValidationError.
    """
    return kind.model_validate({key: value}).model_dump(mode="json", include={key})[key]


def explain(error: ValidationError, key: str) -> str:
    """One sentence a user can act on."""
    first = error.errors(include_url=False, include_context=False)[0]
    where = ".".join(str(part) for part in first["loc"]) or key
    shown = _SHORT.repr(first["input"])
    return f"{where}: {first['msg'][0].lower()}{first['msg'][1:]} (got {shown[:80]})"
