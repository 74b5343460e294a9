"""Files that appear whole or not at all."""

import os
import stat
import subprocess
import sys
import time

import pytest

from torchlike_asg.serialization import atomic_write
from torchlike_asg.serialization.atomic import atomic_path

posix = pytest.mark.skipif(os.name == "nt", reason="POSIX permissions and links")


def test_content_appears_when_the_block_ends(tmp_path):
    path = tmp_path / "f"
    path.write_bytes(b"old")
    with atomic_write(path) as stream:
        stream.write(b"new")
        stream.flush()
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new" and os.listdir(tmp_path) == ["f"]


def test_an_exception_leaves_everything_as_it_was(tmp_path):
    path = tmp_path / "f"
    path.write_bytes(b"old")
    for name in ("f", "other"):
        with pytest.raises(KeyboardInterrupt), atomic_write(tmp_path / name) as stream:
            stream.write(b"half")
            raise KeyboardInterrupt
    assert path.read_bytes() == b"old" and os.listdir(tmp_path) == ["f"]


def test_a_missing_parent_directory_is_named(tmp_path):
    with pytest.raises(RuntimeError, match=r"Parent directory .*no does not exist"), atomic_write(tmp_path / "no" / "f"):
        pass


def test_long_names_and_relative_paths(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("f", "x" * 250, os.path.join(".", "g")):
        with atomic_write(name) as stream:
            stream.write(b"1")
        assert (tmp_path / name).read_bytes() == b"1"


@posix
def test_permissions_and_links_are_kept(tmp_path):
    (tmp_path / "real").write_bytes(b"old")
    os.chmod(tmp_path / "real", 0o640)
    os.symlink(tmp_path / "real", tmp_path / "link")
    with atomic_write(tmp_path / "link") as stream:
        stream.write(b"new")
    assert os.path.islink(tmp_path / "link") and (tmp_path / "real").read_bytes() == b"new"
    assert stat.S_IMODE(os.stat(tmp_path / "real").st_mode) == 0o640
    mask = os.umask(0o027)
    try:
        with atomic_write(tmp_path / "fresh"):
            pass
    finally:
        os.umask(mask)
    assert stat.S_IMODE(os.stat(tmp_path / "fresh").st_mode) == 0o640


@posix
def test_devices_are_written_to_directly():
    with atomic_write(os.devnull) as stream:
        stream.write(b"x")
    assert stat.S_ISCHR(os.stat(os.devnull).st_mode)
    with atomic_path(os.devnull) as path:
        assert path == os.devnull


WRITER = """
import itertools, sys
from torchlike_asg.serialization.atomic import atomic_write
print("ready", flush=True)
for n in itertools.count():
    with atomic_write(sys.argv[1]) as stream:
        for _ in range(50):
            stream.write(b"%08d" % n * 1000)
"""


def test_a_killed_writer_leaves_a_whole_file(tmp_path):
    path = tmp_path / "f"
    for round_ in range(6):
        process = subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE)
        assert process.stdout.readline() == b"ready\n"
        time.sleep(0.02 + 0.013 * round_)
        process.kill()
        process.wait()
        process.stdout.close()
        if path.exists():
            content = path.read_bytes()
            assert len(content) == 400_000 and content == content[:8] * 50_000
