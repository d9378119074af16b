"""`pytest tests/golden --golden DIR`: run every recorded case under DIR, and print how near we came.

A test takes `case: Case` and says which cases it is about by the beginning of their names:

    @pytest.mark.golden("06_vae_stream", "06_lightvae_stream")
    def test_streaming(case: Case) -> None:
        case.close(decode(case.tensors["stream.dec0.in"]), "stream.dec0.out", atol=2e-5)

It then runs once per such case found (none found: skipped). `Case` is in `tests/golden/case.py`.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.golden.case import Case, Ledger, find_cases

HERE = Path(__file__).resolve()
USUAL = (HERE.parents[2].parent / "shared" / "golden", Path("/work/shared/golden"))
LEDGER = pytest.StashKey[Ledger]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--golden", metavar="DIR", default=None, help="folder of recorded cases (default: ../shared/golden)")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "golden(*prefixes): once per recorded case whose name begins with one of these")
    config.stash[LEDGER] = Ledger()


def golden_root(config: pytest.Config) -> Path:
    """The folder given by --golden, else the first usual place that exists."""
    given: str | None = config.getoption("--golden", default=None)
    places = [Path(given)] if given else list(USUAL)
    root = next((p for p in places if p.is_dir()), None)
    if root is None and given:
        raise pytest.UsageError(f"--golden {given}: no such folder")
    return root or places[0]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    marker = metafunc.definition.get_closest_marker("golden")
    if marker is None:
        return
    root = golden_root(metafunc.config)
    without: str | None = marker.kwargs.get("without")
    found = [p for p in find_cases(root) if p.stem.startswith(marker.args) and not (without and without in p.stem)]
    labels = [str(p.relative_to(root).with_suffix("")) for p in found]
    metafunc.parametrize("case", list(zip(found, labels, strict=True)), ids=labels, indirect=True)


@pytest.fixture
def case(request: pytest.FixtureRequest) -> Case:
    path, label = request.param
    return Case(path, label, request.config.stash[LEDGER])


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    rows = config.stash[LEDGER].rows
    if not rows:
        return
    terminalreporter.section("golden cases")
    width = max(len(label) for label in rows)
    terminalreporter.line(f"{'case':{width}}  compared  worst diff  allowed")
    for row in sorted(rows.values(), key=lambda r: r.case):
        allowed = f"{row.atol:g}" + (f" + {row.rtol:g}|x|" if row.rtol else "") if row.atol or row.rtol else "equal"
        line = f"{row.case:{width}}  {row.compared:8d}  {row.worst:10.2e}  {allowed}"
        terminalreporter.line(line if row.passed else line + "  FAILED", red=not row.passed)
