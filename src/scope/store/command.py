"""`scope models` and `scope loras`."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from scope.errors import NotFound, ScopeError
from scope.published import NEEDS, rows
from scope.settings import Settings, from_environment
from scope.store.pace import readable

if TYPE_CHECKING:  # `scope --help` shall not pay for what only these commands need
    from rich.progress import Progress

    from scope.store.downloads import Job
    from scope.store.install import Request
    from scope.store.models import Finding, Models
    from scope.store.store import Store

models = typer.Typer(help="The weights of the pipelines.", no_args_is_help=True, add_completion=False)
loras = typer.Typer(help="LoRA files.", no_args_is_help=True, add_completion=False)
LOOK_S = 0.1
Pipelines = Annotated[list[str] | None, typer.Argument(help="Pipelines; all of them when none is named.")]
OnePipeline = Annotated[str, typer.Argument(help="A pipeline, such as longlive.")]


@contextmanager
def _opened() -> Iterator[tuple[Settings, Store]]:
    """The store on this machine; failures end the command with one sentence."""
    from scope.store.store import Store

    try:
        settings = from_environment()
        store = Store.of(settings)
        try:
            yield settings, store
        finally:
            store.close()
    except ScopeError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from error


def _named(pipelines: list[str] | None) -> list[str]:
    """Raises NotFound."""
    for name in pipelines or ():
        if name not in NEEDS:
            raise NotFound(f"No weights are known for {name!r}; there are: {', '.join(NEEDS)}.")
    return pipelines or list(NEEDS)


def _bar() -> Progress:
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    return Progress(*columns, speed_estimate_period=10)


def _follow(job: Job) -> None:
    """Show a download until it ends. Raises what ended it. Ctrl-C ends it, and the next one goes on from there."""
    with _bar() as shown:
        task = shown.add_task(job.name, total=None)
        try:
            while True:
                over, found = job.over, job.progress()
                about = found.current or job.name
                shown.update(task, completed=found.bytes_done, total=found.bytes_total or None, description=about)
                if over:
                    break
                time.sleep(LOOK_S)
        except KeyboardInterrupt:
            job.cancel()
    job.future.result()


# -- scope models -----------------------------------------------------------------------------------------------------


@models.command("list")
def list_models() -> None:
    """Which pipelines have their weights here, and how large they are."""
    with _opened() as (settings, store):
        width = max(map(len, NEEDS))
        for name in NEEDS:
            here = "here" if store.models.present(name) else _absent(store.models, name)
            typer.echo(f"{name:{width}}  {readable(store.models.about_bytes(name)):>9}  {here}")
        typer.echo(f"{readable(store.downloads.free_bytes(settings.models_dir))} are free in {settings.models_dir}")


def _absent(models: Models, name: str) -> str:
    missing = [row for row in rows(name) if not row.present(models.folder)]
    return f"not here ({readable(sum(row.megabytes for row in missing) * 1_000_000)} to fetch)"


@models.command()
def download(pipelines: Annotated[list[str], typer.Argument(help="Pipelines, such as longlive.")]) -> None:
    """Fetch what is missing; goes on where an earlier one was broken off."""
    with _opened() as (_, store):
        for name in _named(pipelines):
            job = store.models.download(name)
            if job is not None:
                _follow(job)
            typer.echo(f"{name}: everything is here")


@models.command()
def verify(
    pipelines: Pipelines = None,
    repair: Annotated[bool, typer.Option(help="Remove what is damaged and fetch it again.")] = False,
) -> None:
    """Read every file and compare it with what Hugging Face says of it."""
    damaged = 0
    with _opened() as (_, store):
        chosen = _named(pipelines) if pipelines else [name for name in NEEDS if store.models.present(name)]
        for name in chosen:
            with _bar() as shown:
                task = shown.add_task(f"reading {name}", total=store.models.bytes_here(name))
                found = list(store.models.verify(name, lambda size: shown.advance(task, size)))  # noqa: B023 - called at once
            for finding in found:
                _tell(finding)
            wrong = [finding for finding in found if finding.verdict in ("damaged", "missing")]
            if repair and wrong:
                store.models.repair(wrong)
                job = store.models.download(name)
                if job is not None:
                    _follow(job)
                wrong = []
            damaged += len(wrong)
    raise typer.Exit(1 if damaged else 0)


def _tell(finding: Finding) -> None:
    typer.echo(f"{finding.verdict:8} {finding.path}" + (f" ({finding.told})" if finding.told else ""))


@models.command()
def rm(pipeline: OnePipeline) -> None:
    """Delete the weights that only this pipeline needs."""
    with _opened() as (_, store):
        freed = store.models.remove(_named([pipeline])[0])
        typer.echo(f"{readable(freed)} freed")


# -- scope loras ------------------------------------------------------------------------------------------------------


@loras.command("list")
def list_loras(sha256: Annotated[bool, typer.Option("--sha256", help="Compute and show the SHA-256 of each.")] = False) -> None:
    """Which LoRA files are here, and what each fits."""
    with _opened() as (settings, store):
        found = store.loras.list(hashed=sha256)
        for file in found:
            words = f"  words: {', '.join(file.about.trigger_words)}" if file.about.trigger_words else ""
            fits = file.about.problem or file.about.base_model
            typer.echo(f"{file.relative}  {readable(file.size_bytes)}  {fits}{words}" + (f"  {file.sha256}" if sha256 else ""))
        if not found:
            typer.echo(f"There are none in {settings.lora_dir}")


@loras.command()
def install(
    source: Annotated[str, typer.Argument(help="OWNER/REPOSITORY/FILE on Hugging Face, civitai:VERSION, or an https address.")],
    filename: Annotated[str | None, typer.Option(help="Another name for it.")] = None,
    sha256: Annotated[str | None, typer.Option(help="What its SHA-256 must be.")] = None,
) -> None:
    """Fetch a LoRA file from Hugging Face, CivitAI or any address."""
    with _opened() as (_, store):
        request = _request(store, source)
        request = replace(request, filename=filename or request.filename, sha256=sha256 or request.sha256)
        job, target = store.installer.start(request, same_will_do=True)
        if job is not None:
            _follow(job)
        file = store.installer.found(target)
        typer.echo(f"{file.path}  {file.about.problem or file.about.base_model}")


def _request(store: Store, source: str) -> Request:
    """Raises BadInput."""
    if source.startswith("civitai:"):
        return store.installer.from_civitai(None, source.removeprefix("civitai:"))
    if "://" in source:
        return store.installer.from_known_place(source, None, anywhere=True)  # the user of this machine may name any address
    owner, _, rest = source.partition("/")
    repo, _, file = rest.partition("/")
    return store.installer.from_hub(f"{owner}/{repo}", file)


@loras.command("rm")
def remove_lora(name: Annotated[str, typer.Argument(help="Its name, with its folder where several have it.")]) -> None:
    """Delete a LoRA file."""
    with _opened() as (_, store):
        typer.echo(f"{store.loras.remove(name).relative} removed")


# -- under its former name --------------------------------------------------------------------------------------------


def download_models() -> None:
    """The command `download_models [--pipeline ID]` of other versions of Scope."""

    def command(pipeline: Annotated[str | None, typer.Option("--pipeline", "-p", help="One pipeline; else all.")] = None) -> None:
        """Fetch weights."""
        download([pipeline] if pipeline else list(NEEDS))

    typer.run(command)
