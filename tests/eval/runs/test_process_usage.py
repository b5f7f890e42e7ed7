"""CPU time and memory of processes."""

import os
from pathlib import Path

import pytest

from asr.errors import CallerError
from eval.runs.process_usage import own_cpu_s, peak_memory_bytes, process_cpu_s, worker_pids


def test_a_process_is_read_from_the_kernels_table(tmp_path: Path) -> None:
    """proc_pid_stat(5): utime is field 14 and stime field 15; the name may hold spaces and brackets."""
    (tmp_path / "7").mkdir()
    before = " ".join(str(n) for n in range(4, 14))
    (tmp_path / "7" / "stat").write_text(f"7 (a (strange) name) S {before} 300 200 0 0")
    (tmp_path / "7" / "status").write_text("Name:\tx\nVmHWM:\t    2048 kB\n")
    assert process_cpu_s(7, tmp_path) == 500 / os.sysconf("SC_CLK_TCK")
    assert peak_memory_bytes(7, tmp_path) == 2048 * 1024


def test_a_process_has_the_time_of_its_children_too(tmp_path: Path) -> None:
    """Fields 14 to 17, those of children that have gone too; a stranger's (parent 1) are not counted."""
    for pid, parent in ((7, 1), (8, 7), (9, 8), (10, 1)):
        (tmp_path / str(pid)).mkdir()
        between = " ".join(str(n) for n in range(5, 14))
        (tmp_path / str(pid) / "stat").write_text(f"{pid} (a b) S {parent} {between} 100 10 1 2 0")
        (tmp_path / str(pid) / "status").write_text("VmHWM: 1 kB\n")
    assert process_cpu_s(7, tmp_path) == 3 * 113 / os.sysconf("SC_CLK_TCK")
    assert peak_memory_bytes(7, tmp_path) == 3 * 1024


def test_workers_are_found_by_their_name_wherever_they_were_forked(tmp_path: Path) -> None:
    """Not the template that forked them, nor one that was stopped or is dead, nor another server's."""
    rows = [(7, 1, "S", "asr"), (8, 7, "S", "asr-template"), (9, 8, "R", "asr-worker"), (10, 8, "T", "asr-worker")]
    rows += [(11, 8, "Z", "asr-worker"), (12, 7, "S", "asr-worker"), (13, 1, "S", "asr-worker")]
    for pid, parent, state, name in rows:
        (tmp_path / str(pid)).mkdir()
        (tmp_path / str(pid) / "stat").write_text(f"{pid} ({name}) {state} {parent} " + "0 " * 20)
        (tmp_path / str(pid) / "comm").write_text(f"{name}\n")
    assert sorted(worker_pids(7, tmp_path)) == [9, 12]


def test_a_process_that_is_not_there_is_said_so(tmp_path: Path) -> None:
    """Not a zero."""
    with pytest.raises(CallerError, match="no process 7"):
        process_cpu_s(7, tmp_path)
    assert peak_memory_bytes(7, tmp_path) is None


def test_work_costs_own_time() -> None:
    """The clock moves with work."""
    before = own_cpu_s()
    sum(range(200_000))
    assert own_cpu_s() > before
