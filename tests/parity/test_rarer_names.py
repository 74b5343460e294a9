"""Names that few scripts use: what they give, as in PyTorch; and what is left out, which says what to use instead."""

import importlib

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import torchlike_asg as ours  # noqa: E402

from .scripts import same  # noqa: E402


def x(T):
    return T.arange(6.0).view(2, 3)


def imported(T, path):
    return importlib.import_module(f"{T.__name__}.{path}")


def future(T):
    F = imported(T, "futures")
    first, second, seen = F.Future(), F.Future(), []
    both = F.collect_all([first, second])
    doubled = first.then(lambda f: f.wait() * 2)
    failed = first.then(lambda f: f.wait() / 0)
    first.add_done_callback(lambda f: f.value() / 0)  # is reported, and keeps the next one from nothing
    first.add_done_callback(lambda f: seen.append(f.value()))
    before = first.done(), both.done()
    first.set_result(21)
    second.set_result("x")
    with pytest.raises(RuntimeError, match="completed Future"):
        second.set_result("y")
    with pytest.raises((ZeroDivisionError, RuntimeError), match="division by zero"):
        failed.wait()
    return before, both.done(), doubled.wait(), seen, [f.value() for f in both.wait()], F.wait_all([first, second])


def gradients_of_convolutions(T):
    G = imported(T, "nn.grad")
    T.manual_seed(0)
    image, weight, grad = T.randn(2, 4, 7, 7), T.randn(6, 2, 3, 3), T.randn(2, 6, 4, 4)
    options = {"stride": 2, "padding": 1, "groups": 2}
    signal, kernel, back = T.randn(2, 3, 8), T.randn(4, 3, 3), T.randn(2, 4, 6)
    return [
        G.conv2d_input(image.shape, weight, grad, **options),
        G.conv2d_weight(image, weight.shape, grad, **options),
        G.conv1d_input(signal.shape, kernel, back),
        G.conv1d_weight(signal, kernel.shape, back),
    ]


def triangles(T):
    U = T.distributions.utils
    m = T.arange(9.0).view(3, 3)
    return [
        U.tril_matrix_to_vec(m),
        U.tril_matrix_to_vec(m, -1),
        U.vec_to_tril_matrix(T.arange(6.0)),
        U.vec_to_tril_matrix(T.arange(3.0), -1),
    ]


def eigenpairs(T):
    T.manual_seed(0)
    a, b = (m @ m.mT + T.eye(9) for m in (T.randn(9, 9), T.randn(9, 9)))
    found = []
    for options in ({"k": 2}, {"k": 3, "largest": False}, {"k": 2, "B": b}):
        values, vectors = T.lobpcg(a, niter=200, tol=1e-7, **options)
        residual = a @ vectors - (options.get("B", T.eye(9)) @ vectors) * values
        found += [values, residual.abs().max() < 1e-3]
    return found


def by_hand(T):
    """A region opened without `autocast`, as checkpointing code of others does it."""
    seen = []

    def look():
        product = T.ones(2, 2) @ T.ones(2, 2)
        seen.append((T.is_autocast_enabled("cpu"), str(product.dtype), str(T.get_autocast_dtype("cpu"))))

    look()
    T.set_autocast_enabled("cpu", True)
    try:
        look()
        T.set_autocast_cpu_dtype(T.float16)
        look()
        with T.autocast("cpu", enabled=False):
            look()
        seen += [T.autocast_increment_nesting(), T.autocast_decrement_nesting(), T.clear_autocast_cache()]
    finally:
        T.set_autocast_dtype("cpu", T.bfloat16)
        T.set_autocast_cpu_enabled(False)
    look()
    return seen


def selected(T):
    C = imported(T, "utils.checkpoint")
    a = x(T).requires_grad_()

    def contexts():
        return C.create_selective_checkpoint_contexts(lambda ctx, op, *args, **kwargs: C.CheckpointPolicy.PREFER_RECOMPUTE)

    with C.set_checkpoint_early_stop(False):
        C.checkpoint(lambda v: (v.sin() * v).sum(), a, use_reentrant=False, context_fn=contexts).backward()
    return a.grad, [p.name for p in C.CheckpointPolicy]


def branches(T):
    doubled = T.while_loop(lambda i, a: i < 3, lambda i, a: (i + 1, a * 2), (T.tensor(0), x(T)))
    return T.cond(x(T).sum() > 0, lambda a: a + 1, lambda a: a - 1, (x(T),)), T.cond(False, lambda a: a, lambda a: -a, (x(T),)), doubled


CALLS = {
    "histogramdd": lambda T: [
        list(h.bin_edges) + [h.hist]
        for h in (
            T.histogramdd(x(T).view(3, 2), bins=[2, 3]),
            T.histogramdd(x(T).view(3, 2), bins=2, range=[0.0, 5.0, 1.0, 6.0], weight=T.tensor([1.0, 2.0, 4.0])),
            T.histogramdd(x(T).view(3, 2), bins=[T.tensor([0.0, 3.0, 9.0]), T.tensor([0.0, 2.0, 4.0])], density=True),
        )
    ],
    "strided": lambda T: [
        T.empty_permuted((2, 3, 4), (2, 0, 1)).stride(),
        x(T).new_empty_strided((2, 3), (1, 2), dtype=T.int32).stride(),
        T.as_strided_(x(T), (2, 2), (1, 2)),
        T.resize_as_(x(T), T.zeros(3, 2)),
        T.ones(24).resize_as_(T.ones(1, 2, 3, 4).contiguous(memory_format=T.channels_last), memory_format=T.preserve_format).stride(),
        T.ones(6).resize_as_(T.ones(2, 3).t(), memory_format=T.preserve_format).stride(),
        x(T).t().dim_order(),
        T.zeros(1, 2, 3, 4).dim_order(ambiguity_check=[T.contiguous_format, T.channels_last]),
    ],
    "norms": lambda T: [
        T.nuclear_norm(x(T)),
        T.frobenius_norm(x(T), 1, True),
        T.norm_except_dim(x(T), 2, 1),
        T.norm_except_dim(x(T), 1, -1),
    ],
    "questions": lambda T: [
        [getattr(x(T), f"is_{kind}") for kind in "xpu mtia ipu maia mkldnn nested vulkan xla sparse_csr".split()],
        [x(T).name, x(T).output_nr, x(T).volatile, x(T).dense_dim(), x(T).sparse_dim(), x(T).is_distributed(), T.get_device(x(T))],
        (x(T).requires_grad_() * 2).unbind(0)[1].output_nr,
        x(T).grad_dtype == T.float32,
        T.is_anomaly_check_nan_enabled(),
    ],
    "symbolic numbers": lambda T: [
        T.sym_int(2.5),
        T.sym_float(2),
        T.sym_not(True),
        T.sym_max(1, 2.0),
        T.sym_min(1, 2.0),
        T.sym_sqrt(4),
        T.sym_sum([1, 2]),
        T.sym_ite(True, 1, 2),
    ],
    "control flow": branches,
    "unsafe_split_with_sizes": lambda T: list(T.unsafe_split_with_sizes(x(T), [1, 2], 1)),
    "functional": lambda T: [imported(T, "functional").norm(x(T)), *imported(T, "functional").meshgrid(x(T)[0], x(T)[1], indexing="ij")],
    "return types": lambda T: [
        isinstance(x(T).max(0), imported(T, "return_types").max),
        T.linalg.qr(x(T))._fields if T is ours else ("Q", "R"),
    ],
    "futures": future,
    "jit.fork": lambda T: T.jit.wait(T.jit.fork(lambda a: a + 1, x(T))),
    "cpu": lambda T: [T.cpu.is_available(), T.cpu.device_count(), T.cpu.current_device(), T.cpu.synchronize()],
    "xpu": lambda T: [T.xpu.is_available(), T.xpu.device_count(), T.xpu.is_initialized()],
    "nn.grad": gradients_of_convolutions,
    "distributions.utils": triangles,
    "CrossMapLRN2d": lambda T: [T.nn.CrossMapLRN2d(n, alpha=0.1)(T.arange(32.0).view(1, 8, 2, 2)) for n in (3, 4)],
    "causal masks": lambda T: [
        T.nn.functional.scaled_dot_product_attention(x(T)[None], T.ones(1, 4, 3), T.eye(4, 3)[None], attn_mask=mask(2, 4))
        for mask in (imported(T, "nn.attention.bias").causal_upper_left, imported(T, "nn.attention.bias").causal_lower_right)
    ],
    "collate": lambda T: imported(T, "utils.data._utils.collate").default_collate([1, 2]),
    "flat gradients": lambda T: [
        t
        for flat in [imported(T, "_utils")._flatten_dense_tensors([x(T), T.ones(2)])]
        for t in (flat, *imported(T, "_utils")._unflatten_dense_tensors(flat, [x(T), T.ones(2)]))
    ],
    "assert_allclose": lambda T: T.testing.assert_allclose(x(T), x(T) + 1e-6),
    "autocast by hand": by_hand,
    "selective checkpoints": selected,
    "convolutions' memory format": lambda T: [
        T.nn.utils.convert_conv2d_weight_memory_format(T.nn.Sequential(T.nn.Conv2d(2, 3, 2)), T.channels_last)[0].weight.stride(),
        T.nn.utils.convert_conv3d_weight_memory_format(T.nn.Conv3d(2, 3, 2), T.channels_last_3d).weight.stride(),
    ],
    "unsafe methods": lambda T: [*x(T).unsafe_chunk(2, 1), *x(T).unsafe_split(2, 1), *x(T).unsafe_split_with_sizes([1, 2], 1)],
    "types": lambda T: [isinstance(1, imported(T, "types").Number), imported(T, "types").FileLike is not None],
}


@pytest.mark.filterwarnings(
    "ignore::FutureWarning", "ignore::DeprecationWarning", "ignore:volatile was removed:UserWarning", "ignore:.*deprecated:UserWarning"
)
@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_as_in_pytorch(call):
    same(call)


@pytest.mark.parametrize("scramble", [False, True])
def test_sobol_points_are_pytorchs(scramble):
    torch.quasirandom, quasirandom = imported(torch, "quasirandom"), imported(ours, "quasirandom")
    for dimension in (1, 3, 101):
        theirs = torch.quasirandom.SobolEngine(dimension, scramble, 5)
        mine = quasirandom.SobolEngine(dimension, scramble, 5)
        assert repr(mine) == repr(theirs)
        for n in (1, 4, 7):
            assert np.array_equal(mine.draw(n), theirs.draw(n))
        assert mine.fast_forward(6).draw(2, dtype=ours.float64).tolist() == theirs.fast_forward(6).draw(2, dtype=torch.float64).tolist()
        assert np.array_equal(mine.reset().draw_base2(3), theirs.reset().draw_base2(3))
    with pytest.raises(ValueError, match="balance properties"):
        mine.draw_base2(2)
    with pytest.raises(ValueError, match="Supported range of dimensionality"):
        quasirandom.SobolEngine(0)


def test_parallel_modules_in_one_process():
    P, net = ours.nn.parallel, ours.nn.Linear(3, 2)
    parts = P.scatter({"x": x(ours), "name": "n"}, ["cpu", "cpu"])
    assert [p["x"].tolist() for p in parts] == [[[0, 1, 2]], [[3, 4, 5]]] and parts[1]["name"] == "n"
    outputs = P.parallel_apply(P.replicate(net, [0, 0]), [(p["x"],) for p in parts])
    whole = net(x(ours))
    assert ours.equal(P.gather(outputs, "cpu"), whole) and ours.equal(P.data_parallel(net, x(ours), device_ids=[]), whole)
    assert P.gather([{"loss": ours.tensor(1.0)}, {"loss": ours.tensor(2.0)}], "cpu")["loss"].tolist() == [1, 2]


def test_eigenpairs():
    same(eigenpairs, rtol=1e-3)


def test_versions_compare_as_versions():
    version = imported(ours, "torch_version").TorchVersion
    reference = torch.torch_version.TorchVersion
    for text in ("2.13.0+asg.0.1.0", "2.1.0.dev1", "1.13.1", "2.0.0rc2"):
        a, b = version(text), reference(text)
        for other in ("2.4", "2.13", "2.13.0", (1, 10), (2, 1, 0), "2.1", "1.13.1", "2", "no version"):
            assert (a < other, a <= other, a > other, a >= other) == (b < other, b <= other, b > other, b >= other), (text, other)
        assert (a == text, a == "2.1", a.split(".")[0]) == (b == text, b == "2.1", b.split(".")[0])
    assert isinstance(ours.__version__, version)


ABSENT = {
    "": "eig jagged lstsq matrix_rank mtia nested package solve symeig",
    "Tensor": "chalf eig lstsq pin_memory record_stream reinforce solve symeig to_padded_tensor to_sparse_bsc xpu",
    "utils": "bottleneck bundled_inputs throughput_benchmark",
    "xpu": "Stream",
}


@pytest.mark.parametrize("path", [f"{space}.{name}" for space, names in ABSENT.items() for name in names.split()])
def test_what_is_absent_says_what_to_use(path):
    """`hasattr` is honest, and the error is both an AttributeError and a NotImplementedError with advice."""
    space, _, name = path.partition(".")
    home = ours.ones(2, 2) if space == "Tensor" else getattr(ours, space) if space else ours
    with pytest.raises((NotImplementedError, AttributeError), match=r": \w|use ") as caught:
        found = getattr(home, name)
        found()  # a method that is there to say so
    assert isinstance(caught.value, NotImplementedError)
    assert space == "Tensor" or not hasattr(home, name)


@pytest.mark.parametrize("name", ["mark", "range", "range_push", "range_pop"])
def test_marks_for_cudas_tools_are_cudas(name):
    for T in (torch, ours):
        with pytest.raises(RuntimeError, match="NVTX functions not installed"):
            mark = getattr(imported(T, "cuda.nvtx"), name)
            with mark("step") if name == "range" else mark(*["step"] * (name != "range_pop")):
                pass
