"""Idioms of eager scripts that recording must not break, claim by claim: code that reads, writes and branches in mid-step.

The claims are those of the survey of public scripts (what 53 repositories use), with values written out, so that the table is checked
without PyTorch as well.
"""

import copy
import io
import pickle

import numpy as np
import pytest

import torchlike_asg as torch
from torchlike_asg import nn, optim

from .probes import NO, YES, Raises, settled, weight_of


# ---------------------------------------------------------------- part 3: eager idioms
def leaf(*values):
    return torch.tensor(values or (1.0, 2.0), requires_grad=True)


def item_each_step():
    """One cached program with the loss as an output: from the third step on nothing is recorded, planned or computed twice."""
    from torchlike_asg.asg.node import COUNTS

    model, x, seen = nn.Linear(3, 1), torch.ones(4, 3), []
    opt = optim.SGD(model.parameters(), lr=0.1)
    for _ in range(6):
        before = dict(COUNTS)
        loss = model(x).pow(2).mean()
        opt.zero_grad()
        loss.backward()
        opt.step()
        loss.item()
        seen.append(tuple(COUNTS[k] - before[k] for k in ("nodes", "plans", "flushes")))
    return seen[-2:]


def ragged(batches=7):
    """A ragged last batch is a second program, and is not planned anew in each epoch."""
    from torchlike_asg.asg.node import COUNTS

    model = nn.Linear(2, 1)
    opt = optim.SGD(model.parameters(), lr=0.1)
    for _ in range(6):
        before = COUNTS["plans"], COUNTS["nodes"]
        for batch in torch.utils.data.DataLoader(torch.ones(batches, 2), batch_size=3):
            opt.zero_grad()
            model(batch).sum().backward()
            opt.step()
        after_ = COUNTS["plans"], COUNTS["nodes"]
    return after_[0] - before[0], after_[1] - before[1]


def until_small():
    w, n = torch.tensor([4.0], requires_grad=True), 0
    while True:
        loss = (w * w).sum()
        loss.backward()
        with torch.no_grad():
            w -= 0.25 * w.grad
        w.grad.zero_()
        n += 1
        if loss.item() < 1e-3:
            return n


def older_weights():
    """A node that is not computed yet does not see a later update of what it was recorded on."""
    w = leaf(1.0, 2.0)
    opt = optim.SGD([w], lr=1.0)
    painted = w * 3
    (w * 1).sum().backward()
    opt.step()
    return painted.tolist(), w.tolist()


def two_optimizers():
    g, d = nn.Linear(1, 1, bias=False), nn.Linear(1, 1, bias=False)
    with torch.no_grad():
        weight_of(g).fill_(2.0)
        weight_of(d).fill_(3.0)
    og, od = optim.SGD(g.parameters(), lr=0.1), optim.SGD(d.parameters(), lr=0.1)
    fake = g(torch.ones(1, 1))
    og.zero_grad()
    (-d(fake)).sum().backward(retain_graph=True)
    og.step()
    od.zero_grad()
    d(fake.detach()).sum().backward()
    od.step()
    return round(weight_of(g).item(), 4), round(weight_of(d).item(), 4)


def differentiable_assignment():
    w, out = leaf(1.0, 2.0), torch.zeros(3, 2)
    for i in range(3):
        out[i] = w * (i + 1)
    out.sum().backward()
    return w.grad.tolist(), out.requires_grad


def masked_assignment():
    logits = torch.tensor([[1.0, 5.0, 3.0]])
    v, _ = torch.topk(logits, 2)
    logits[logits < v[:, [-1]]] = -float("Inf")
    return logits.tolist()


def through_views():
    x = torch.zeros(2, 3)
    y = x.view(6)
    x[0].fill_(1)
    y[4] += 5
    x.t()[2] = 7
    return x.tolist(), y.tolist()


def accumulated_rows():
    dC, ix = torch.zeros(3, 2), [[0, 1], [1, 2]]
    for k in range(2):
        for j in range(2):
            dC[ix[k][j]] += torch.ones(2)
    return dC.tolist()


def data_write():
    p = leaf(1.0, 2.0)
    y = p * p
    before = p._version
    p.data.mul_(10)
    p.data[0] = 7.0
    y.sum().backward()
    return p.tolist(), p._version - before, y.tolist()


def data_assigned():
    p = leaf(1.0, 2.0)
    p.data = torch.ones(3)
    return p.tolist(), p.is_leaf, p.requires_grad


def manual_update():
    w = leaf(1.0, 2.0)
    for _ in range(2):
        (w * w).sum().backward()
        with torch.no_grad():
            w -= 0.5 * w.grad
            w.grad = None
    return w.tolist(), w.is_leaf


def accumulation():
    w = leaf(1.0, 2.0)
    for _ in range(3):
        (w * 2).sum().backward()
    held = w.grad
    (w * 2).sum().backward()
    return w.grad.tolist(), held is w.grad, held.tolist()


def penalty():
    x = leaf(1.0, 2.0)
    (g,) = torch.autograd.grad((x**3).sum(), x, create_graph=True)
    (g**2).sum().backward()
    return x.grad.tolist()


class Exp(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        y = x.exp()
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx, g):
        (y,) = ctx.saved_tensors
        return g * y if ctx.needs_input_grad[0] else None


def tied():
    a, b = nn.Linear(3, 5, bias=False), nn.Embedding(5, 3)
    b.weight = a.weight
    both = nn.ModuleList([a, b])
    (a(torch.ones(1, 3)).sum() + b(torch.tensor([0])).sum()).backward()
    return len(list(both.parameters())), sorted(both.state_dict()), a.weight.grad[0].tolist(), a.weight is b.weight


def cloned():
    layer = nn.Linear(2, 2)
    twins = copy.deepcopy(nn.ModuleList([layer, layer]))
    with torch.no_grad():
        layer.weight.fill_(9.0)
    return twins[0] is twins[1], (twins[0].weight != 9).all().item()


def whole_module():
    buffer = io.BytesIO()
    model = nn.Sequential(nn.Linear(2, 2), nn.ReLU())
    torch.save(model, buffer)
    buffer.seek(0)
    again = torch.load(buffer, weights_only=False)
    return torch.equal(again(torch.ones(1, 2)), model(torch.ones(1, 2)))


def closure():
    w = torch.tensor([3.0], dtype=torch.float64, requires_grad=True)
    opt = optim.LBFGS([w], lr=1.0, max_iter=20)

    def step():
        opt.zero_grad()
        loss = ((w - 1) ** 2).sum()
        loss.backward()
        return loss

    opt.step(step)
    return round(w.item(), 6)


def long_loop():
    h = torch.zeros(1)
    w = torch.ones(1, requires_grad=True)
    for _ in range(1000):
        h = h * 0.5 + w
    h.sum().backward()
    return round(w.grad.item(), 4)


def in_forward():
    w = leaf(1.0, 2.0)
    y = w * 2
    np.asarray(y.detach().numpy()).sum()
    y.sum().backward()
    return w.grad.tolist()


IDIOMS = {
    "item": (lambda: torch.tensor(1.5).item(), 1.5),
    "item in every step": (item_each_step, [(0, 0, 1)] * 2),
    "tolist": (lambda: (torch.ones(2) + 1).tolist(), [2.0, 2.0]),
    "float": (lambda: float(torch.ones(1) * 2), 2.0),
    "int": (lambda: int(torch.tensor(3.7)), 3),
    "as an index": (lambda: [10, 20, 30][torch.tensor(2)], 30),
    "as a length": (lambda: list(range(torch.tensor(3))), [0, 1, 2]),
    "np.array": (lambda: np.array(torch.ones(2) + 1).tolist(), [2.0, 2.0]),
    "format": (lambda: "{:.4f}".format(torch.ones(()) / 3), "0.3333"),  # noqa: UP032
    "f-string": (lambda: f"{torch.ones(()) / 3:.3f}", "0.333"),
    "%": (lambda: "%.2f %d" % (torch.ones(()) / 3, torch.tensor(7)), "0.33 7"),  # noqa: UP031
    "format of several": (lambda: f"{torch.ones(2):.2f}", Raises(TypeError)),
    "print": (lambda: str(torch.arange(3) * 1.5), "tensor([0.0000, 1.5000, 3.0000])"),
    "print with a history": (lambda: str(leaf(1.0) * 2), "tensor([2.], grad_fn=<MulBackward0>)"),
    "branch": (lambda: "yes" if torch.tensor(2) * 2 == 4 else "no", "yes"),
    "branch on an element": (lambda: [bool(b) for b in torch.tensor([1, 0]) == torch.tensor([1, 1])], [YES, NO]),
    "branch on several": (lambda: bool(torch.ones(2) > 0), Raises(RuntimeError, "ambiguous")),
    "in": (lambda: 2 in torch.tensor([1, 2]), YES),
    "a loop until the loss is small": (until_small, 8),
    "numpy with a history": (lambda: leaf().numpy(), Raises(RuntimeError, "detach().numpy()")),
    "data.numpy": (lambda: leaf().data.numpy().tolist(), [1.0, 2.0]),
    "numpy inside a forward pass": (in_forward, [2.0, 2.0]),
    "fill_": (lambda: torch.empty(2).fill_(3), [3.0, 3.0]),
    "masked_fill_": (lambda: torch.zeros(2).masked_fill_(torch.tensor([True, False]), -1), [-1.0, 0.0]),
    "scatter_": (lambda: torch.zeros(1, 3).scatter_(1, torch.tensor([[2]]), 1), [[0.0, 0.0, 1.0]]),
    "index_fill_": (lambda: torch.zeros(3).index_fill_(0, torch.tensor([1]), 4), [0.0, 4.0, 0.0]),
    "overwritten saved value": (lambda: _overwritten(), Raises(RuntimeError, "modified by an inplace operation")),
    "in place on a leaf": (lambda: leaf().add_(1), Raises(RuntimeError, "a leaf Variable that requires grad")),
    "readers keep the old value": (lambda: _readers(), ([2.0, 3.0], [5.0, 5.0])),
    "augmented assignment to a part": (lambda: _augmented(), [[0.0, 0.0, 1.0], [0.0, 0.0, 1.0]]),
    "assignment by a mask": (masked_assignment, [[-float("inf"), 5.0, 3.0]]),
    "differentiable assignment": (differentiable_assignment, ([6.0, 6.0], YES)),
    "rows added by index": (accumulated_rows, [[1.0, 1.0], [2.0, 2.0], [1.0, 1.0]]),
    "writes through views": (through_views, ([[1.0, 1.0, 7.0], [0.0, 5.0, 7.0]], [1.0, 1.0, 7.0, 0.0, 5.0, 7.0])),
    ".data is the storage": (data_write, ([7.0, 20.0], 0, [1.0, 4.0])),
    ".data =": (data_assigned, ([1.0, 1.0, 1.0], YES, YES)),
    "updates by hand": (manual_update, ([0.0, 0.0], YES)),
    "gradients accumulate": (accumulation, ([8.0, 8.0], YES, [8.0, 8.0])),
    "activations of older weights": (older_weights, ([3.0, 6.0], [0.0, 1.0])),
    "two optimizers": (two_optimizers, (2.3, 2.8)),
    "retain_graph": (lambda: _twice(True), [8.0, 16.0]),
    "no retain_graph": (lambda: _twice(False), Raises(RuntimeError, "second time")),
    "a gradient penalty": (penalty, [36.0, 288.0]),
    "a custom Function": (lambda: _custom(), [1.0, 1.0]),
    "tied weights": (tied, (1, ["0.weight", "1.weight"], [2.0, 2.0, 2.0], YES)),
    "deepcopy": (cloned, (YES, YES)),
    "deepcopy of a result": (lambda: copy.deepcopy(leaf() * 2), Raises(RuntimeError, "created explicitly by the user")),
    "save of a whole module": (whole_module, YES),
    "pickle": (lambda: pickle.loads(pickle.dumps(torch.ones(2))), [1.0, 1.0]),
    "a ragged last batch": (ragged, (0, 0)),
    "a long loop": (long_loop, 2.0),
    "LBFGS with a closure": (closure, 1.0),
    "apply(fn)": (lambda: _applied(), [("Conv2d", 4), ("Linear", 6)]),
    "weight.data.normal_": (lambda: nn.Linear(2, 2).weight.data.normal_(0.0, 0.02).abs().max().item() < 1, YES),
    "retain_grad": (lambda: _retained(), [3.0, 3.0]),
    "register_hook": (lambda: _hooked(), [20.0, 20.0]),
    "module hooks": (lambda: _module_hooks(), ["pre", "forward", "backward"]),
    "loss without a history": (lambda: torch.ones(1).backward(), Raises(RuntimeError, "does not require grad")),
    "backward of several": (lambda: (leaf() * 2).backward(), Raises(RuntimeError, "scalar outputs")),
    "inference_mode": (lambda: _inference(), (NO, YES)),
    "set_grad_enabled": (lambda: _switched(), (NO, YES)),
}


def _overwritten():
    x = leaf()
    y = x.exp()
    y.add_(1)
    y.sum().backward()


def _readers():
    x = torch.tensor([1.0, 2.0])
    y = x + 1
    x.fill_(5)
    return y.tolist(), x.tolist()


def _augmented():
    x = torch.ones(2, 3)
    x[:, :2] *= 0.0
    return x


def _twice(retain):
    w = leaf(2.0, 4.0)
    loss = (w * w).sum()
    loss.backward(retain_graph=retain)
    loss.backward()
    return w.grad


def _custom():
    x = torch.zeros(2, requires_grad=True)
    Exp.apply(x).sum().backward()
    return x.grad


def _applied():
    model, seen = nn.Sequential(nn.Conv2d(1, 1, 2), nn.ReLU(), nn.Linear(3, 2)), []

    def init(m):
        if isinstance(m, nn.Conv2d) or m.__class__.__name__.find("Linear") != -1:
            m.weight.data.normal_(0.0, 0.02)
            seen.append((type(m).__name__, m.weight.numel()))

    model.apply(init)
    return seen


def _retained():
    h = leaf() * 2
    h.retain_grad()
    (h * 3).sum().backward()
    return h.grad


def _hooked():
    x = leaf()
    h = x * 2
    h.register_hook(lambda g: g * 10)
    h.sum().backward()
    return x.grad


def _module_hooks():
    layer, seen = nn.Linear(2, 2), []
    layer.register_forward_pre_hook(lambda m, args: seen.append("pre"))
    layer.register_forward_hook(lambda m, args, out: seen.append("forward"))
    layer.register_full_backward_hook(lambda m, gin, gout: seen.append("backward"))
    layer(torch.ones(1, 2, requires_grad=True)).sum().backward()
    return seen


def _inference():
    with torch.inference_mode():
        y = leaf() * 2
    return y.requires_grad, y.is_inference()


def _switched():
    w = leaf()
    with torch.set_grad_enabled(False):
        off = (w * 2).requires_grad
    return off, (w * 2).requires_grad


@pytest.mark.parametrize("name", IDIOMS)
def test_idioms_that_recording_must_not_break(name):
    settled(*IDIOMS[name])
