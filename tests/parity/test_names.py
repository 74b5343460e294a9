"""Every name that real scripts use often is here; the ones left out on purpose say so. `test_uses.py` has what they do.

The lists are the names counted in public repositories of PyTorch scripts: at least four repositories use each of the first group of every
table, the second groups hold the rarer ones that are supported as well.
"""

import importlib

import pytest

torch = pytest.importorskip("torch")

import torchlike_asg as ours  # noqa: E402

from .scripts import same  # noqa: E402

torch.set_num_threads(1)


def words(text):
    return text.split()


NAMESPACES = {
    "": """
        cat ones zeros no_grad Tensor load save manual_seed from_numpy tensor randn arange long LongTensor log
        FloatTensor exp rand stack max sum multinomial float32 tanh zeros_like matmul sigmoid randint linspace mean sqrt
        where ones_like argmax sin empty triu cos randperm tril sort float clamp topk min gather inference_mode abs full
        softmax pow rsqrt eye mm isnan randn_like relu bool einsum equal Generator int32 int64 split cumsum outer
        bfloat16 flatten normal __version__ float16 allclose compile bmm dot cumprod set_default_tensor_type
        set_grad_enabled unsqueeze meshgrid nonzero repeat_interleave Size add diag view_as_complex view_as_real polar

        pi as_tensor all float64 unique set_float32_matmul_precision get_default_dtype chunk norm std set_printoptions
        uint8 finfo prod mul is_grad_enabled round det square mv gt bincount argmin diagonal inverse log2 argsort
        ByteTensor eq reshape lgamma digamma enable_grad sign set_num_threads roll empty_like clip bernoulli transpose
        isinf inf set_default_dtype use_deterministic_algorithms acos unbind preserve_format dtype tan maximum logsumexp
        rand_like arcsin arccos nan_to_num floor erf nn optim utils autograd cuda backends linalg distributions device
    """,
    "nn": """
        Module Linear Sequential Embedding ReLU Parameter ModuleList CrossEntropyLoss Conv2d Dropout MaxPool2d LSTM Tanh
        MSELoss Sigmoid BatchNorm2d LeakyReLU LayerNorm ConvTranspose2d BCELoss AvgPool2d BatchNorm1d GRU Conv1d
        ModuleDict Softmax RNN DataParallel GELU AdaptiveAvgPool2d BCEWithLogitsLoss Flatten Upsample Dropout2d SiLU
        Identity NLLLoss

        L1Loss InstanceNorm2d ReflectionPad2d ZeroPad2d Embedding.from_pretrained GroupNorm LogSoftmax KLDivLoss
        ParameterList PixelShuffle SmoothL1Loss LSTMCell MultiheadAttention LazyLinear LazyConv2d RMSNorm
        LazyBatchNorm2d LazyBatchNorm1d Transformer ELU Hardtanh TransformerEncoder TransformerDecoder
        TransformerEncoderLayer TransformerDecoderLayer AdaptiveMaxPool2d AdaptiveAvgPool1d PReLU GRUCell
        ReplicationPad2d AvgPool1d Softplus RNNBase Unflatten ReLU6 ConstantPad2d parameter.Parameter modules.Module
    """,
    "nn.utils": "clip_grad_norm_ rnn.pack_padded_sequence clip_grad_norm rnn.pad_packed_sequence rnn.pad_sequence weight_norm",
    "nn.functional": """
        softmax relu cross_entropy log_softmax linear pad max_pool2d mse_loss dropout interpolate avg_pool2d nll_loss
        softplus sigmoid silu binary_cross_entropy_with_logits scaled_dot_product_attention conv2d tanh one_hot

        smooth_l1_loss adaptive_avg_pool2d gelu elu binary_cross_entropy leaky_relu layer_norm batch_norm embedding
        l1_loss glu grid_sample conv_transpose2d upsample_nearest selu rms_norm normalize conv1d logsigmoid
    """,
    "nn.init": """
        normal_ constant_ xavier_uniform_ zeros_ orthogonal_ uniform_ kaiming_uniform_

        kaiming_normal_ xavier_normal_ normal constant calculate_gain kaiming_normal ones_ _calculate_fan_in_and_fan_out
    """,
    "optim": "Adam SGD AdamW RMSprop Optimizer Adadelta LBFGS RAdam ASGD Adagrad lr_scheduler",
    "optim.lr_scheduler": "StepLR LambdaLR ExponentialLR MultiStepLR ReduceLROnPlateau _LRScheduler LRScheduler CosineAnnealingLR",
    "utils.data": """
        DataLoader Dataset TensorDataset RandomSampler Subset distributed.DistributedSampler dataloader.DataLoader
        random_split sampler.SubsetRandomSampler dataset.random_split dataset.Subset SubsetRandomSampler
        DistributedSampler IterableDataset dataloader.default_collate sampler.WeightedRandomSampler
    """,
    "cuda": """
        is_available set_device manual_seed_all synchronize manual_seed device_count max_memory_allocated empty_cache
        FloatTensor reset_peak_memory_stats get_device_name get_device_capability LongTensor memory_summary device
        amp.GradScaler
    """,
    "autograd": "Variable grad Function",
    "distributed": "init_process_group all_reduce ReduceOp.SUM ReduceOp.AVG destroy_process_group is_initialized get_rank is_available barrier",  # noqa: E501
    "backends": "cudnn.deterministic cudnn.benchmark mps.is_available",
    "distributions": "Categorical Normal MultivariateNormal Bernoulli Uniform kl_divergence",
    "multiprocessing": "spawn Process",
    "amp": "autocast GradScaler",
    "linalg": "lstsq norm",
    "utils": "checkpoint.checkpoint",
    "testing": "assert_close",
}
METHODS = """
    backward unsqueeze detach numpy contiguous long pow clone expand t numel copy_ fill_ permute exp norm zero_ dim
    masked_fill abs clamp log relu eq expand_as type_as gather uniform_ normal_ add_ mul_ view_as scatter_ mm sigmoid
    div scatter mul softmax sin sqrt topk bmm new clamp_ div_ masked_fill_ bool matmul new_zeros int cos floor
    masked_select item view size sum mean squeeze split transpose max reshape tolist flatten repeat argmax std add min
    any dot all clip nonzero sort cumsum float to double cpu cuda type requires_grad_ resize

    repeat_interleave new_tensor index_add_ nelement narrow storage sub_ register_hook element_size new_ones data_ptr
    get_device tanh new_full ceil diag storage_offset unique retain_grad bernoulli_ multiply unfold is_contiguous stride
    index_fill_ unbind flip resize_ median index_select byte log10 chunk allclose ger sign addcmul_ equal var ravel
    swapaxes diagonal argmin prod half bfloat16 share_memory_
"""
ATTRIBUTES = "data shape device grad requires_grad T dtype ndim is_cuda grad_fn is_sparse mT is_leaf H"
MODULE_METHODS = """
    parameters zero_grad eval float train to state_dict load_state_dict cpu cuda register_buffer forward apply
    named_parameters type requires_grad_ modules add_module double children named_modules named_children
    register_parameter

    register_forward_hook to_empty share_memory register_backward_hook bfloat16 buffers register_forward_pre_hook
    get_submodule register_full_backward_hook
"""


def found(lib, path):
    for part in path.split("."):
        lib = getattr(lib, part)
    return lib


@pytest.mark.parametrize("path", [f"{space}.{name}".lstrip(".") for space, names in NAMESPACES.items() for name in words(names)])
def test_a_name_is_there_and_of_the_same_kind(path):
    mine, theirs = found(ours, path), found(torch, path)
    assert callable(mine) == callable(theirs) or path.startswith("distributed.ReduceOp")
    if isinstance(theirs, type) and not path.endswith("Tensor"):
        assert isinstance(mine, type) and mine.__name__ == theirs.__name__  # scripts look at class names, `classname.find("Conv")`


@pytest.mark.parametrize("name", words(METHODS))
def test_a_tensor_method_is_there(name):
    assert callable(getattr(ours.ones(2), name))


@pytest.mark.parametrize("name", words(ATTRIBUTES))
def test_a_tensor_attribute_reads_the_same(name):
    def run(T):
        value = getattr(T.arange(6.0).view(2, 3), name)
        return value if name != "device" else str(value)

    same(run)


@pytest.mark.parametrize("name", words(MODULE_METHODS))
def test_a_module_method_is_there(name):
    assert callable(getattr(ours.nn.Linear(2, 2), name))


IMPORTS = [
    ("nn", None),
    ("nn.functional", None),
    ("nn.init", None),
    ("nn.parameter", "Parameter"),
    ("nn.modules", "Module"),
    ("nn.utils.rnn", "pad_sequence"),
    ("nn.parallel", "DataParallel"),
    ("optim", "Adam"),
    ("optim.optimizer", "Optimizer"),
    ("optim.lr_scheduler", "StepLR"),
    ("autograd", "Variable"),
    ("utils.data", "DataLoader"),
    ("utils.data.dataset", "Dataset"),
    ("utils.data.dataloader", "DataLoader"),
    ("utils.data.sampler", "RandomSampler"),
    ("utils.data.distributed", "DistributedSampler"),
    ("utils.checkpoint", "checkpoint"),
    ("distributions", "Normal"),
    ("distributions.normal", "Normal"),
    ("distributions.categorical", "Categorical"),
    ("backends.cudnn", None),
    ("multiprocessing", None),
    ("distributed", None),
    ("cuda", None),
    ("cuda.amp", "GradScaler"),
    ("amp", "autocast"),
    ("linalg", None),
    ("jit", None),
    ("testing", "assert_close"),
    ("random", "manual_seed"),
    ("serialization", "load"),
]


@pytest.mark.parametrize(("module", "name"), IMPORTS, ids=lambda x: str(x))
def test_a_module_can_be_imported(module, name):
    for package in ("torchlike_asg", "torch"):
        loaded = importlib.import_module(f"{package}.{module}")
        assert name is None or hasattr(loaded, name)


def test_a_summary_writer_is_there():
    from torchlike_asg.utils.tensorboard import SummaryWriter

    assert callable(SummaryWriter.add_scalar)


# ---------------------------------------------------------------- what is left out
REFUSED = {
    "a tensor on cuda": (lambda T: T.ones(2).cuda(), "not compiled with CUDA"),
    "cuda as a device": (lambda T: T.ones(2).to("cuda"), "not compiled with CUDA"),
    "cuda as an argument": (lambda T: T.ones(2, device="cuda"), "not compiled with CUDA"),
    "a model on cuda": (lambda T: T.nn.Linear(2, 2).cuda(), "not compiled with CUDA"),
    "setting the cuda device": (lambda T: T.cuda.set_device(0), "CUDA"),
    "a process group": (lambda T: T.distributed.init_process_group("gloo"), "one process"),
    "reducing without a group": (lambda T: T.distributed.all_reduce(T.ones(2)), "has not been initialized"),
    "sparse values": (lambda T: T.ones(2).values(), "dense"),
    "compressed columns": (lambda T: T.ones(2, 2).to_sparse_csc(), "dense"),
    "sparse solutions": (lambda T: T.sparse.spsolve, "not implemented"),
    "binding dimensions": (lambda T: T.ones(2).index(0), "index_select"),
    "pinned memory": (lambda T: T.ones(2).pin_memory(), "Tensor.pin_memory is not implemented"),
    "a name of no library": (lambda T: T.no_such_name, "no_such_name is not implemented"),
    "a layer of no library": (lambda T: T.nn.NoSuchLayer(2), "NoSuchLayer is not implemented"),
    "another distribution": (lambda T: T.distributions.Zipf, "distributions.Zipf is not implemented"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_left_out_says_so(case):
    use, text = REFUSED[case]
    with pytest.raises((RuntimeError, NotImplementedError, AssertionError, ValueError), match=text):
        use(ours)


@pytest.mark.parametrize(
    "path",
    ["sparse_csc_tensor", "nn.NoSuchLayer", "nn.functional.no_such", "optim.NoSuch", "distributions.Zipf"],
)
def test_hasattr_sees_a_missing_name_as_absent(path):
    *spaces, name = path.split(".")
    assert not hasattr(found(ours, ".".join(spaces)) if spaces else ours, name)


def test_a_tensor_lacks_what_is_left_out():
    assert not hasattr(ours.ones(2), "to_sparse_csc") and not hasattr(ours.ones(2), "no_such_method")
