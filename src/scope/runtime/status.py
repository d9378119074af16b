"""What has been loaded, what is being loaded, and what went wrong: the answer of `pipeline/status` (contract 2.2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from scope.contract import Change, Spec
from scope.runtime.chain import main_spec
from scope.runtime.options import StagePlan

State = Literal["not_loaded", "loading", "loaded", "error"]


@dataclass(slots=True)
class Status:
    """Changes only by the verbs below; an error stays until the next load."""

    state: State = "not_loaded"
    chain: Sequence[StagePlan] = ()
    error: str | None = None
    stage: str | None = None
    restarting: bool = False
    about: Change = field(default_factory=dict)  # what the loaded pipeline says about itself, such as a `notice`

    def begin(self, chain: Sequence[StagePlan]) -> None:
        self.state, self.chain, self.error, self.about = "loading", chain, None, {}
        self.stage, self.restarting = "Starting the worker...", False

    def restart(self) -> None:
        self.state, self.stage, self.restarting = "loading", "Restarting after a failure...", True

    def done(self, about: Change | None = None) -> None:
        self.state, self.stage, self.restarting, self.about = "loaded", None, False, about or {}

    def fail(self, text: str) -> None:
        self.state, self.error, self.stage, self.restarting = "error", text, None, False

    def refuse(self, text: str) -> None:
        """A load that could not even begin; what runs goes on running."""
        if self.state in ("not_loaded", "error"):
            self.fail(text)

    def clear(self) -> None:
        self.state, self.chain, self.error, self.stage = "not_loaded", (), None, None
        self.restarting, self.about = False, {}

    @property
    def joinable(self) -> bool:
        return self.state == "loaded" or self.restarting

    @property
    def main(self) -> Spec:
        """The pipeline the chain is about. There must be a chain."""
        return main_spec([stage.spec for stage in self.chain])

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the picture, as far as the options say."""
        sizes = [stage.options for stage in self.chain if "width" in stage.options]
        return (sizes[-1]["width"], sizes[-1]["height"]) if sizes else (512, 512)

    def as_json(self) -> dict[str, Any]:
        main = self.main if self.chain else None
        return {
            "status": self.state,
            "pipeline_id": main.id if main else None,
            "load_params": next((stage.options for stage in self.chain if stage.spec is main), None),
            "loaded_lora_adapters": None,
            "error": self.error,
            "loading_stage": self.stage,
            "produces_video": True,
            "produces_audio": False,
            "notice": None,
            "chain": [stage.as_json() for stage in self.chain],
            **self.about,
        }
