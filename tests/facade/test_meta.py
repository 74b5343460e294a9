"""The meta device: tensors of a shape, a type and a layout, which hold nothing."""

import copy
import io
import pickle

import pytest

torch = pytest.importorskip("torch")

import torchlike_asg as ours  # noqa: E402

M = "device='meta'"


def described(x):
    """What is seen of a result without its values, the same for both packages."""
    if isinstance(x, (torch.Tensor, ours.Tensor)):
        return (tuple(x.shape), str(x.dtype), x.stride(), x.storage_offset(), str(x.device), x.is_meta, x.requires_grad, repr(x))
    if isinstance(x, (tuple, list)):
        return [described(y) for y in x]
    return str(x)


def outcome(t, code):
    space = {
        "torch": t,
        "nn": t.nn,
        "F": t.nn.functional,
        "m": lambda *s, **k: t.empty(*s, device="meta", **k),
        "copy": copy,
        "pickle": pickle,
    }
    try:
        return described(eval(code, space))
    except Exception as error:
        return type(error).__name__, str(error).split("\n")[0]


VALUES = [
    "m(()).item()",
    "m(3).item()",
    "float(m(()))",
    "int(m((), dtype=torch.int64))",
    "bool(m(()))",
    "[1, 2][m((), dtype=torch.int64)]",
    "m(3).tolist()",
    "m(3).numpy()",
    "m(3, requires_grad=True).numpy()",
    "m(3).numpy(force=True)",
    "m(3).cpu()",
    "m(3).to('cpu')",
    "torch.zeros(3).copy_(m(3))",
    "f'{m(())}'",
    "f'{m(()):.3f}'",
    "torch.allclose(m(3), m(3))",
    "m(3).data_ptr()",
    "m(3)[1:].data_ptr()",
    "m(3).untyped_storage().nbytes()",
    "m(3).get_device()",
    "m(3).type()",
    "nn.Linear(2, 2, device='meta').to('cpu')",
    "nn.Linear(2, 2, device='meta').cpu()",
    "torch.device('meta')",
    "torch.empty(2, device='meta:0').device",
    "torch.testing.assert_close(m(2), m(2))",
]
RESULTS = [
    "m(2, 3)",
    "m(2, 3, dtype=torch.int64)",
    "m(0)",
    "m(())",
    "m(2, requires_grad=True)",
    "m(2, requires_grad=True) * 2",
    "nn.Parameter(m(2, 3))",
    "m(3) + torch.ones(())",
    "m(3) + 1",
    "1 / m(3).long()",
    "m(3).copy_(torch.zeros(3))",
    "m(3).add_(1).mul_(m(3))",
    "torch.arange(10, device='meta')",
    "torch.tensor([1, 2], device='meta')",
    "torch.tensor(m(2), device='meta')",
    "torch.linspace(0, 1, 5, device='meta')",
    "torch.eye(3, 4, device='meta')",
    "torch.full((2,), 3, device='meta')",
    "torch.ones(2, 2, device='meta', requires_grad=True)",
    "torch.empty_strided((2, 3), (1, 2), device='meta')",
    "torch.zeros_like(torch.ones(3), device='meta')",
    "torch.rand(3, device='meta', generator=torch.Generator())",
    "torch.randn_like(m(2, 3).t())",
    "torch.randint(0, 5, (3,), device='meta')",
    "torch.randint_like(m(3), 5)",
    "torch.randperm(5, device='meta')",
    "torch.normal(0., 1., (3,), device='meta')",
    "torch.normal(m(3, 1), m(2))",
    "torch.bernoulli(m(3))",
    "torch.multinomial(m(3, 4), 2)",
    "torch.poisson(m(3))",
    "F.dropout(m(3))",
    "F.alpha_dropout(m(3), training=True)",
    "F.rrelu(m(3), training=True)",
    "m(3).uniform_()",
    "m(3).random_(5)",
    "m(3).bernoulli_(m(3))",
    "nn.init.kaiming_normal_(m(3, 4))",
    "nn.init.orthogonal_(m(3, 4))",
    "nn.init.trunc_normal_(m(3, 4))",
    "copy.deepcopy(m(3))",
    "pickle.loads(pickle.dumps(m(3, 2).t()))",
    "[m(3).new_zeros(2), m(3).new_tensor([1.]), m(3).new_full((2,), 1)]",
    "m(2, 3, 4).permute(2, 0, 1) + 1",
    "m(2, 3, 4).transpose(0, 2).contiguous()",
    "m(4, 4)[1:3, ::2]",
    "m(3, 4)[torch.tensor([1, 0])]",
    "m(3, 4)[m(2, dtype=torch.int64)]",
    "m(4).view(torch.int16)",
    "torch.view_as_complex(m(4, 2))",
    "torch.view_as_real(m(4, dtype=torch.complex64)) + 1",
    "torch.sort(m(3))",
    "m(3, 2).max(1)",
    "torch.topk(m(3), 2)",
    "torch.linalg.eigh(m(3, 3))",
    "torch.linalg.det(m(3, 3))",
    "torch.fft.rfft(m(8))",
    "torch.cat([m(2, 3), m(1, 3)])",
    "torch.where(m(3) > 0, m(3), 0.)",
    "torch.einsum('ij,jk->ik', m(2, 3), m(3, 4))",
    "nn.LSTM(3, 4, device='meta')(m(5, 2, 3))[0].detach()",
    "nn.TransformerEncoderLayer(4, 2, device='meta')(m(5, 2, 4))",
    "nn.BatchNorm2d(4, device='meta')(m(5, 4, 2, 2))",
    "F.conv2d(m(1, 3, 8, 8), m(4, 3, 3, 3), stride=2)",
    "F.max_pool2d(m(1, 2, 4, 4), 2, return_indices=True)",
    "F.interpolate(m(1, 2, 4, 4), scale_factor=2)",
    "F.cross_entropy(m(5, 4), m(5, dtype=torch.long))",
    "F.one_hot(m(5, dtype=torch.long), 4)",
    "F.scaled_dot_product_attention(m(1, 2, 3, 4), m(1, 2, 3, 4), m(1, 2, 3, 4), dropout_p=0.1)",
    "torch.ones(3, requires_grad=True).to('meta')",
    "torch.func.grad(lambda x: (x * x).sum())(m(3))",
    "torch.func.vmap(lambda x: (x * x).sum())(m(3, 4))",
    "torch.func.jacrev(lambda x: x * x)(m(3))",
    "m(3).resize_(5)",
    "m(3).set_(m(4))",
    "m(3).double().long().bool()",
    "list(m(2))",
    "nn.Linear(2, 2).to('meta').weight",
    "nn.Linear(2, 2, device='meta').to_empty(device='cpu').weight.device",
    "m(10**12)",
    "torch.empty(10**6, 10**6, device='meta', dtype=torch.half).t() @ m(10**6, 10**6).half()",
    "(torch.randn(10**12, device='meta') + 1).sum()",
    "[p for p in nn.Linear(10**6, 10**6, device='meta').parameters()]",
]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("code", VALUES)
def test_there_are_no_values(code):
    assert outcome(ours, code) == outcome(torch, code)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("code", RESULTS)
def test_results_have_pytorch_s_shapes_types_and_layouts(code):
    assert outcome(ours, code) == outcome(torch, code)


@pytest.mark.parametrize(
    "run",
    [
        lambda a, b: a + b,
        lambda a, b: b @ a,
        lambda a, b: ours.cat([a, b]),
        lambda a, b: ours.nn.functional.linear(b, a),
        lambda a, b: b.add_(a),
        lambda a, b: b + a.sum(),
    ],
)
def test_devices_do_not_mix(run):
    """PyTorch lets some of these pass, and gives what was in memory."""
    with pytest.raises(RuntimeError, match="same device"):
        run(ours.empty(3, 3, device="meta"), ours.ones(3, 3))


def test_no_random_number_is_drawn():
    def drawn(t, on_meta):
        t.manual_seed(3)
        if on_meta:
            t.rand(2, device="meta"), t.nn.functional.dropout(t.empty(5, device="meta")), t.nn.Linear(3, 3, device="meta")
            t.nn.init.orthogonal_(t.empty(3, 3, device="meta"))
        return t.rand(2).tolist()

    assert drawn(ours, True) == drawn(ours, False) == drawn(torch, True)


@pytest.mark.parametrize("name", ["SGD", "AdamW", "Adagrad", "RMSprop", "Adadelta", "NAdam"])
def test_optimizers_step(name):
    def trained(t):
        model = t.nn.Sequential(t.nn.Linear(3, 4), t.nn.ReLU(), t.nn.Linear(4, 2)).to("meta")
        opt = getattr(t.optim, name)(model.parameters(), lr=0.1)
        for _ in range(3):
            opt.zero_grad()
            model(t.empty(5, 3, device="meta")).square().mean().backward()
            norm = t.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            opt.step()
        states = [{k: str(v) for k, v in s.items()} for s in opt.state_dict()["state"].values()]
        return states, described(norm), [described(p) for p in model.parameters()], [described(p.grad) for p in model.parameters()]

    assert trained(ours) == trained(torch)


@pytest.mark.parametrize("name", ["eager", "fused_random"])
def test_options_of_the_computation_change_nothing(name, monkeypatch):
    monkeypatch.setattr(ours.config, name, True)
    for code in ("m(3) * m(2, 1) + 1", "F.dropout(m(3))", "torch.randn(3, device='meta')", "m(3).uniform_()"):
        assert outcome(ours, code) == outcome(torch, code)


def test_views_and_versions():
    def seen(t):
        a = t.empty(4, 4, device="meta")
        b = a[1:3]
        b.fill_(1)
        a[0], a[:, 1] = 1, t.empty(4, device="meta")
        a[t.tensor([0, 2])] = 5.0
        return a._version, b._base is a, described(a), described(b)

    assert seen(ours) == seen(torch)


def test_nothing_is_computed():
    x = ours.empty(7, 5, device="meta")
    plans = ours.asg.stats()["plans"]
    y = (x * 2).sum(0)
    ours.sync()
    assert y._n is None and ours.asg.stats()["plans"] == plans
    z = ours.ones(3) * 2
    assert (z + 1).tolist() == [3.0, 3.0, 3.0] and y.shape == (5,)  # beside what is


def test_default_devices():
    def made(t):
        with t.device("meta"):
            inside = [t.ones(2), t.nn.Linear(2, 2).weight, t.arange(3), t.tensor([1.0]), t.randn(3), t.nn.LSTM(2, 3).weight_hh_l0]
        t.set_default_device("meta")
        try:
            inside.append(t.zeros(2))
        finally:
            t.set_default_device(None)
        return described([*inside, t.zeros(2).device])

    assert made(ours) == made(torch)


def test_modules_move_to_meta_and_back():
    model = ours.nn.Sequential(ours.nn.Linear(3, 4), ours.nn.BatchNorm1d(4))
    blank = copy.deepcopy(model).to("meta")
    assert all(t.is_meta for t in blank.state_dict().values()) and not any(t.is_meta for t in model.state_dict().values())
    with pytest.warns(UserWarning, match="no-op.*assign=True"):
        blank.load_state_dict(model.state_dict())
    assert blank[0].weight.is_meta
    blank.load_state_dict(model.state_dict(), assign=True)
    x = ours.ones(2, 3)
    assert ours.equal(blank.eval()(x), model.eval()(x)) and blank[0].weight.requires_grad
    empty = copy.deepcopy(model).to("meta").to_empty(device="cpu")
    assert empty[0].weight.device.type == "cpu" and isinstance(empty[0].weight, ours.nn.Parameter)
    empty.load_state_dict(model.state_dict())
    assert ours.equal(empty.eval()(x), model.eval()(x))


def test_parameters_become_empty_when_they_are_registered(monkeypatch):
    """Accelerate's `init_empty_weights`: the class of a parameter is called with its attributes. The memory is never touched."""
    register = ours.nn.Module.register_parameter

    def empty(module, name, param):
        register(module, name, param)
        if param is not None:
            kept = module._parameters[name]
            module._parameters[name] = type(kept)(kept.to("meta"), **kept.__dict__, requires_grad=kept.requires_grad)

    monkeypatch.setattr(ours.nn.Module, "register_parameter", empty)
    plans = ours.asg.stats()["plans"]
    model = ours.nn.Sequential(ours.nn.Linear(40_000, 20_000), ours.nn.Linear(3, 2))  # 3.2 GB
    assert all(p.is_meta and p.requires_grad for p in model.parameters()) and ours.asg.stats()["plans"] == plans


def test_an_ensemble_is_called_through_one_model_without_weights():
    def predictions(t):
        t.manual_seed(0)
        models = [t.nn.Sequential(t.nn.Linear(4, 8), t.nn.ReLU(), t.nn.Linear(8, 2)) for _ in range(3)]
        params, buffers = t.func.stack_module_state(models)
        base = copy.deepcopy(models[0]).to("meta")
        x = t.linspace(-1, 1, 20).reshape(5, 4)
        out = t.func.vmap(lambda p, b, x: t.func.functional_call(base, (p, b), (x,)), in_dims=(0, 0, None))(params, buffers, x)
        return out.tolist()

    for mine, theirs in zip(predictions(ours), predictions(torch), strict=True):
        assert mine == [pytest.approx(row, rel=1e-5, abs=1e-7) for row in theirs]


def test_files():
    def written(t):
        f = io.BytesIO()
        t.save({"a": t.empty(2, 3, device="meta").t(), "p": t.nn.Parameter(t.empty(2, device="meta"))}, f)
        f.seek(0)
        return f

    for reader in (ours, torch):
        for writer in (ours, torch):
            found = reader.load(written(writer))
            assert described(found["a"]) == outcome(torch, "m(2, 3).t()")
            assert type(found["p"]) is reader.nn.Parameter and found["p"].is_meta
    f = io.BytesIO()
    x = torch.ones(4, 3)
    torch.save([x, x[1:]], f)
    f.seek(0)
    assert described(ours.load(f, map_location="meta")) == [outcome(torch, "m(4, 3)"), outcome(torch, "m(4, 3)[1:]")]
