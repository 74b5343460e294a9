"""Models have torchvision's names, shapes and initial weights, and load its files."""

import zlib

import numpy as np
import pytest

import torchlike_asg as torch
from torchlike_asg import hub
from torchlike_asg.vision import models

#: entries of the state dict, parameters, CRC-32 of the list of (name, shape, dtype): of torchvision 0.28's models
TABLE = {
    "alexnet": (16, 61100840, 239989052),
    "convnext_base": (344, 88591464, 1886513857),
    "convnext_large": (344, 197767336, 2279896452),
    "convnext_small": (344, 50223688, 1793332689),
    "convnext_tiny": (182, 28589128, 2784959764),
    "densenet121": (727, 7978856, 877640275),
    "densenet161": (967, 28681000, 2674137880),
    "densenet169": (1015, 14149480, 1800958372),
    "densenet201": (1207, 20013928, 1853377337),
    "efficientnet_b0": (360, 5288548, 4293966136),
    "efficientnet_b1": (508, 7794184, 3665041203),
    "efficientnet_b2": (508, 9109994, 1596495006),
    "efficientnet_b3": (574, 12233232, 2222930548),
    "efficientnet_b4": (706, 19341616, 1439399266),
    "efficientnet_b5": (854, 30389784, 495279606),
    "efficientnet_b6": (986, 43040704, 3016112404),
    "efficientnet_b7": (1200, 66347960, 2170970352),
    "efficientnet_v2_l": (1548, 118515272, 1999392987),
    "efficientnet_v2_m": (1120, 54139356, 307756626),
    "efficientnet_v2_s": (782, 21458488, 269355004),
    "googlenet": (364, 13004888, 2000003524),
    "inception_v3": (580, 27161264, 3148642377),
    "mnasnet0_5": (314, 2218512, 435411676),
    "mnasnet0_75": (314, 3170208, 1732540096),
    "mnasnet1_0": (314, 4383312, 2822889670),
    "mnasnet1_3": (314, 6282256, 3094295601),
    "mobilenet_v2": (314, 3504872, 1728751877),
    "mobilenet_v3_large": (312, 5483032, 1262728915),
    "mobilenet_v3_small": (244, 2542856, 2520754011),
    "regnet_x_16gf": (428, 54278536, 2628400995),
    "regnet_x_1_6gf": (356, 9190136, 1722802770),
    "regnet_x_32gf": (446, 107811560, 990259142),
    "regnet_x_3_2gf": (482, 15296552, 4243791479),
    "regnet_x_400mf": (428, 5495976, 2728975001),
    "regnet_x_800mf": (320, 7259656, 857998308),
    "regnet_x_8gf": (446, 39572648, 1828231362),
    "regnet_y_16gf": (428, 83590140, 924578466),
    "regnet_y_1_6gf": (626, 11202430, 3924983271),
    "regnet_y_32gf": (472, 145046770, 3715820093),
    "regnet_y_3_2gf": (494, 19436338, 477809307),
    "regnet_y_400mf": (384, 4344144, 1761949478),
    "regnet_y_800mf": (340, 6432512, 3900763267),
    "regnet_y_8gf": (406, 39381472, 3456742904),
    "resnet101": (626, 44549160, 1233792227),
    "resnet152": (932, 60192808, 1878075979),
    "resnet18": (122, 11689512, 2175689777),
    "resnet34": (218, 21797672, 1160173925),
    "resnet50": (320, 25557032, 4078618554),
    "resnext101_32x8d": (626, 88791336, 898574699),
    "resnext101_64x4d": (626, 83455272, 4218647743),
    "resnext50_32x4d": (320, 25028904, 264102441),
    "shufflenet_v2_x0_5": (338, 1366792, 1908287201),
    "shufflenet_v2_x1_0": (338, 2278604, 3982153270),
    "shufflenet_v2_x1_5": (338, 3503624, 4122988508),
    "shufflenet_v2_x2_0": (338, 7393996, 4153651259),
    "squeezenet1_0": (52, 1248424, 4042059708),
    "squeezenet1_1": (52, 1235496, 3264859406),
    "swin_b": (353, 87768224, 1083423476),
    "swin_s": (353, 49606258, 1969867523),
    "swin_t": (185, 28288354, 269854565),
    "swin_v2_b": (449, 87930848, 962458702),
    "swin_v2_s": (449, 49737442, 2810142201),
    "swin_v2_t": (233, 28351570, 2818482132),
    "vgg11": (22, 132863336, 4078310131),
    "vgg11_bn": (62, 132868840, 4051515619),
    "vgg13": (26, 133047848, 1549995939),
    "vgg13_bn": (76, 133053736, 1004043942),
    "vgg16": (32, 138357544, 632494368),
    "vgg16_bn": (97, 138365992, 1285392328),
    "vgg19": (38, 143667240, 3711682591),
    "vgg19_bn": (118, 143678248, 4070854352),
    "vit_b_16": (152, 86567656, 2233829460),
    "vit_b_32": (152, 88224232, 1138480699),
    "vit_h_14": (392, 632045800, 1679258020),
    "vit_l_16": (296, 304326632, 1963986598),
    "vit_l_32": (296, 306535400, 609197788),
    "wide_resnet101_2": (626, 126886696, 2670641025),
    "wide_resnet50_2": (320, 68883240, 1902049384),
}


def layout(model):
    return [(name, tuple(value.shape), str(value.dtype).removeprefix("torch.")) for name, value in model.state_dict().items()]


@pytest.fixture
def quick(monkeypatch):
    """Layers are made without drawing their initial values."""
    for name in ("kaiming_uniform_", "kaiming_normal_", "uniform_", "normal_", "xavier_uniform_", "trunc_normal_"):
        monkeypatch.setattr(torch.nn.init, name, lambda tensor, *_, **__: tensor)


def test_the_table_is_complete():
    assert sorted(TABLE) == models.list_models()


@pytest.mark.parametrize("name", sorted(TABLE, key=lambda n: TABLE[n][1]))
@pytest.mark.filterwarnings("ignore:The default weight initialization of")
def test_names_and_shapes_are_torchvisions(name, quick):
    with torch.device("meta"):
        model = models.get_model(name)
    entries = layout(model)
    assert (len(entries), sum(p.numel() for p in model.parameters()), zlib.crc32(repr(entries).encode())) == TABLE[name]


def squares(state, names):
    """The sum of squares of each of these weights."""
    return {name: float(np.square(state[name].numpy().astype(np.float64)).sum()) for name in names}


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("resnet18", {"conv1.weight": 5.94274807032385, "layer3.0.conv1.weight": 257.2625771387317, "fc.weight": 333.0089072547345}),
        ("squeezenet1_1", {"features.0.weight": 126.88752368118561, "classifier.1.weight": 51.33823554756852}),
        ("mobilenet_v2", {"features.0.0.weight": 5.4599545136286896, "features.9.conv.2.weight": 767.7244714086678}),
        ("efficientnet_b0", {"features.0.0.weight": 6.038413102999046, "classifier.1.weight": 426.62270315929123}),
    ],
)
def test_initial_weights_are_torchvisions(name, wanted):
    torch.manual_seed(0)
    state = models.get_model(name).state_dict()
    assert squares(state, wanted) == pytest.approx(wanted, rel=1e-6)


def test_a_transformers_initial_weights_are_torchvisions():
    torch.manual_seed(0)
    state = models.VisionTransformer(32, 8, 1, 2, 16, 32, num_classes=5, representation_size=7).state_dict()
    wanted = {
        "conv_proj.weight": 16.240515224851702,
        "encoder.pos_embedding": 0.09661263587854227,
        "encoder.layers.encoder_layer_0.self_attention.in_proj_weight": 23.42263081153391,
        "encoder.layers.encoder_layer_0.mlp.3.weight": 22.697779667489712,
    }
    assert squares(state, wanted) == pytest.approx(wanted, rel=1e-6)


@pytest.mark.parametrize(
    ("name", "size", "options", "wanted"),
    [
        ("inception_v3", 75, {"init_weights": False, "aux_logits": False, "transform_input": True}, [0.04556, 0.0274, -0.00978]),
        ("efficientnet_b0", 32, {}, [0.1489, -0.08771, 0.03899]),
        ("efficientnet_v2_s", 32, {}, [0.19256, -0.12061, 0.04788]),
        ("googlenet", 32, {"init_weights": False, "aux_logits": False, "transform_input": True}, [0.06046, 0.07726, 0.07068]),
        ("mobilenet_v3_small", 32, {}, [0.12372, 0.1058, 0.05704]),
        ("mnasnet0_5", 32, {}, [0.15234, -0.09009, 0.03935]),
        ("shufflenet_v2_x0_5", 32, {}, [0.12264, 0.10464, 0.05609]),
        ("regnet_y_400mf", 32, {}, [0.37124, 0.36361, 0.34344]),
        ("regnet_x_400mf", 32, {}, [0.55374, -0.47532, 0.3741]),
    ],
)
def test_scores_are_torchvisions(name, size, options, wanted, quick):
    """With weights that are easily made anew; the scores are those that torchvision 0.28's models give with them."""
    scores = made_anew(models.get_model(name, num_classes=3, **options), size, 0.02)
    assert torch.allclose(scores, torch.tensor([wanted, wanted]), atol=2e-5)


def made_anew(model, size, gain):
    """The scores of a model with weights that are easily made anew, for two images of `size`."""
    with torch.no_grad():
        for key, p in model.eval().named_parameters():
            p.copy_(torch.cos(torch.arange(p.numel()) * 0.7).view(p.shape) * gain + (p.dim() == 1 and "weight" in key))
        return model(torch.linspace(-1, 1, 2 * 3 * size * size).view(2, 3, size, size))


def test_scores_of_small_models_are_torchvisions(quick):
    convnext = models.ConvNeXt([(8, 1), (16, 2)], layer_scale=0.5, num_classes=3)
    wanted = [[1.3352, 0.4702, -0.9724], [1.2390, 0.4924, -0.8672]]
    assert torch.allclose(made_anew(convnext, 32, 0.2), torch.tensor(wanted), atol=2e-4)
    swin = models.SwinTransformer([4, 4], 8, [2, 2], [2, 4], [3, 3], num_classes=3)
    wanted = [[1.6257, -0.1434, -1.5121], [1.6768, -0.1735, -1.5753]]
    assert torch.allclose(made_anew(swin, 36, 0.2), torch.tensor(wanted), atol=2e-4)


def test_swin_v2_is_torchvisions():
    kind = {"block": models.swin_transformer_v2.SwinTransformerBlockV2, "downsample_layer": models.swin_transformer_v2.PatchMergingV2}
    torch.manual_seed(0)
    swin = models.SwinTransformer([4, 4], 8, [2, 2], [2, 4], [3, 3], num_classes=3, **kind)
    wanted = {
        "features.1.0.attn.cpb_mlp.0.weight": 0.4326718986206828,
        "features.2.reduction.weight": 0.22583388482709604,
        "features.3.1.attn.qkv.weight": 0.33040837071143897,
    }
    assert squares(swin.state_dict(), wanted) == pytest.approx(wanted, rel=1e-6)
    scores = made_anew(swin, 36, 0.2)
    assert torch.allclose(scores, torch.tensor([[2.3339, 0.1506, -2.1009], [2.3366, 0.1508, -2.1035]]), atol=2e-4)


def test_the_heads_of_googlenet_in_training(quick):
    model = models.GoogLeNet(num_classes=3, init_weights=False)
    outputs = model(torch.randn(2, 3, 32, 32))
    assert isinstance(outputs, models.GoogLeNetOutputs) and all(scores.shape == (2, 3) for scores in outputs)
    with pytest.warns(FutureWarning, match="initialization of GoogleNet"):
        models.googlenet()


def test_a_model_learns():
    torch.manual_seed(0)
    model = models.ResNet(models.resnet.BasicBlock, [1, 1, 1, 1], num_classes=2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    x, y = torch.randn(4, 3, 32, 32), torch.tensor([0, 1, 0, 1])
    losses = []
    for _ in range(4):
        loss = torch.nn.functional.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.7 * losses[0]


def test_outputs():
    torch.manual_seed(0)
    tiny = dict(image_size=32, patch_size=8, num_layers=1, num_heads=2, hidden_dim=16, mlp_dim=32, num_classes=5)
    transformer = models.VisionTransformer(**tiny, representation_size=7).eval()
    with torch.no_grad():
        assert transformer(torch.randn(2, 3, 32, 32)).shape == (2, 5)
        assert models.squeezenet1_1(num_classes=3).eval()(torch.randn(1, 3, 64, 64)).shape == (1, 3)
        assert models.mobilenet_v2(num_classes=4, width_mult=0.25).eval()(torch.randn(1, 3, 64, 64)).shape == (1, 4)
    with pytest.raises(AssertionError, match="Wrong image height"):
        transformer(torch.randn(2, 3, 16, 16))
    with pytest.raises(ValueError, match="3-element"):
        models.resnet50(replace_stride_with_dilation=(True,))


# ===== Weights


def test_weights_from_a_file(tmp_path):
    torch.manual_seed(1)
    model = models.squeezenet1_1(num_classes=3)
    path = tmp_path / "mine.pth"
    torch.save(model.state_dict(), path)
    for weights in (path, str(path)):
        loaded = models.squeezenet1_1(weights=weights, num_classes=3)
        assert all(torch.equal(a, b) for a, b in zip(model.state_dict().values(), loaded.state_dict().values(), strict=True))
    with pytest.raises(RuntimeError, match="size mismatch"):
        models.squeezenet1_1(weights=path)
    with pytest.raises(FileNotFoundError, match="there is no file"):
        models.squeezenet1_1(weights=tmp_path / "absent.pth")


def test_named_weights_are_looked_for_in_the_hub(tmp_path, monkeypatch, quick):
    from urllib.error import URLError

    monkeypatch.setattr(hub, "_chosen", {"dir": str(tmp_path)})
    asked = []

    def refuse(request, *_, **__):
        asked.append(request.full_url)
        raise URLError("no network")

    monkeypatch.setattr(hub, "urlopen", refuse)
    for weights in ("DEFAULT", "IMAGENET1K_V1", models.SqueezeNet1_1_Weights.DEFAULT):
        with pytest.raises(
            RuntimeError, match=r"SqueezeNet1_1_Weights\.IMAGENET1K_V1 are not in .*no network.*Put the file squeezenet1_1-b8a52dc0"
        ):
            models.squeezenet1_1(weights=weights)
    assert asked[0].endswith("/squeezenet1_1-b8a52dc0.pth")
    torch.save(models.squeezenet1_1().state_dict(), tmp_path / "checkpoints" / "squeezenet1_1-b8a52dc0.pth")
    assert isinstance(models.squeezenet1_1(weights="DEFAULT"), models.SqueezeNet)
    with pytest.warns(UserWarning, match="deprecated"):
        models.squeezenet1_1(pretrained=True)


def test_weights_that_are_not_there():
    with pytest.raises(ValueError, match="neither a file nor one of IMAGENET1K_V1"):
        models.squeezenet1_1(weights="IMAGENET1K_V9")
    with pytest.raises(TypeError, match="expected SqueezeNet1_1_Weights but received ResNet18_Weights"):
        models.squeezenet1_1(weights=models.ResNet18_Weights.DEFAULT)
    with pytest.raises(NotImplementedError, match="resnet18"):
        _ = models.maxvit_t
    with pytest.raises(ValueError, match="Unknown model"):
        models.get_model("nothing")


def test_what_images_go_through_first():
    weights = models.get_model_weights("resnet50")
    assert weights.DEFAULT is weights.IMAGENET1K_V2 and weights is models.ResNet50_Weights
    image = torch.randint(0, 256, (3, 300, 260), dtype=torch.uint8)
    prepared = weights.DEFAULT.transforms()(image)
    assert prepared.shape == (3, 224, 224) and prepared.dtype is torch.float32 and -2.2 < prepared.min().item() < -1.5


def test_a_densenet_is_torchvisions():
    """Initial weights and scores under torchvision 0.28; and the published files' older names are understood."""
    torch.manual_seed(0)
    model = models.densenet121(num_classes=7)
    state = model.state_dict()
    wanted = {
        "features.conv0.weight": 125.89114611,
        "features.denseblock3.denselayer9.conv2.weight": 64.166288,
        "classifier.weight": 2.3354147,
    }
    assert squares(state, wanted) == pytest.approx(wanted, rel=1e-6)
    torch.manual_seed(1)
    scores = model.eval()(torch.randn(1, 3, 64, 64))
    assert scores.flatten().tolist() == pytest.approx([-0.214, -0.001, -0.947, -0.71, 0.089, 0.033, 1.042], abs=2e-3)
    older = {name.replace("norm1", "norm.1").replace("conv2.", "conv.2."): torch.zeros_like(value) for name, value in state.items()}
    assert "features.denseblock1.denselayer1.norm.1.weight" in older
    model.load_state_dict(older)
    assert not model.features.denseblock4.denselayer2.conv2.weight.any()


def test_results_of_some_layers(quick):
    """The backbone of DETR: names and results up to the last layer asked for."""
    from torchlike_asg.vision import _is_tracing
    from torchlike_asg.vision.models._utils import IntermediateLayerGetter

    model = models.resnet18(num_classes=3).eval()
    body = IntermediateLayerGetter(model, {"layer1": "0", "layer3": "last"})
    assert list(body) == ["conv1", "bn1", "relu", "maxpool", "layer1", "layer2", "layer3"]
    assert set(body.state_dict()) < set(model.state_dict())
    x = torch.rand(1, 3, 32, 32)
    found = body(x)
    want = model.layer1(model.maxpool(model.relu(model.bn1(model.conv1(x)))))
    assert list(found) == ["0", "last"] and found["last"].shape == (1, 256, 2, 2) and torch.allclose(found["0"], want)
    with pytest.raises(ValueError, match="return_layers are not present"):
        IntermediateLayerGetter(model, {"layer9": "0"})
    assert not _is_tracing()
