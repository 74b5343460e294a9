"""The default number of threads."""

import os
import subprocess
import sys

import pytest

from torchlike_asg import processors


def threads(**env):
    code = "import torchlike_asg as torch; print(torch.get_num_threads())"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env={**os.environ, **env}, timeout=120)
    assert out.returncode == 0, out.stderr
    return int(out.stdout)


def test_the_environment_decides():
    assert threads(OMP_NUM_THREADS="3") == 3
    assert threads(OMP_NUM_THREADS="5,2") == 5


@pytest.mark.parametrize("text", ["", "0", "-2", "many"])
def test_nonsense_in_the_environment_is_ignored(text, monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    default = processors.default_threads()
    monkeypatch.setenv("OMP_NUM_THREADS", text)
    assert processors.default_threads() == default


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="needs affinity")
def test_affinity_decides(monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    allowed = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(allowed)})
        assert processors.default_threads() == 1
    finally:
        os.sched_setaffinity(0, allowed)


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_limits_of_control_groups_version_2(tmp_path):
    membership, mount = tmp_path / "cgroup", tmp_path / "fs"
    write(membership, "0::/outer/inner\n")
    assert processors._time_limit(membership, mount) is None
    write(mount / "outer/inner/cpu.max", "max 100000\n")
    assert processors._time_limit(membership, mount) is None
    write(mount / "outer/cpu.max", "250000 100000\n")
    assert processors._time_limit(membership, mount) == 2.5
    write(mount / "outer/inner/cpu.max", "50000 100000\n")
    assert processors._time_limit(membership, mount) == 0.5


def test_in_a_container_the_root_group_counts(tmp_path):
    membership, mount = tmp_path / "cgroup", tmp_path / "fs"
    write(membership, "0::/host/path/of/container\n")
    write(mount / "cpu.max", "150000 100000\n")
    assert processors._time_limit(membership, mount) == 1.5


def test_limits_of_control_groups_version_1(tmp_path):
    membership, mount = tmp_path / "cgroup", tmp_path / "fs"
    write(membership, "4:memory:/job\n3:cpu,cpuacct:/job\n0::/\n")
    write(mount / "cpu/job/cpu.cfs_period_us", "100000\n")
    write(mount / "cpu/job/cpu.cfs_quota_us", "-1\n")
    assert processors._time_limit(membership, mount) is None
    write(mount / "cpu/job/cpu.cfs_quota_us", "400000\n")
    assert processors._time_limit(membership, mount) == 4


def test_limits_are_rounded_up_and_never_raise_the_number(monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(processors.sys, "platform", "linux")
    monkeypatch.setattr(processors, "_cores", lambda: 4)
    for limit, threads in ((None, 4), (0.2, 1), (1.5, 2), (3.0, 3), (64.0, 4)):
        monkeypatch.setattr(processors, "_time_limit", lambda *a, limit=limit: limit)
        assert processors.default_threads() == threads
