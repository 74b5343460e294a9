"""Running statistics of batch and instance normalisation against PyTorch, however they are read, written and shared in between."""

import copy

import pytest

torch = pytest.importorskip("torch")
import torchlike_asg as ours  # noqa: E402

from .compare import same  # noqa: E402


def layer_of(T, kind):
    """A fresh layer, and a function that draws inputs for it."""
    T.manual_seed(0)
    layer, shape = (
        lambda: (T.nn.BatchNorm1d(3), (4, 3)),
        lambda: (T.nn.BatchNorm2d(3, momentum=0.3), (4, 3, 2, 2)),
        lambda: (T.nn.BatchNorm2d(3, momentum=None), (4, 3, 2, 2)),
        lambda: (T.nn.BatchNorm1d(3, affine=False), (4, 3, 5)),
        lambda: (T.nn.BatchNorm1d(3, track_running_stats=False), (4, 3)),
        lambda: (T.nn.InstanceNorm1d(3, track_running_stats=True), (2, 3, 6)),
    )[kind]()
    return layer, lambda: T.randn(*shape) * 2 + 1


KINDS = range(6)
TRACKING = (0, 1, 2, 3, 5)


def agree(program, kind):
    """`program(T, layer, data)` gives the same under both packages, and leaves the same state in the layer."""

    def run(T):
        layer, data = layer_of(T, kind)
        return program(T, layer, data), dict(layer.state_dict())

    got = same(run, rtol=1e-4, atol=1e-5)
    assert not isinstance(got, Exception), got


@pytest.mark.parametrize("kind", KINDS)
def test_training_with_reads_between_steps(kind):
    agree(lambda T, layer, data: [(layer(data()) ** 3).sum().item() for _ in range(4)], kind)


@pytest.mark.parametrize("kind", KINDS)
def test_training_with_an_optimizer_and_no_reads(kind):
    def program(T, layer, data):
        scale = T.ones(3, requires_grad=True)
        optimizer = T.optim.SGD([scale, *layer.parameters()], lr=0.01)
        losses = []
        for _ in range(4):
            optimizer.zero_grad()
            loss = (layer(data()).mean() - scale.sum()) ** 2
            loss.backward()
            optimizer.step()
            losses.append(loss)
        return [loss.item() for loss in losses]

    agree(program, kind)


@pytest.mark.parametrize("kind", KINDS)
def test_several_forward_passes_before_anything_is_computed(kind):
    def program(T, layer, data):
        for _ in range(2):
            outputs = [layer(data()) for _ in range(3)]
            sum([o.sum() for o in outputs[1:]], outputs[0].sum()).item()
        layer.eval()
        return layer(data()).tolist()

    agree(program, kind)


@pytest.mark.parametrize("kind", TRACKING)
def test_statistics_held_by_the_user_show_every_update(kind):
    def program(T, layer, data):
        held, detached, part = layer.running_mean, layer.running_var.detach(), layer.running_mean[1:]
        seen = []
        for _ in range(3):
            layer(data())
            seen += [held.tolist(), detached.tolist(), part.tolist()]
        assert held is layer.running_mean
        return seen

    agree(program, kind)


@pytest.mark.parametrize("kind", TRACKING)
def test_statistics_written_by_the_user(kind):
    def program(T, layer, data):
        layer(data())
        layer.running_mean.fill_(3.0)
        layer(data())
        with T.no_grad():
            layer.running_var[0] = 7.0
            layer.running_mean.mul_(2).add_(1)
        layer(data())
        layer.reset_running_stats()
        layer(data())
        layer.running_mean = T.tensor([1.0, 2.0, 3.0])
        layer(data())
        layer.running_mean.data = T.tensor([3.0, 2.0, 1.0])
        layer(data())
        return layer.running_mean.numpy().tolist()

    agree(program, kind)


@pytest.mark.parametrize("kind", TRACKING)
def test_statistics_shared_with_numpy(kind):
    def program(T, layer, data):
        layer(data())
        array = layer.running_mean.numpy()
        layer(data())
        seen = array.tolist()
        array[0] = 100.0
        layer(data())
        return seen, array.tolist()

    agree(program, kind)


@pytest.mark.parametrize("kind", TRACKING)
def test_copies_and_loading(kind):
    def program(T, layer, data):
        layer(data())
        other = copy.deepcopy(layer)
        other(data())
        state = {k: v.clone() for k, v in other.state_dict().items()}
        layer(data())
        layer.load_state_dict(state)
        layer(data())
        return dict(other.state_dict())

    agree(program, kind)


@pytest.mark.parametrize("kind", KINDS)
def test_one_layer_in_three_modes_in_turn(kind):
    def program(T, layer, data):
        x = data()
        out = []
        for _ in range(3):
            layer.train()
            a = layer(x)
            layer.eval()
            b = layer(x)
            with T.no_grad():
                c = layer(x)
            out += [a.sum().item(), b.sum().item(), c.sum().item(), b.requires_grad, c.requires_grad]
        return out

    agree(program, kind)


def test_a_step_records_nothing_new():
    layer = ours.nn.Sequential(ours.nn.BatchNorm1d(3), ours.nn.Linear(3, 2), ours.nn.BatchNorm1d(2))
    optimizer = ours.optim.SGD(layer.parameters(), lr=0.1)
    counts = []
    for _ in range(6):
        optimizer.zero_grad()
        layer(ours.randn(4, 3)).square().mean().backward()
        optimizer.step()
        counts.append((ours.asg.stats()["nodes"], ours.asg.stats()["plans"]))
    assert counts[3] == counts[4] == counts[5]


def test_versions_do_not_tell_of_running_statistics():
    """What a gradient has saved of them may be read after the next batch, as in PyTorch; whoever writes them by hand is noticed."""

    def found(T):
        w, layers = (
            T.nn.Parameter(T.ones(3)),
            (T.nn.BatchNorm1d(3), T.nn.BatchNorm1d(3, momentum=None), T.nn.InstanceNorm1d(3, track_running_stats=True)),
        )
        optimizer, seen = T.optim.SGD([w, *layers[0].parameters()], lr=0.1), []
        kept = (w * layers[0].running_mean).sum()
        for i in range(3):
            for layer, shape in zip(layers, ((4, 3), (4, 3), (2, 3, 4)), strict=True):
                layer(T.ones(shape) * i).sum()
                seen.append((layer.running_mean._version, layer.running_var._version, layer.num_batches_tracked._version))
            if i == 1:
                seen.append(layers[1].running_mean.tolist())
            optimizer.step()
        kept.backward()
        mean, var = T.zeros(3), T.ones(3)
        shown = mean[1:]
        T.nn.functional.batch_norm(T.ones(4, 3), mean, var, training=True)
        seen += [mean._version, var._version, shown._version, [round(v, 4) for v in shown.tolist()]]
        kept = (w * layers[0].running_mean).sum()
        layers[0].running_mean.zero_()
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            kept.backward()
        return seen

    assert found(ours) == found(torch)
