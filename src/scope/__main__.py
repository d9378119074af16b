"""The command line."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from itertools import chain, islice
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from scope import __version__
from scope.errors import BadInput, ScopeError
from scope.settings import Settings, from_environment
from scope.store import command as store

if TYPE_CHECKING:
    from scope.frame import Frame

cli = typer.Typer(name="scope", help="An instrument for live AI video.", add_completion=False, pretty_exceptions_enable=False)
cli.add_typer(store.models, name="models")
cli.add_typer(store.loras, name="loras")
OWN_OPTIONS = {"--version", "--help"}  # of the command itself; every other option belongs to `serve`
RELOAD_PAUSE_S = 0.5


def main(arguments: list[str] | None = None) -> None:
    given = sys.argv[1:] if arguments is None else arguments
    if not given or (given[0].startswith("-") and given[0] not in OWN_OPTIONS):
        given = ["serve", *given]
    cli(given, prog_name="scope")


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"scope {__version__}")
        raise typer.Exit


Version = Annotated[bool, typer.Option("--version", help="Print the version.", callback=_print_version, is_eager=True)]


@cli.callback()
def _top(version: Version = False) -> None:
    """An instrument for live AI video. Without a command: serve."""


@cli.command()
def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on; beyond loopback a token is asked for.")] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="Port to listen on; 0 takes a free one.")] = None,
    no_browser: Annotated[bool, typer.Option("--no-browser", "-N", help="Do not open the page.")] = False,
    in_process: Annotated[bool, typer.Option(help="Run the model in this process, for debugging.")] = False,
    allowed_host: Annotated[list[str] | None, typer.Option(help="A name this server may be called by; repeatable.")] = None,
    token: Annotated[str | None, typer.Option(help="What clients must know; better in SCOPE_TOKEN.")] = None,
    insecure: Annotated[bool, typer.Option(help="Beyond loopback without a token: anyone who can reach it owns it.")] = False,
    reload: Annotated[bool, typer.Option(help="Start again when the source changes, for development.")] = False,
    version: Version = False,
) -> None:
    """Run the server (what `scope` alone does)."""
    if reload:
        from scope.server.reload import watch

        raise typer.Exit(watch([argument for argument in sys.orig_argv if argument != "--reload"]))
    settings = _settings(
        host=host,
        port=port,
        in_process=in_process or None,
        allowed_hosts=tuple(allowed_host) if allowed_host else None,
        token=token or None,
        insecure=insecure or None,
    )
    raise typer.Exit(_serve(settings, browser=not no_browser))


def _serve(settings: Settings, *, browser: bool) -> int:
    from scope.server import launch, logs

    logs.begin(settings.logs_dir, verbose=settings.verbose, quiet=settings.quiet_loggers)
    if settings.insecure and not settings.loopback:
        typer.echo(f"Warning: anyone who can reach {settings.host} can use this server.", err=True)
    try:
        return launch.serve(settings, say=typer.echo, browser=browser)
    except ScopeError as error:
        return _complain(error)


@cli.command()
def pipelines() -> None:
    """List the pipelines, and why those that cannot run here cannot."""
    from scope import catalog

    specs = catalog.load(*_settings().plugins).specs
    width = max(map(len, specs), default=0)
    for name, spec in specs.items():
        typer.echo(f"{name:{width}}  {spec.name}" + (f" (not here: {spec.unavailable})" if spec.unavailable else ""))


@cli.command()
def run(
    out: Annotated[Path, typer.Option(help="The MP4 file to write.")],
    pipeline: Annotated[list[str], typer.Option(help="What to run; repeat it for a chain.")],
    prompt: Annotated[str | None, typer.Option(help="What to see.")] = None,
    seconds: Annotated[float | None, typer.Option(min=0.05, help="How long; without it, ten or the whole input.")] = None,
    source: Annotated[Path | None, typer.Option("--input", help="A video to follow.")] = None,
    load: Annotated[list[str] | None, typer.Option(help="NAME=VALUE, as in load_params; repeatable.")] = None,
    live: Annotated[list[str] | None, typer.Option("--set", help="NAME=VALUE of a live parameter; repeatable.")] = None,
) -> None:
    """Make a video file, without a server."""
    from scope import offline

    try:
        wishes = named_values(live) | ({"prompts": prompt} if prompt is not None else {})
        player = offline.load(*pipeline, progress=lambda text: typer.echo(text, err=True), **named_values(load))
        if player.notice:
            typer.echo(player.notice, err=True)
        frames = player.play(None if source is None else offline.read(source), **wishes)
        _record(frames, out, seconds or (10.0 if source is None else None))
    except ScopeError as error:
        raise typer.Exit(_complain(error)) from error


def named_values(given: list[str] | None) -> dict[str, Any]:
    """NAME=VALUE as JSON where it is JSON, else as text. Raises BadInput."""
    found: dict[str, Any] = {}
    for text in given or ():
        name, equals, value = text.partition("=")
        if not equals:
            raise BadInput(f"{text!r} is not NAME=VALUE")
        try:
            found[name] = json.loads(value)
        except ValueError:
            found[name] = value
    return found


def _record(frames: Iterator[Frame], out: Path, seconds: float | None) -> None:
    """Write the file under a bar that says how fast it goes."""
    from scope import offline

    begun_s = monotonic()
    head = list(islice(frames, 8))
    rate = float(offline.rate_of(head))
    total = None if seconds is None else max(1, round(seconds * rate))
    made = islice(chain(head, frames), total)
    bar: Any = typer.progressbar(made, total, out.name, item_show_func=lambda _: f"{_speed(bar.pos, begun_s)} fps")
    with bar:
        count = offline.write(out, bar, rate)
    typer.echo(f"{out}: {count} frames at {rate:.3g} a second, made at {_speed(count, begun_s)} fps")


def _speed(count: int, begun_s: float) -> str:
    return f"{count / max(1e-6, monotonic() - begun_s):.1f}"


@cli.command()
def bench(
    pipeline: Annotated[str, typer.Option(help="What to measure.")] = "longlive",
    weights: Annotated[str, typer.Option(help="auto, official, preview or random.")] = "random",
    size: Annotated[str, typer.Option(help="Of random networks: small, or full as published.")] = "small",
    width: Annotated[int | None, typer.Option(min=16, help="Of the picture; left out: the pipeline's own.")] = None,
    height: Annotated[int | None, typer.Option(min=16)] = None,
    mode: Annotated[Literal["text", "video"] | None, typer.Option(help="With a camera, or without.")] = None,
    steps: Annotated[str | None, typer.Option(help="Timesteps of the denoising, such as 1000,750,500,250.")] = None,
    vae: Annotated[str | None, typer.Option(help="wan, lightvae, tae or lighttae.")] = None,
    quantization: Annotated[str | None, typer.Option(help="fp8_e4m3fn or int8.")] = None,
    load: Annotated[list[str] | None, typer.Option(help="NAME=VALUE, as in load_params; repeatable.")] = None,
    seconds: Annotated[float, typer.Option(min=0.0, help="Length of each measurement.")] = 10.0,
    as_json: Annotated[Path | None, typer.Option("--json", help="Also write everything there.")] = None,
) -> None:
    """Measure a pipeline on this machine, from a prompt or a camera to encoded pictures."""
    begun_s = monotonic()
    from scope.bench.measure import Wish, measure
    from scope.bench.table import table, write

    wanted = {"weights": weights, "random_size": size, "width": width, "height": height, "vae_type": vae}
    values = {} if steps is None else {"denoising_step_list": steps.split(",")}
    try:
        load_params = wanted | {"quantization": quantization} | named_values(load)
        wish = Wish(pipeline, load_params, values, mode, seconds)
        report = measure(wish, begun_s, lambda text: typer.echo(text, err=True))
    except (ScopeError, TimeoutError) as error:
        raise typer.Exit(_complain(error)) from error
    typer.echo(table(report))
    if as_json is not None:
        write(report, as_json)


@cli.command()
def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="The port to check.")] = None,
) -> None:
    """Say what this machine can do, and what to do about what is missing."""
    from dataclasses import asdict

    from scope.server import doctor as examination

    found = examination.examine(_settings(port=port))
    typer.echo(json.dumps([asdict(check) for check in found], indent=2) if as_json else examination.table(found))
    raise typer.Exit(1 if any(check.state == "bad" for check in found) else 0)


def _settings(**flags: Any) -> Settings:
    try:
        return from_environment(**flags)
    except ScopeError as error:
        raise typer.Exit(_complain(error)) from error


def _complain(error: Exception) -> int:
    typer.echo(str(error), err=True)
    return 1


if __name__ == "__main__":
    main()
