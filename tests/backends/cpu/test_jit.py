"""Loading compiled code where memory is crowded, and many times over. Each in a process of its own, whose address space it may spoil."""

import subprocess
import sys
import textwrap

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks at and shapes the address space as Linux lays it out")

#: functions of two pages of code that read a table of constants
COMMON = textwrap.dedent("""
    import ctypes
    from torchlike_asg.backends.cpu import jit

    def compiled(name):
        stores = chr(10).join(f"store volatile i32 {i}, ptr %place" for i in range(800))
        return jit.compile_object(f'''
            @table = internal constant [4 x i32] [i32 10, i32 11, i32 12, i32 13]
            define i32 @{name}(i32 %n) {{
                %place = alloca i32
                {stores}
                %i = and i32 %n, 3
                %at = getelementptr [4 x i32], ptr @table, i32 0, i32 %i
                %value = load i32, ptr %at
                ret i32 %value
            }}''')

    def answer(name, data):
        address = jit.load_objects([data], [name])[name]
        return ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int)(address)(2)
""")

#: leaves a hole of one page for the constants high up, and nothing for the code within 8 GiB of it
CROWDED = textwrap.dedent("""
    PAGE = 4096
    libc = ctypes.CDLL(None)
    libc.mmap.restype = ctypes.c_size_t
    libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
    libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]

    def reserve(size):
        return libc.mmap(None, size, 0, 0x4022, -1, 0)  # no access, private, anonymous, without memory behind it

    answer("first", compiled("first"))  # what loading needs besides
    data = compiled("second")
    high = reserve(3 * PAGE)
    low = reserve(8 << 30)
    for size in (2 * PAGE, PAGE):
        while reserve(size) > low:
            pass
    libc.munmap(high + PAGE, PAGE)
    print(answer("second", data))
""")

MANY = textwrap.dedent("""
    def mappings():
        with open("/proc/self/maps") as f:
            return len(f.readlines())

    objects = [(f"f{i}", compiled(f"f{i}")) for i in range(40)]
    answer(*objects[0])
    before = mappings()
    for name, data in objects[1:]:
        assert answer(name, data) == 12
    print(mappings() - before)
""")


def output(script):
    done = subprocess.run([sys.executable, "-c", COMMON + script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


def test_code_and_constants_lie_together_in_a_crowded_address_space():
    assert output(CROWDED) == 12


def test_loading_adds_no_mappings_to_the_process():
    """Two for each object, were constants apart from code: a process may have some ten thousands."""
    assert output(MANY) < 20
