"""Functions that make tensors of their own beside their operands (places, masks, empty parts) make them on the device of those."""

import numpy as np
import pytest

import torchlike_asg as ours
from tests.backends.wgpu.harness import device as open_adapter
from torchlike_asg import distributions as D

F, linalg = ours.nn.functional, ours.linalg
CASES = {
    "nonzero": lambda x: x.nonzero(as_tuple=True)[1],
    "repeat_interleave": lambda x: x.repeat_interleave(ours.tensor([1, 2, 0]), 0),
    "positions": lambda x: (x[0] * 0 + 2).long().repeat_interleave(),
    "combinations": lambda x: ours.combinations(x[0], 2),
    "alpha_dropout": lambda x: F.alpha_dropout(x, 0.5, True),
    "feature_alpha_dropout": lambda x: F.feature_alpha_dropout(x, 0.5, True),
    "fractional": lambda x: F.fractional_max_pool2d(x.expand(1, 4, 3, 4), 2, (1, 2)),
    "ctc": lambda x: F.ctc_loss(x.log_softmax(-1).unsqueeze(1), ours.tensor([[1, 2]]), [3], ours.tensor([2])),
    "qr": lambda x: linalg.qr(x, "r")[0],
    "svd": lambda x: ours.svd(x, compute_uv=False)[2],
    "residuals": lambda x: linalg.lstsq(x[:, :2], x[:, :1])[1],
    "rank": lambda x: linalg.lstsq(x[:, :2], x[:, :1], driver="gels")[2],
    "lu_unpack": lambda x: ours.lu_unpack(*ours.lu(x[:, :3], get_infos=False), unpack_data=False)[1],
    "gamma": lambda x: D.Gamma(x.abs().requires_grad_(), 1.0).rsample(),
    "beta": lambda x: D.Beta(x.abs(), 1.0).rsample(),
    "dirichlet": lambda x: D.Dirichlet(x.abs()).rsample(),
    "von Mises": lambda x: D.VonMises(x, 1.0).sample(),
}

SPARSE = {
    "coalesce": lambda s, x: s.coalesce(),
    "softmax": lambda s, x: ours.sparse.softmax(s, 1),
    "sum": lambda s, x: ours.sparse.sum(s, 0),
    "rows": lambda s, x: s.to_sparse_csr(),
    "from rows": lambda s, x: s.to_sparse_csr().to_sparse(),
    "product of rows": lambda s, x: s.to_sparse_csr() @ x,
    "product": lambda s, x: s @ x,
    "sparse product": lambda s, x: s @ s,
    "mask": lambda s, x: x.sparse_mask(s.coalesce()),
    "unsqueeze": lambda s, x: s.unsqueeze(0),
    "diagonals": lambda s, x: ours.sparse.spdiags(x, ours.tensor([-1, 0, 1]), (3, 3)),
    "of dense": lambda s, x: x.relu().to_sparse(),
    "table": lambda s, x: ours.autograd.grad(
        F.embedding(ours.tensor([2, 0, 2], device=x.device), x.requires_grad_(), sparse=True).sum(), x
    )[0],
}


@pytest.fixture(autouse=True)
def adapter():
    open_adapter()


@pytest.mark.parametrize("name", list(CASES))
def test_they_lie_beside_their_operands(name):
    x = ours.linspace(0.3, 2.0, 12).reshape(3, 4)
    found = []
    for device in ("cpu", "wgpu"):
        ours.manual_seed(3)
        out = CASES[name](x.to(device))
        assert out.device.type == device
        found.append(out.detach().cpu().numpy())
    assert found[0].shape == found[1].shape and found[0].dtype == found[1].dtype
    if name not in ("alpha_dropout", "feature_alpha_dropout", "fractional", "gamma"):  # a GPU's random numbers are its own
        np.testing.assert_allclose(found[1], found[0], 1e-5, 1e-6)


@pytest.mark.parametrize("name", list(SPARSE))
@pytest.mark.parametrize("made_there", (True, False))
def test_sparse_tensors_are_whole_on_their_device(name, made_there):
    found = []
    for device in ("cpu", "wgpu"):
        given = {"device": device} if made_there else {}
        s = ours.sparse_coo_tensor([[0, 1, 1, 2], [2, 0, 0, 1]], [1.0, 2.0, 3.0, 4.0], (3, 3), **given).to(device)
        assert s._indices().device.type == s._values().device.type == s.device.type == device
        out = SPARSE[name](s, ours.arange(9.0).reshape(3, 3).to(device))
        if out.layout is not ours.strided:
            out = out.to_dense()
        assert out.device.type == device
        found.append(out.cpu().numpy())
    np.testing.assert_allclose(found[1], found[0], 1e-6)


def test_a_graph_network_trains_there():
    found = []
    for device in ("cpu", "wgpu"):
        ours.manual_seed(0)
        neighbours = ours.tensor([[0.5, 0.5, 0.0], [0.2, 0.8, 0.0], [0.0, 0.3, 0.7]]).to_sparse().to(device)
        table, layer = ours.nn.Embedding(3, 4, sparse=True).to(device), ours.nn.Linear(4, 2).to(device)
        optimizers = [ours.optim.SparseAdam(table.parameters(), 0.1), ours.optim.Adam(layer.parameters(), 0.1)]
        for _ in range(3):
            for o in optimizers:
                o.zero_grad()
            loss = ours.sparse.mm(neighbours, layer(table(ours.arange(3, device=device)))).square().mean()
            loss.backward()
            for o in optimizers:
                o.step()
        assert table.weight.grad.is_sparse and table.weight.grad.device.type == device
        found.append([loss.item(), *layer.weight.detach().cpu().flatten().tolist(), *table.weight.detach().cpu().flatten().tolist()])
    np.testing.assert_allclose(found[1], found[0], 1e-4, 1e-5)
