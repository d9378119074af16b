"""The command line."""

from __future__ import annotations

import json
import sys
from typing import Annotated, Any

import typer

from scope import __version__
from scope.errors import ScopeError
from scope.settings import Settings, from_environment
from scope.store import command as store

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


def _complain(error: ScopeError) -> int:
    typer.echo(str(error), err=True)
    return 1


if __name__ == "__main__":
    main()
