"""Compiled code on disk: found again, shared by processes, rebuilt when damaged, bounded, optional."""

import os
import re
import subprocess
import sys
import textwrap

import pytest

import torchlike_asg as torch
from torchlike_asg import config, events
from torchlike_asg.backends.cpu import cache, jit
from torchlike_asg.backends.cpu.calls import Kernel, Source
from torchlike_asg.backends.cpu.values import Value

#: compiles the sources number 0..n-1, checks what they compute, and prints how many had to be compiled
SCRIPT = textwrap.dedent("""
    import ctypes, sys
    from torchlike_asg import events
    from torchlike_asg.backends.cpu import cache
    from torchlike_asg.backends.cpu.calls import Kernel, Source

    def source(n):
        def write(module, name):
            k = Kernel(module, name, 0)
            k.f.store(k.f.value(n, "i64"), k.args)
        return Source(("store", n), write)

    compiled = []
    events.subscribe("kernel_compiled", compiled.append)
    for group in sys.argv[1:]:
        sources = [source(int(n)) for n in group.split(",")]
        addresses = cache.compile_sources(sources)
        for s in sources:
            cell = ctypes.c_int64()
            call = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64, ctypes.c_void_p)(addresses[s.symbol])
            call(ctypes.addressof(cell), 0, 1, None)
            assert cell.value == s.key[1], (cell.value, s.key)
    print(len(compiled))
""")


def start(folder, *groups):
    env = {**os.environ, "TORCHLIKE_ASG_CACHE": str(folder)}
    return subprocess.Popen([sys.executable, "-c", SCRIPT, *groups], env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(process):
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    return int(out)


def compiled(folder, *groups):
    return finish(start(folder, *groups))


def entries(folder):
    return sorted(folder.glob("*/*.o"))


@pytest.fixture
def local(tmp_path, monkeypatch):
    """A cache of its own for this process, which has nothing in memory."""
    monkeypatch.setenv("TORCHLIKE_ASG_CACHE", str(tmp_path))
    monkeypatch.setattr(cache, "_loaded", {})
    monkeypatch.setattr(cache, "_written", 0)
    return tmp_path


def source(*key):
    return Source(("nothing", *key), lambda module, name: Kernel(module, name, 0))


def restarted(*groups):
    """How many sources are compiled for groups of numbers after this process has forgotten all it has in memory."""
    cache._loaded.clear()
    heard = []
    unsubscribe = events.subscribe("kernel_compiled", heard.append)
    for group in groups:
        cache.compile_sources([source(n) for n in group])
    unsubscribe()
    return len(heard)


def test_a_second_process_compiles_nothing(tmp_path):
    assert compiled(tmp_path, "1,2,3", "4") == 4
    assert len(entries(tmp_path)) == 2
    assert compiled(tmp_path, "1,2,3", "4") == 0
    assert compiled(tmp_path, "2,4,5") == 1


def test_other_combinations_are_found_too(local):
    restarted([1, 2, 3], [4])
    assert restarted([2, 4, 5]) == 1
    assert restarted([5], [3, 1]) == 0


def test_a_damaged_index_costs_only_the_search(local):
    restarted([1, 2], [3])
    index = entries(local)[0].parent / cache.INDEX
    lines = index.read_bytes().split(b"\n")
    index.write_bytes(lines[0][:-5] + b"\n" + b"\xff{[\n3\n" + lines[1] + b"\n" + lines[1][:4])
    assert restarted([3, 4]) == 1
    assert restarted([1], [4]) == 1
    index.unlink()
    assert restarted([1, 2], [2], [5]) == 1


def test_entries_written_meanwhile_are_found(local):
    restarted([1], [2, 3])
    folder, names = cache.entries_folder(), [*[source(n).symbol for n in (1, 2, 3)], "other"]
    assert list(cache._holders(folder, names)) == names[:3]
    cache._write(folder, ["another", "other"], b"")
    assert list(cache._holders(folder, names)) == names
    assert cache._holders(folder, ["nothing", "othe"]) == {}


def test_the_size_is_looked_at_once_a_day(local, monkeypatch):
    looks = []
    monkeypatch.setattr(cache, "shrink", looks.append)
    restarted([1], [2])
    assert looks == [local]
    os.utime(local / "checked", (1e9, 1e9))
    restarted([3], [4])
    assert looks == [local] * 2
    monkeypatch.setattr(cache, "CHECK_EVERY", 1)
    restarted([5])
    assert looks == [local] * 3


@pytest.mark.parametrize("damage", [lambda b: b[:-7], lambda b: b[:10], lambda b: b"", lambda b: b[:-9] + bytes([b[-9] ^ 1]) + b[-8:]])
def test_damaged_entries_are_rebuilt(local, damage):
    restarted([1, 2])
    (entry,) = entries(local)
    good = entry.read_bytes()
    entry.write_bytes(damage(good))
    assert restarted([1, 2]) == 2
    assert entry.read_bytes() == good
    assert restarted([1, 2]) == 0
    entry.write_bytes(damage(good))
    assert restarted([2]) == 1


def test_an_entry_under_another_name_is_not_run(local):
    restarted([1], [2])
    first, second = entries(local)
    first.write_bytes(second.read_bytes())
    assert restarted([1], [2]) == 1


def test_an_intact_entry_that_does_not_link_is_rebuilt(local):
    sources = [source(0)]
    folder = cache.entries_folder()
    cache._write(folder, [sources[0].symbol], b"not an object")
    assert restarted([0]) == 1


def test_processes_may_fill_one_cache_at_once(tmp_path):
    groups = ["1,2,3", "4,5,6", "1,4", "7"]
    running = [start(tmp_path, *groups[i:], *groups[:i]) for i in range(4)]
    assert all(finish(p) <= 7 for p in running)
    assert not list(tmp_path.glob("*/*.tmp"))
    assert compiled(tmp_path, *groups) == 0


def test_the_size_is_bounded_and_the_least_recently_used_go(local, monkeypatch):
    monkeypatch.setattr(cache, "LIMIT", 20_000)
    monkeypatch.setattr(cache, "CHECK_EVERY", 1)
    for n in range(60):
        cache.compile_sources([source(n)])
        for age, path in enumerate(sorted(entries(local), key=lambda p: p.stat().st_mtime, reverse=True)):
            os.utime(path, (1e9 - age, 1e9 - age))
    assert sum(p.stat().st_size for p in entries(local)) <= 20_000
    names = {cache._entry(cache.entries_folder(), [source(n).symbol]).name: n for n in range(60)}
    kept = sorted(names[p.name] for p in entries(local))
    assert kept == list(range(60 - len(kept), 60))
    assert len(kept) > 5


def test_leftovers_of_writers_that_died_go(local):
    cache.compile_sources([source(0)])
    old, new = (entries(local)[0].parent / name for name in ("a.1.1.tmp", "b.1.1.tmp"))
    old.write_bytes(b"")
    new.write_bytes(b"")
    os.utime(old, (1e9, 1e9))
    cache.shrink(local)
    assert not old.exists()
    assert new.exists()


@pytest.mark.parametrize("switch", ["0", "off", "OFF"])
def test_the_cache_can_be_switched_off(local, switch, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(local))
    monkeypatch.setenv("TORCHLIKE_ASG_CACHE", switch)
    assert restarted([1]) == 1
    assert restarted([1]) == 1
    assert not list(local.iterdir())


def test_the_switch_in_the_configuration_comes_first(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCHLIKE_ASG_CACHE", str(tmp_path / "variable"))
    assert cache.root_folder() == tmp_path / "variable"
    monkeypatch.setattr(config, "cache", str(tmp_path / "attribute"))
    assert cache.root_folder() == tmp_path / "attribute"
    monkeypatch.setattr(config, "cache", "off")
    assert cache.root_folder() is None


def test_a_folder_that_cannot_be_written_only_disables_it(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("")
    assert compiled(blocked / "cache", "1,2") == 2


def test_invalid_code_says_what_is_wrong_and_leaves_nothing(local):
    def write(module, name):
        Kernel(module, name, 0).f.emit("nonsense")

    with pytest.raises(RuntimeError, match="nonsense"):
        cache.compile_sources([Source(("broken",), write)])
    assert not entries(local)


def test_functions_and_tables_of_one_name_in_several_sources_stay_apart(local):
    import ctypes

    def numbered(n, plain):
        def write(module, name):
            helper = module.function("helper", [], "i64", internal=True)
            helper.ret_value(helper.load("i64", Value(helper, module.constants("table", "i64", [n]), "ptr")))
            k = Kernel(module, name, 0)
            k.f.store(k.f.call("i64", "helper"), k.args)

        return Source(("helped", n), write, plain)

    sources = [numbered(n, plain) for n, plain in ((3, False), (4, False), (5, True), (6, True))]
    addresses = cache.compile_sources(sources)
    for s in sources:
        cell = ctypes.c_int64()
        ctypes.CFUNCTYPE(None, ctypes.c_void_p)(addresses[s.symbol])(ctypes.addressof(cell))
        assert cell.value == s.key[1]


def test_loop_nests_go_through_the_few_passes_they_need(local, monkeypatch):
    found = {}
    optimised = jit._optimised
    monkeypatch.setattr(jit, "_optimised", lambda texts, names: (found.update(dict.fromkeys(texts, names)), optimised(texts, names))[1])
    x, w = torch.randn(5, 7, 3), torch.randn(3, 40)
    ((x * 0.77).exp().sum(1) @ w).cosh().numpy()
    passes = {re.search(r"@([a-z]+)_", text.split("define")[-1])[1]: names for text, names in found.items()}
    assert passes["loops"] == passes["epilogue"] == jit.PLAIN, passes
    assert passes["gemm"] == jit.PASSES, passes
