"""Names that PyTorch keeps for itself and that code written after its own imports all the same: what they give, as in PyTorch."""

import importlib
import io
import pickle

import pytest

torch = pytest.importorskip("torch")

import torchlike_asg as ours  # noqa: E402

from ..parity.scripts import same  # noqa: E402


def there(T, path):
    return importlib.import_module(f"{T.__name__}.{path}")


def x(T):
    return T.arange(6.0).view(2, 3)


def projections(T):
    F = T.nn.functional
    T.manual_seed(0)
    q, w, b = T.randn(4, 2, 3), T.randn(9, 3), T.randn(9)
    weights, biases = w.chunk(3), b.chunk(3)
    return [
        *F._in_projection_packed(q, q, q, w, b),
        *F._in_projection_packed(q, q + 1, q - 1, w),
        *F._in_projection(q, q + 1, q - 1, *weights, *biases),
        F._canonical_mask(T.tensor([True, False]), "m", None, "", T.float32),
        F._canonical_mask(None, "m", None, "", T.float32),
        F._none_or_dtype(None) is None,
        str(F._none_or_dtype(q)),
        F._pair(3),
        F._get_softmax_dim("softmax", 3, 3),
    ]


def dispatched(T):
    V = there(T, "overrides")
    seen = []

    class Base:
        def __init__(self, answer):
            self.answer = answer

        def __torch_function__(self, func, types, args=(), kwargs=None):
            seen.append((type(self).__name__, [t.__name__ for t in types]))
            return self.answer

    class Derived(Base):
        pass

    @V.wrap_torch_function(lambda a, b=None: (a, b))
    def own(a, b=None):
        return "itself"

    found = [own(1, 2), own(Base("base")), own(Base("base"), Derived("derived")), own(Base("first"), Derived(NotImplemented))]
    with pytest.raises(TypeError, match="no implementation found for"):
        own(Base(NotImplemented))
    return found, seen, V.has_torch_function_unary(x(T)), V.has_torch_function_variadic(1, Base(2))


def reductions(T):
    R = there(T, "nn._reduction")
    found = [R.get_enum(name) for name in ("none", "mean", "sum")]
    found += [R.legacy_get_string(a, r, emit_warning=False) for a in (None, True, False) for r in (None, True, False)]
    with pytest.raises(ValueError, match="is not a valid value for reduction"):
        R.get_enum("total")
    return found


def transferred(T):
    P = T.nn.utils.parametrize

    class Double(T.nn.Module):
        def forward(self, v):
            return 2 * v

        def right_inverse(self, v):
            return v / 2

    T.manual_seed(0)
    first, second = T.nn.Linear(2, 3), T.nn.Linear(2, 3)
    P.register_parametrization(first, "weight", Double())
    P.transfer_parametrizations_and_params(first, second)
    shared = second.parametrizations.weight.original is first.parametrizations.weight.original
    return [shared, second.weight, first.weight, P.type_before_parametrizations(second).__name__, sorted(second.state_dict())]


def swapped(T):
    net = T.nn.Linear(3, 2)
    weight, other = net.weight, T.nn.Parameter(T.ones(4, 3), requires_grad=False)
    weight.grad, weight.name_of_mine = T.full((2, 3), 5.0), "kept"
    T.utils.swap_tensors(weight, other)
    found = [
        net.weight is weight,
        net.weight,
        weight.requires_grad,
        weight.grad,
        other.grad,
        other.name_of_mine,
        hasattr(weight, "name_of_mine"),
    ]
    out = net.weight.sum() * 2 + (other * 0).sum()
    out.backward()
    a, b = T.arange(3.0), T.nn.Parameter(T.zeros(2))
    T.utils.swap_tensors(a, b)
    a.data.add_(1)
    return [found, other.grad, type(a).__name__, type(b).__name__, a, b, b.is_leaf, (a * 3).sum()]


def normal_matrices(T):
    D = there(T, "distributions.multivariate_normal")
    L = there(T, "distributions.lowrank_multivariate_normal")
    T.manual_seed(0)
    a = T.randn(2, 3, 3)
    precision = a @ a.mT + T.eye(3)
    tril, w, d = T.linalg.cholesky(precision), T.randn(3, 2), T.rand(3) + 0.5
    thin = L._batch_capacitance_tril(w, d)
    return [
        D._precision_to_scale_tril(precision),
        D._batch_mv(precision, T.ones(2, 3)),
        D._batch_mahalanobis(tril, T.ones(2, 3)),
        thin,
        L._batch_lowrank_logdet(w, d, thin),
        L._batch_lowrank_mahalanobis(w, d, T.ones(3), thin),
        there(T, "distributions.transforms")._clipped_sigmoid(T.tensor([-200.0, 0.0, 200.0])),
        there(T, "distributions.utils").euler_constant,
    ]


def checkpoints(T):
    C = there(T, "utils.checkpoint")
    devices, states = C.get_device_states(x(T))
    C.set_device_states(devices, states)
    (kept, text) = C.detach_variable((x(T).requires_grad_() * 2, "text"))
    with pytest.raises(RuntimeError):
        C.detach_variable([x(T)])
    with pytest.warns(UserWarning, match="Gradients will be None"):
        C.check_backward_validity((x(T),))
    return devices, states, kept.requires_grad, kept.is_leaf, text, C.DefaultDeviceType.get_device_type() in ("cpu", "cuda")


def lists_of_tensors(T):
    U = there(T, "_utils")
    parts = [T.zeros(n, dtype=d) for n, d in ((3, T.float32), (2, T.int64), (4, T.float32), (1, T.float32))]
    try:
        raise KeyError("lost")
    except KeyError:
        wrapper = U.ExceptionWrapper(where="in a worker")
    with pytest.raises(KeyError, match="Caught KeyError in a worker"):
        pickle.loads(pickle.dumps(wrapper)).reraise()
    with pytest.raises(ValueError, match="non cpu device"):
        U._get_device_index("cpu")
    with pytest.raises(RuntimeError, match="corresponding module"):
        U._get_device_module("telepathy")

    class Holder:
        answer = U.classproperty(lambda cls: cls.__name__)

    return [
        [[len(t) for t in part] for part in U._take_tensors(parts, 28)],
        U._get_device_index("cpu", allow_cpu=True),
        U._get_device_index("cuda:3"),
        U._get_device_index(2),
        U._import_dotted_name("os.path.join").__name__,
        Holder.answer,
        U.is_compiling(),
    ]


def weakly(T):
    W = there(T, "utils.weak")
    a, b = x(T), x(T)
    table = W.WeakTensorKeyDictionary({a: 1})
    table[b] = 2
    found = [len(table), table[a], table[b], a in table, x(T) in table, sorted(table.values())]
    kept = W.TensorWeakRef(a)
    del table[b]
    found += [len(table), kept() is a, list(table) == [] or next(iter(table)) is a]
    del a
    return [*found, kept() is None, len(table)]


def lists_by_kind(T):
    G = there(T, "utils._foreach_utils")
    many = [[T.ones(2), T.ones(3, dtype=T.float64), T.zeros(4)], [T.zeros(2), T.zeros(3), T.ones(4)]]
    found = G._group_tensors_by_device_and_dtype(many, with_indices=True)
    return sorted([str(d), [[t.numel() for t in part] for part in lists], places] for (_, d), (lists, places) in found.items())


def whole_lists(T):
    a, b = [T.arange(3.0), T.ones(2, 2)], [T.ones(3), T.full((2, 2), 4.0)]
    found = [T._foreach_add(a, 2), T._foreach_add(a, b, alpha=3), T._foreach_mul(a, [2.0, 5.0]), T._foreach_sqrt(b), T._foreach_norm(b)]
    found += [T._foreach_addcdiv(a, a, b, value=0.5), T._foreach_addcmul(a, a, b, 2.0), T._foreach_pow(2.0, a), T._foreach_maximum(a, b)]
    found += [T._foreach_norm(b, ord=1)]
    T._foreach_maximum_(a, b)
    T._foreach_minimum_(a, [T.full((3,), 1.5), T.full((2, 2), 9.0)])
    nothing = [T._foreach_mul_(a, 0.5), T._foreach_lerp_(a, b, 0.25), T._foreach_addcdiv_(a, b, b, [1.0, 2.0]), T._foreach_zero_(b)]
    return found, [n is None for n in nothing], a, b, hasattr(T, "_foreach_no_function")


def whole_lists_and_numbers(T):
    a, b = [T.tensor([1.0, -2.0]), T.tensor([3.0, 0.5])], [T.tensor([0.5, 0.25]), T.tensor([4.0, 0.125])]
    found = [
        T._foreach_maximum(a, 0.75),
        T._foreach_minimum(a, [0.75, 2.0]),
        T._foreach_maximum(a, T.tensor(1.0)),
        T._foreach_minimum(a, b),
    ]
    found += [T._foreach_powsum(a, 2), T._foreach_powsum(a, 3.0)]
    numbers = T.tensor([0.5, 2.0])  # one for each item, not for each element
    found += [T._foreach_addcmul(a, b, b, numbers), T._foreach_addcdiv(a, b, b, numbers)]
    T._foreach_addcmul_(b, a, a, numbers)
    T._foreach_maximum_(a, -1)
    T._foreach_minimum_(a, [2, 0.75])
    return found, a, b


class Step:
    def __init__(self, T):
        class Own(T.optim.Optimizer):
            def __init__(self, params):
                super().__init__(params, {"lr": 0.5, "differentiable": False})

            @there(T, "optim.optimizer")._use_grad_for_differentiable
            def step(self, closure=None):
                for p in self.param_groups[0]["params"]:
                    p.add_(p.grad, alpha=-there(T, "optim.optimizer")._get_value(self.param_groups[0]["lr"]))
                return T.is_grad_enabled()

        p = T.nn.Parameter(T.ones(2))
        (p * p).sum().backward()
        self.found = [Own([p]).step(), p]


def layers(T):
    M = there(T, "nn.modules.module")
    U = there(T, "nn.modules.utils")
    B = there(T, "nn.modules.transformer")
    return [
        M._addindent("a\nb\nc", 2),
        U._list_with_default([None, 4], [1, 5, 6]),
        len(B._get_clones(T.nn.Linear(2, 2), 3)),
        B._get_activation_fn("gelu")(x(T)),
        B._generate_square_subsequent_mask(3),
        there(T, "nn.modules.rnn").apply_permutation(x(T)[None], T.tensor([1, 0])),
        there(T, "nn.modules.activation").MultiheadAttention is T.nn.MultiheadAttention,
        T.nn.init._no_grad_fill_(T.zeros(2), 3.0),
        T.nn.utils.clip_grad._get_total_norm([x(T)]),
    ]


def files(T):
    S = there(T, "serialization")
    plain, zipped = io.BytesIO(b"no zip file"), io.BytesIO()
    T.save({"a": 1}, zipped)
    zipped.seek(0)
    return [S.DEFAULT_PROTOCOL, S._is_zipfile(plain), S._is_zipfile(zipped), zipped.tell(), S.get_default_load_endianness() is None]


def batches(T):
    D = there(T, "utils.data.dataloader")
    fetcher = there(T, "utils.data._utils.fetch")._MapDatasetFetcher([1, 2, 3], True, sum, False)
    kinds = D._DatasetKind
    return [
        fetcher.fetch([0, 2]),
        kinds.create_fetcher(kinds.Map, [4, 5], True, list, False).fetch([1]),
        there(T, "utils.data._utils").MP_STATUS_CHECK_INTERVAL,
        there(T, "utils.data._utils.worker").get_worker_info() is None,
    ]


CASES = {
    "attention": projections,
    "torch functions": dispatched,
    "reductions": reductions,
    "parametrisations": transferred,
    "swapped tensors": swapped,
    "normal matrices": normal_matrices,
    "checkpoints": checkpoints,
    "lists of tensors": lists_of_tensors,
    "weak keys": weakly,
    "optimizers": lambda T: Step(T).found,
    "layers": layers,
    "lists by device and type": lists_by_kind,
    "whole lists": whole_lists,
    "whole lists and numbers": whole_lists_and_numbers,
    "files": files,
    "loaders": batches,
}


@pytest.mark.filterwarnings(
    "ignore:Implicit dimension choice:UserWarning",
    "ignore:Defining your `__torch_function__:DeprecationWarning",
    "ignore:`torch._utils.is_compiling` is deprecated:UserWarning",
    "ignore:`apply_permutation` is deprecated:FutureWarning",
)
@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_as_in_pytorch(case):
    same(case)


def test_warnings_and_classes_of_scripting_are_named():
    import warnings

    jit = ours.jit
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=jit.TracerWarning)
    assert jit.script_method(len) is len and not isinstance(ours.nn.Linear(1, 1), jit.RecursiveScriptModule)
    assert jit.Attribute(3, int).value == 3
    with pytest.raises(NotImplementedError, match="recorded as they are"):
        jit.CompilationUnit("def f(x): return x")


def test_data_pipes_are_datasets():
    from torchlike_asg.utils.data import DataLoader, IterDataPipe, functional_datapipe

    @functional_datapipe("counted")
    class Counted(IterDataPipe):
        def __iter__(self):
            return iter(range(5))

    assert [b.tolist() for b in DataLoader(Counted(), batch_size=2)] == [[0, 1], [2, 3], [4]]


def test_script_modules_are_modules():
    class Scaled(ours.jit.ScriptModule):
        def __init__(self):
            super().__init__()
            self.scale = ours.nn.Parameter(ours.full((2,), 3.0))

        @ours.jit.script_method
        def forward(self, x):
            return x * self.scale

    module = Scaled()
    assert module(ours.ones(2)).tolist() == [3.0, 3.0] and list(module.state_dict()) == ["scale"] and isinstance(module, ours.nn.Module)
