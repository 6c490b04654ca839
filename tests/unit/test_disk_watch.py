"""What the console says of a disk: once when it begins, once when it is over."""

from __future__ import annotations

from pathlib import Path

from omc_infra.services.disk_watch import DiskWatch


class Disk:
    """A disk with a clock that a test sets forward."""

    def __init__(self, free_mb: int, whole_mb: int = 100_000) -> None:
        self.free_mb, self.whole_mb, self.now_s = free_mb, whole_mb, 0.0

    def free(self, _folder: Path) -> tuple[int, int]:
        return self.free_mb * 1_000_000, self.whole_mb * 1_000_000

    def clock(self) -> float:
        return self.now_s

    def after(self, watch: DiskWatch, seconds: float = 6.0) -> list[str]:
        self.now_s += seconds
        return list(watch.watch())


def test_a_disk_that_runs_full_is_told_once_and_once_when_it_has_room_again(tmp_path: Path) -> None:
    disk = Disk(50_000)
    watch = DiskWatch(tmp_path, None, disk.free, disk.clock)

    assert disk.after(watch) == []
    disk.free_mb = 100
    assert [line.partition(":")[0] for line in disk.after(watch)] == [f"the disk of {tmp_path} is nearly full"]
    assert disk.after(watch) == []
    disk.free_mb = 9_000
    assert disk.after(watch) == [f"the disk of {tmp_path} has room again: 9.0 GB are free"]
    assert disk.after(watch) == []


def test_a_small_disk_is_full_by_its_share_and_not_by_what_a_large_one_needs(tmp_path: Path) -> None:
    disk = Disk(200, whole_mb=1_000)

    assert disk.after(DiskWatch(tmp_path, None, disk.free, disk.clock)) == []


def test_a_disk_is_looked_at_every_few_seconds_only(tmp_path: Path) -> None:
    disk = Disk(100)
    watch = DiskWatch(tmp_path, None, disk.free, disk.clock)
    disk.after(watch)
    disk.free_mb = 9_000

    assert disk.after(watch, 1.0) == []
    assert disk.after(watch, 5.0) != []


def test_what_postgresql_says_of_its_disk_is_told_once_and_when_it_has_been_quiet_for_a_minute(tmp_path: Path) -> None:
    disk, log = Disk(50_000), tmp_path / "server-1.log"
    log.write_text('2026 [1] u@d PANIC:  could not write to file "pg_wal/xlogtemp.1": No space left on device\n')  # before our time
    watch = DiskWatch(tmp_path, tmp_path, disk.free, disk.clock)
    assert disk.after(watch) == []

    complaint = '2026 [1] u@d ERROR:  could not extend file "base/1": No space left on device\n'
    for _ in range(2):
        with log.open("a") as file:
            file.write(complaint)
        said = disk.after(watch)

    assert said == []
    assert disk.after(watch, 30) == []
    assert disk.after(watch, 40) == ["PostgreSQL has written without complaint for a minute"]
    with log.open("a") as file:
        file.write(complaint)
    assert disk.after(watch) == ['PostgreSQL can\'t write: could not extend file "base/1": No space left on device']


def test_a_home_that_is_gone_is_told_and_no_reason_to_end(tmp_path: Path) -> None:
    disk = Disk(0)
    gone = DiskWatch(tmp_path / "gone", tmp_path / "gone", clock=disk.clock)

    assert disk.after(gone) == [f"the disk of {tmp_path / 'gone'} does not answer: No such file or directory"]
    assert disk.after(gone) == []
