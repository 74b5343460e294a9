"""What a walk along ``next_functions`` reads, in PyTorch and here, as programs that print or draw a history see it."""

import pytest

torch = pytest.importorskip("torch")

import torchlike_asg as ours  # noqa: E402

torch.set_num_threads(1)


class Inputs:
    """Leaves `x`, `y` (4, 3), `w` (5, 3), `b` (5), `v` (3), `m` (3, 3), `s` (), images `im`; data `d` (4, 3), classes `t`, a mask `k`."""

    def __init__(self, lib):
        def leaf(*shape):
            return lib.linspace(0.1, 1.0, max(1, lib.zeros(shape).numel())).reshape(shape).clone().requires_grad_()

        self.torch, self.nn, self.F, self.leaf = lib, lib.nn, lib.nn.functional, leaf
        self.x, self.y, self.w, self.b, self.v, self.s = leaf(4, 3), leaf(4, 3), leaf(5, 3), leaf(5), leaf(3), leaf()
        self.m = (lib.eye(3) + 0.1).requires_grad_()
        self.im, self.d = leaf(2, 3, 8, 8), lib.full((4, 3), 0.5)
        self.t, self.k = lib.tensor([0, 1, 2, 0]), lib.tensor([[True, False, True]] * 4)

    def written(self, write):
        z = self.x * 1
        write(z)
        return z

    def lenet(self):
        """The network of PyTorch's first tutorial, and the loss that it walks back from."""
        nn, f = self.nn, self.F
        h = f.max_pool2d(f.relu(nn.Conv2d(3, 6, 5)(self.im.detach())), (2, 2))
        h = f.relu(nn.Linear(24, 120)(self.torch.flatten(h, 1)))
        return nn.MSELoss()(nn.Linear(84, 10)(f.relu(nn.Linear(120, 84)(h))), self.torch.zeros(2, 10))


def walk(step, depth=12):
    if step is None:
        return "-"
    name = type(step).__name__.removesuffix("Backward0")
    if depth == 0:
        return "..."
    inner = [walk(s, depth - 1) + (f"@{i}" if i else "") for s, i in step.next_functions]
    return f"{name}({', '.join(inner)})" if inner else name


EXPRESSIONS = """
    x+2                                     x-y                                 1-x
    x/y                                     1/x                                 x**2
    ((x+2)*(x+2)*3).mean()                  x.abs().sqrt()                      -x.exp()
    F.linear(x,w,b)                         F.linear(x,w)                       F.linear(d,w,b)
    F.linear(im,leaf(5,8),b)                F.linear(im,leaf(5,8))              F.linear(v,w,b)
    F.linear(v,w)                           F.linear(im.detach(),leaf(5,8),b)   F.linear(leaf(3,2,5).transpose(0,1),leaf(6,5),leaf(6))
    x@m                                     x@v                                 v@v
    v@m                                     im@leaf(8,4)                        im@leaf(8)
    im@im                                   im@im.transpose(-1,-2)              torch.bmm(im[:,0],im[:,1])
    torch.addmm(b,x,w.t())                  torch.addmm(b,x,w.t(),beta=.5,alpha=2)
    torch.addmv(leaf(4),x,v)
    torch.baddbmm(leaf(2,3,5),leaf(2,3,4),leaf(2,4,5))
    torch.addr(leaf(3,4),v,leaf(4))
    torch.outer(v,v)
    F.cross_entropy(x,t)                    F.cross_entropy(F.linear(d,w,b),t)  F.cross_entropy(x,t,label_smoothing=.1)
    F.cross_entropy(x,t,reduction='none')   F.cross_entropy(x,d)                F.cross_entropy(x,d,reduction='sum')
    F.cross_entropy(x,d,reduction='none')   F.cross_entropy(v,t[0])             F.cross_entropy(x,t,weight=d[0])
    F.cross_entropy(im,im.detach()[:,0].long())
    F.cross_entropy(x,t,label_smoothing=.1,reduction='sum')
    F.nll_loss(x.log_softmax(1),t)          F.mse_loss(x,d)                     F.mse_loss(x,y)
    F.l1_loss(x,d)                          F.l1_loss(x,d,reduction='none')     F.smooth_l1_loss(x,d)
    F.huber_loss(x,d)                       F.kl_div(x,d,reduction='sum')                       F.kl_div(x,d,reduction='batchmean')
    F.kl_div(x,d,log_target=True,reduction='sum')           F.binary_cross_entropy(x.sigmoid(),d)
    F.binary_cross_entropy_with_logits(x,d)
    nn.LSTM(3,4)(x.view(4,1,3))[0]          nn.LSTM(3,4,2)(x.view(4,1,3))[0]    nn.LSTM(3,4,batch_first=True)(x.view(1,4,3))[0]
    nn.LSTM(3,4,bidirectional=True)(x.view(4,1,3))[0]
    nn.LSTM(3,4)(d.view(4,1,3))[0]
    nn.LSTM(3,4,bias=False)(x.view(4,1,3))[0]
    F.layer_norm(x,(3,))                    nn.LayerNorm(3)(x)                  nn.BatchNorm2d(3)(im)
    nn.BatchNorm1d(3)(x)                    nn.BatchNorm2d(3).eval()(im)        nn.BatchNorm2d(3,affine=False)(im)
    nn.GroupNorm(3,3)(im)                   nn.InstanceNorm2d(3)(im)            nn.InstanceNorm2d(3,affine=True)(im)
    nn.RMSNorm(3)(x)                        F.rms_norm(x,(3,))                  nn.Conv2d(3,4,3)(im)
    nn.Conv2d(3,4,3)(im.detach())           nn.Conv2d(3,4,3,bias=False)(im)     nn.ConvTranspose2d(3,4,3)(im)
    nn.Conv1d(3,4,1)(im[:,:,0])                 nn.Conv2d(3,4,3)(im[0])             F.max_pool2d(im,2)
    F.max_pool2d(im[0],2)                   F.max_pool1d(im[0],2)               F.avg_pool2d(im,2)
    F.avg_pool1d(im[0],2)                   F.adaptive_avg_pool2d(im,1)         F.adaptive_avg_pool2d(im,2)
    F.adaptive_avg_pool1d(im[0],2)          F.interpolate(im,scale_factor=2)    F.interpolate(im,scale_factor=2,mode='bilinear')
    F.embedding(t,w)                        nn.EmbeddingBag(5,3)(t[None])       F.scaled_dot_product_attention(im,im,im)
    F.dropout(x,.5)                         F.dropout2d(im,.5)                  F.pad(x,(1,1))
    x.softmax(1)                            x.log_softmax(1)                    F.gelu(x)
    F.relu(x)                               F.silu(x)                           F.leaky_relu(x)
    F.elu(x)                                x.sigmoid()                         x.tanh()
    F.softplus(x)                           nn.PReLU()(x)                       F.glu(im)
    nn.Sequential(nn.Linear(3,4),nn.ReLU(),nn.Linear(4,2))(x)
    lenet()           F.grid_sample(im,torch.zeros(2,4,4,2),align_corners=False)
    x.view(-1)                              x.reshape(3,4)                      x.reshape(3,4)+1
    x.t().reshape(-1)                       x.t().reshape(-1)+1                 im.flatten(1)
    x.t()                                   im.transpose(1,2)                   im.permute(0,2,3,1)*2
    im.transpose(1,2).contiguous()          x.unsqueeze(0)                      x[:,:1].squeeze(1)
    v.expand(4,3)*x                         v.repeat(2)                         x.repeat_interleave(2,0)
    x[0]                                    x[1:]*2                             x[t]
    x[[0,1],[1,2]]                          x[k]                                x.gather(1,t[:,None])
    x.index_select(0,t)                     torch.cat([x,y])                    torch.stack([x,y])
    x.split(2)[1]                           x.chunk(2)[1]                       x.unbind()[2]
    torch.where(k,x,y)                      x.masked_fill(k,0.)                 m.tril()
    m.diag()                                m.trace()                           x.clamp(0,1)
    x.clamp(0,1)+1                                             x.roll(1,0)
    x.sum()                                 x.sum(1)                            x.mean(1,keepdim=True)
    x.max()                                 x.max(1)[0]                         x.max(1)[0]+1
    x.min(1).values                         x.amax(1)                           x.std()
    x.var(1)                                x.norm()                            x.norm(dim=1)
    x.prod()                                x.logsumexp(1)                      x.cumsum(0)
    x.topk(2)[0]                            x.sort()[0]                         torch.maximum(x,y)
    x.double()                              x.clone()                           m.det()
    m.inverse()                             torch.linalg.solve(m,v)             torch.linalg.solve(m,m)
    torch.linalg.cholesky(m@m.t())          torch.linalg.eigh(m+m.t())[0]       torch.linalg.cross(x,y)
    torch.fft.rfft(x).abs()             x.lerp(y,.5)
    written(lambda z: z.__setitem__(0,5.))      written(lambda z: z.__setitem__(0,y[0]))  written(lambda z: z.__setitem__(k,5.))
    written(lambda z: z.__setitem__(z>0,0.))    written(lambda z: z.__setitem__(k,s))     written(lambda z: z.__setitem__(k,y[k]))
    written(lambda z: z.__setitem__(t,y))       written(lambda z: z[:,1].mul_(2))         written(lambda z: z.add_(y))
    written(lambda z: z.masked_fill_(k,0.))     written(lambda z: z.clamp_(0,1))          written(lambda z: z.zero_())
    written(lambda z: z.copy_(y))               written(lambda z: z.relu_())              written(lambda z: z.mul_(y))
"""
#: one operation here, whose parts in PyTorch are an algorithm's: only the name of the last step is the same, or that is not either
DIFFERENT = """
    torch.einsum('ij,kj->ik',x,w)           nn.GRU(3,4)(x.view(4,1,3))[0]       nn.RNN(3,4)(x.view(4,1,3))[0]
    F.normalize(x)                          F.cosine_similarity(x,y)            F.pairwise_distance(x,y)
    leaf(2,1,3,4)@leaf(5,4,2)               torch.linalg.matrix_power(m,3)      x.unbind()[2]+1
    torch.fft.fft(x).abs()
    m.mT@m                                  x.clamp(min=0)+1
                                   nn.MultiheadAttention(8,2)(im[0],im[0],im[0])[0]
"""


def listed(text):
    return [part.strip() for line in text.splitlines() for part in line.strip().split("  ") if part.strip()]


def read(lib, expression):
    inputs = Inputs(lib)
    names = {name: getattr(inputs, name) for name in dir(inputs) if not name.startswith("_")}
    return walk(eval(expression, names).grad_fn)


@pytest.mark.parametrize("expression", listed(EXPRESSIONS))
def test_a_walk_reads_the_same(expression):
    assert read(ours, expression) == read(torch, expression)


@pytest.mark.parametrize("expression", listed(DIFFERENT))
def test_what_differs_still_ends_at_the_same_leaves(expression):
    """Whoever has mended one moves it to the table above."""
    got, want = read(ours, expression), read(torch, expression)
    assert got != want
    assert got.count("AccumulateGrad") > 0


def test_parts_are_the_same_each_time_and_hold_what_is_noted_on_them():
    i = Inputs(ours)
    out = ours.nn.functional.linear(i.x, i.w, i.b)
    part = out.grad_fn.next_functions[2][0]
    assert part == out.grad_fn.next_functions[2][0] and len({part, out.grad_fn.next_functions[2][0]}) == 1
    assert part != out.grad_fn and part != out.grad_fn.next_functions[1][0]
    part.metadata["seen"] = True
    assert out.grad_fn.next_functions[2][0].metadata == {"seen": True} and "seen" not in out.grad_fn.metadata
    assert part.name() == "TBackward0" and part.next_functions[0][0].variable is i.w
    with pytest.raises(ours.errors.Unsupported, match="hook the tensor"):
        part.register_hook(print)


@pytest.mark.parametrize(
    "several, place",
    [
        (lambda z: z.split(2)[1], 1),
        (lambda z: z.split(3)[1], 1),
        (lambda z: z.chunk(3, 1)[2], 2),
        (lambda z: z.unbind()[2], 2),
        (lambda z: z.unbind(1)[1], 1),
        (lambda z: list(z)[3], 3),
        (lambda z: z.split([1, 3])[1], 1),
    ],
)
def test_messages_name_the_function_of_several_views(several, place):
    def raised(lib, late):
        z = Inputs(lib).x * 1
        view = several(z)
        if late:
            z.add_(1)
        with pytest.raises(RuntimeError) as caught:
            view.add_(1) if not late else view + 1
        return str(caught.value)

    for late in (False, True):
        assert raised(ours, late) == raised(torch, late)
        assert f"Output {place} of " in raised(ours, late)
