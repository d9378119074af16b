"""The store as one value: keys, weights, LoRA files and the downloads that bring them."""

from __future__ import annotations

from dataclasses import dataclass, replace

from scope.settings import Settings
from scope.store.civitai import Civitai
from scope.store.downloads import Downloads
from scope.store.fetch import Web
from scope.store.hub import Hub
from scope.store.install import Installer
from scope.store.keys import Keys
from scope.store.loras import Loras
from scope.store.models import Models
from scope.store.safety import Rules
from scope.store.transfer import Patience


@dataclass(frozen=True)
class Store:
    keys: Keys
    downloads: Downloads
    models: Models
    loras: Loras
    installer: Installer

    @classmethod
    def of(cls, settings: Settings, patience: Patience = Patience()) -> Store:  # noqa: B008 - immutable
        """Raises BadInput for settings whose addresses cannot be read."""
        keys = Keys.of(settings)
        web = Web(Rules.trusting(settings.hub_url, settings.civitai_url, *settings.fetch_from), keys.services)
        hub, civitai = Hub(web, settings.hub_url, patience), Civitai(web, settings.civitai_url, patience)
        downloads = Downloads(web, patience)
        loras = Loras(settings.lora_dir, settings.lora_shared_dir, settings.base_dir / "lora_hashes.json")
        models = Models(settings.models_dir, hub, downloads)
        return cls(keys, downloads, models, loras, Installer(loras, hub, civitai, downloads, patience))

    def web(self, civitai_token: str | None) -> Web:
        """The web as someone with another CivitAI token sees it."""
        return replace(self.downloads.web, services=lambda: self.keys.services(civitai_token))

    def close(self) -> None:
        self.downloads.close()
