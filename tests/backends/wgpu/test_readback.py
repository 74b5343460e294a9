"""How small results reach the host: where they are read after every run, shaders write them to memory that the host maps."""

import dataclasses
import logging

import numpy as np
import pytest

import torchlike_asg as torch
from torchlike_asg.backends.wgpu import readback
from torchlike_asg.backends.wgpu.device import _untold
from torchlike_asg.compiler import plan
from torchlike_asg.facade.held import held_value

from .harness import device


@pytest.fixture(params=[True, False], ids=["shared", "copied"])
def mappable(request, monkeypatch):
    """On a device that can map what shaders write, and on one that cannot."""
    d = device()
    if request.param and readback.MAPPABLE not in d.caps.features:
        pytest.skip("this device cannot")
    if not request.param:
        monkeypatch.setattr(d, "caps", dataclasses.replace(d.caps, features=d.caps.features - {readback.MAPPABLE}))
    plan.clear()
    yield request.param
    plan.clear()


def lies_where_the_host_reads(t):
    a = held_value(t)
    return a.staging is a.block.buffer


def test_a_result_that_is_read_every_time(mappable):
    x = torch.arange(12.0).to("wgpu")
    for k in range(5):
        total = (x * torch.full((12,), float(k)).to("wgpu")).sum()
        assert total.item() == 66.0 * k
        assert lies_where_the_host_reads(total) == (mappable and k > 0)
        del total  # the next one takes its place


def test_others_compute_with_it(mappable):
    x = torch.arange(12.0).to("wgpu")
    kept = []
    for k in range(4):
        total = (x * k).sum(0, keepdim=True)
        kept.append((total.item(), total))
        total = total * 2  # another plan, from memory that the host has mapped meanwhile
        assert total.item() == 132.0 * k
    assert [(value, t.item()) for value, t in kept] == [(66.0 * k, 66.0 * k) for k in range(4)]
    changed = kept[3][1]
    changed += 1  # written over
    assert changed.item() == 199.0
    np.testing.assert_array_equal((changed + x[:2]).cpu().numpy(), [199.0, 200.0])


def test_flags_come_with_it(mappable):
    """The first kernel that checks its data comes when a result lies there already."""
    x = torch.arange(12.0).to("wgpu")
    for _ in range(3):
        x.sum().item()
    table, good, bad = torch.randn(5, 3).to("wgpu"), torch.tensor([1, 4]).to("wgpu"), torch.tensor([0, 4]).to("wgpu")
    for _ in range(3):
        torch.nn.functional.embedding(good, table).sum().item()
        x.sum().item()
    with pytest.raises(IndexError):
        torch.nn.functional.embedding(bad + 1, table).sum().item()
    assert torch.nn.functional.embedding(good, table).sum().isfinite().item()
    assert x.sum().item() == 66.0


def test_a_result_that_the_plan_goes_on_with_is_copied(mappable):
    """Shaders read their own memory faster than the host's."""
    x, large = torch.arange(12.0).to("wgpu"), torch.ones(300, 1000).to("wgpu")
    for _ in range(3):
        total = x.sum()
        wide = large * total  # too much for a chain
        assert total.item() == 66.0
        assert not lies_where_the_host_reads(total)
        assert wide[1, 2].item() == 66.0


def test_what_the_library_says_against_it_is_not_logged(caplog):
    logger = logging.getLogger("wgpu")
    with _untold(readback.MAPPABLE):
        logger.warning("Feature MAPPABLE_PRIMARY_BUFFERS enabled on a discrete gpu.")
        logger.warning("something else")
    logger.warning("MAPPABLE_PRIMARY_BUFFERS again")
    assert [r.getMessage() for r in caplog.records] == ["something else", "MAPPABLE_PRIMARY_BUFFERS again"]
