"""What only shows a leaf or a known value under another history is read without a plan."""

import numpy as np

import torchlike_asg as torch
from torchlike_asg.asg.node import COUNTS


def _trained():
    m = torch.nn.Linear(4, 3)
    o = torch.optim.SGD(m.parameters(), 0.1)
    for _ in range(3):
        o.zero_grad()
        m(torch.ones(2, 4)).square().sum().backward()
        o.step()
    return m, o


def test_detached_parameters_are_read_without_a_plan():
    m, _ = _trained()
    torch.sync()
    before = COUNTS["plans"]
    read = {name: p.detach().numpy().copy() for name, p in m.named_parameters()}
    read |= {name + "'": v.tolist() for name, v in m.state_dict().items()}
    twice = m.bias.detach().detach().tolist()
    assert COUNTS["plans"] == before
    assert np.array_equal(read["weight"], np.array(read["weight'"], np.float32))
    assert twice == read["bias'"]


def test_what_was_read_stays_when_training_goes_on():
    m, o = _trained()
    kept = m.weight.detach().clone().numpy().copy()
    value = m.weight.detach().resolve_conj()
    seen = value.tolist()
    shared = m.weight.detach().numpy()
    o.zero_grad()
    m(torch.ones(2, 4)).sum().backward()
    o.step()
    assert np.array_equal(np.array(seen, np.float32), kept)
    assert np.array_equal(shared, m.weight.detach().numpy())  # it is the parameter's memory
    assert not np.array_equal(shared, kept)
    assert value.tolist() == m.weight.tolist()


def test_within_an_open_history():
    w = torch.ones(3, requires_grad=True)
    y = (w * 2).exp()
    z = y.detach()
    first = y.tolist()
    before = COUNTS["plans"]
    assert z.tolist() == first
    assert COUNTS["plans"] == before
    y.sum().backward()
    assert w.grad.tolist() == [2 * v for v in first]
