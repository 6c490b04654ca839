"""What a soak makes of its samples: shares of CPU, memory before and after, how late a source was; and its page."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil
import pytest

from omc_agents.benches.observation import Observed, longest_wait_s, warm_samples
from omc_agents.benches.samples import Sample, Use, cpu_shares
from omc_agents.benches.soak import figures_of
from omc_agents.benches.soak_page import write_page

T0 = datetime(2026, 11, 26, tzinfo=UTC)


@pytest.fixture
def observed() -> Observed:
    """Return ten minutes in which one core of those there are was busy a tenth of the time, and memory grew by 1 MB a minute."""
    samples = [Sample(60.0 * n, 6.0 * n, 12.0 * n, {"daemon": Use(1, 100.0 + n, 5)}, 4) for n in range(11)]
    return Observed(T0, T0 + timedelta(minutes=10), samples, late={"a_source": 3.0}, runs={"SUCCESS": 9, "FAILURE": 1})


def test_the_share_of_cpu_is_of_all_cores(observed: Observed) -> None:
    cores = psutil.cpu_count() or 1

    assert cpu_shares(observed.samples, of_machine=False) == pytest.approx([10.0 / cores] * 10)
    assert cpu_shares(observed.samples, of_machine=True) == pytest.approx([20.0 / cores] * 10)


def test_the_first_quarter_is_warming_up(observed: Observed) -> None:
    assert [sample.at_s for sample in warm_samples(observed.samples)] == [60.0 * n for n in range(3, 11)]


def test_a_source_is_as_late_as_its_longest_wait_also_at_the_end(observed: Observed) -> None:
    before, within = T0 - timedelta(minutes=1), [T0 + timedelta(minutes=2), T0 + timedelta(minutes=4)]

    assert longest_wait_s([before, *within], observed) == 6 * 60
    assert longest_wait_s([], observed) == 10 * 60
    assert longest_wait_s([before, *within, T0 + timedelta(minutes=9)], observed) == 5 * 60


def test_figures_stand_beside_their_limits(observed: Observed) -> None:
    figures = {figure.what: figure for figure in figures_of(observed)}

    assert figures["memory of daemon, at the end"].value > figures["memory of daemon, at the end"].baseline_value
    assert (figures["late a_source, longest"].value, figures["late a_source, longest"].baseline_value) == (3.0, 2.0)
    assert (figures["runs"].value, figures["runs failed"].value) == (10, 1)


def test_the_page_is_one_file_that_asks_for_no_other(observed: Observed, tmp_path: Path) -> None:
    page = write_page(tmp_path / "bench" / "soak.html", observed, list(figures_of(observed))).read_text()

    assert page.count("<svg") >= 5
    assert "profile sandbox" in page
    assert "http://" not in page.replace("http://www.w3.org/2000/svg", "")
