"""Backbones: official files load strictly, wrong ones are named, nothing drifts."""

import pytest
import timm
import torch
import torchvision

from seedspread.config.errors import InputError
from seedspread.models.backbones import Backbone
from tests.conftest import SHARED


def saved(path, weights):
    torch.save(weights, path)
    return str(path)


@pytest.fixture
def images():
    return torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def resnet50():
    """torchvision's network with numbers of its own, BatchNorm's running ones included."""
    torch.manual_seed(0)
    network = torchvision.models.resnet50().eval()
    with torch.no_grad():
        for name, buffer in network.named_buffers():
            if name.endswith(("running_mean", "running_var")):
                buffer.uniform_(0.5, 1.5)
    return network


@pytest.mark.parametrize("file", ["supervised", "dino"])
def test_the_official_files_of_a_resnet50_load_strictly(tmp_path, resnet50, images, file):
    weights = resnet50.state_dict()
    assert weights["fc.weight"].shape == (1000, 2048) and len(weights) == 320
    if file == "dino":  # the same names without the head
        weights = {name: value for name, value in weights.items() if not name.startswith("fc.")}
    backbone = Backbone("resnet50", "torchvision", checkpoint=saved(tmp_path / "w.pth", weights)).load()
    with torch.no_grad():
        found = backbone(images)
        expected = torch.nn.Sequential(*list(resnet50.children())[:-1])(images).flatten(1)
    assert found.shape == (2, 2048) and torch.equal(found, expected)


@pytest.fixture(scope="module")
def vit():
    torch.manual_seed(0)
    return timm.create_model("vit_small_patch16_224", num_classes=0, img_size=64).eval()


def test_dinos_vit_loads_strictly_and_gives_class_tokens(tmp_path, vit, images):
    weights = vit.state_dict()
    assert {name.split(".")[0] for name in weights} == {"cls_token", "pos_embed", "patch_embed", "blocks", "norm"}
    assert len(weights) == 150  # 4 + 12 x 12 + 2, as the official file
    settings = {"checkpoint": saved(tmp_path / "w.pth", weights), "size": 64}
    one, four = (Backbone("vit_small_patch16_224", "timm", blocks=n, **settings).load() for n in (1, 4))
    tokens = []
    hooks = [block.register_forward_hook(lambda *args: tokens.append(args[-1])) for block in vit.blocks]
    with torch.no_grad():
        vit(images)
        for hook in hooks:
            hook.remove()
        expected = torch.cat([vit.norm(block)[:, 0] for block in tokens[-4:]], 1)
        assert four(images).shape == (2, 1536) and torch.allclose(four(images), expected, atol=1e-6)
        assert torch.allclose(one(images), expected[:, -384:], atol=1e-6)


@pytest.mark.parametrize("name", ["test_vit", "test_resnet", "test_efficientnet", "test_convnext"])
def test_timms_files_lose_their_classifier_and_half_precision(tmp_path, name):
    torch.manual_seed(0)
    whole = timm.create_model(name).eval().half()
    checkpoint = saved(tmp_path / "w.pth", whole.state_dict())
    backbone = Backbone(name, "timm", checkpoint=checkpoint)
    network, size = backbone.load(), backbone.transform.size
    with torch.no_grad():
        found = network(torch.zeros(1, 3, size, size))
        expected = whole.float().forward_head(whole.forward_features(torch.zeros(1, 3, size, size)), pre_logits=True)
    assert found.dtype == torch.float32 and torch.allclose(found, expected, atol=1e-5)
    assert not network.training and not any(p.requires_grad for p in network.parameters())


def test_the_shared_weights_classify(tmp_path):
    path = SHARED / "tf_efficientnet_lite0_fp16.pth"
    if not path.exists():
        pytest.skip(f"real weights are not at {path}")
    backbone = Backbone("tf_efficientnet_lite0", "timm", checkpoint=str(path))
    assert backbone.load()(torch.zeros(1, 3, 64, 64)).shape == (1, 1280)
    assert backbone.transform.mean == (0.5, 0.5, 0.5) and backbone.transform.resize == 256


def test_wrong_files_are_named_with_what_is_wrong(tmp_path):
    weights = timm.create_model("test_resnet").state_dict()
    whole = saved(tmp_path / "whole.pth", weights)
    (tmp_path / "torn.pth").write_bytes((tmp_path / "whole.pth").read_bytes()[:-5000])
    (tmp_path / "torn.safetensors").write_bytes(b"\x10\0\0")
    (tmp_path / "empty.pth").write_bytes(b"")
    saved(tmp_path / "code.pth", pytest.raises)
    saved(tmp_path / "list.pth", [1, 2])
    lacking = {name: value for name, value in weights.items() if name != "conv1.0.weight" and "bn1" not in name}
    saved(tmp_path / "lacking.pth", lacking)
    saved(tmp_path / "shape.pth", {**weights, "layer1.0.conv1.weight": torch.zeros(2)})
    for file, says in (
        ("torn.pth", "torn.pth: not a whole weights file"),
        ("torn.safetensors", "torn.safetensors: not a whole weights file"),
        ("empty.pth", "empty.pth: not a whole weights file"),
        ("code.pth", "code.pth: holds more than weights"),
        ("list.pth", "list.pth: no state_dict"),
        ("lacking.pth", r"lacking.pth: not the weights of test_resnet: it lacks .* more\."),
        ("shape.pth", "it has in another shape layer1.0.conv1.weight"),
        ("nowhere.pth", "no such file"),
    ):
        with pytest.raises(InputError, match=says):
            Backbone("test_resnet", "timm", checkpoint=str(tmp_path / file)).load()
    with pytest.raises(InputError, match="not the weights of test_vit: it lacks .*; it also has"):
        Backbone("test_vit", "timm", checkpoint=whole).load()


@pytest.mark.parametrize(
    "settings, says",
    [
        ({"name": "tf_efficientnet_lite00"}, "did you mean tf_efficientnet_lite0"),
        ({"name": "resnet_50", "library": "torchvision"}, "did you mean resnet50"),
        ({"name": "vit_small_patch16_224.dion"}, r"did you mean .*vit_small_patch16_224\.dino"),
        ({"library": "keras"}, "choose timm or torchvision"),
        ({"blocks": 0}, "backbone.blocks=0: at least 1"),
        ({"precision": "16-true"}, "choose auto, bf16-mixed or 32-true"),
    ],
)
def test_bad_settings_are_named_with_the_fix(settings, says):
    with pytest.raises(InputError, match=says):
        Backbone(**{"name": "test_vit", "library": "timm", **settings})


def test_features_that_a_network_does_not_have_are_refused(tmp_path):
    resnet = saved(tmp_path / "r.pth", timm.create_model("test_resnet").state_dict())
    with pytest.raises(InputError, match="backbone.blocks=4: test_resnet has no class token"):
        Backbone("test_resnet", "timm", checkpoint=resnet, blocks=4).load()
    vit = saved(tmp_path / "v.pth", timm.create_model("test_vit").state_dict())
    with pytest.raises(InputError, match=r"backbone.blocks=40: test_vit has \d+ blocks"):
        Backbone("test_vit", "timm", checkpoint=vit, blocks=40).load()
    with pytest.raises(InputError, match="backbone.size=64, backbone.resize=32"):
        Backbone("test_vit", "timm", size=64, resize=32).transform.size  # noqa: B018


def test_transforms_are_those_that_the_libraries_publish():
    ours = Backbone("resnet50", "torchvision").transform
    theirs = torchvision.models.ResNet50_Weights.IMAGENET1K_V1.transforms()
    assert (ours.size, ours.resize, ours.interpolation) == (224, 256, "bilinear")
    assert ours.mean == tuple(theirs.mean) and ours.std == tuple(theirs.std)
    smaller = Backbone("tf_efficientnet_lite0", "timm", size=112).transform
    assert (smaller.size, smaller.resize, smaller.interpolation) == (112, 128, "bicubic")


def test_downloads_are_checked_against_the_published_digest(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    fetched = []

    def download(url, path):
        fetched.append(url)
        saved(path, timm.create_model("test_resnet").state_dict())

    monkeypatch.setattr(torch.hub, "download_url_to_file", download)
    plain = Backbone("test_resnet", "timm", url="https://example.org/weights.pth")
    assert plain.load() and plain.weights_sha256() and fetched == ["https://example.org/weights.pth"]
    with pytest.raises(InputError, match=r"w-0123abcd.pth is damaged: SHA-256 .* expected 0123abcd"):
        Backbone("test_resnet", "timm", url="https://example.org/w-0123abcd.pth").weights_file()

    def fail(url, path):
        raise OSError("no network")

    monkeypatch.setattr(torch.hub, "download_url_to_file", fail)
    with pytest.raises(
        InputError, match=r"could not be downloaded from .*; download them elsewhere and set backbone.chec"
    ):
        Backbone("resnet50", "torchvision").weights_file()


def test_building_a_backbone_draws_from_no_seed(tmp_path):
    checkpoint = saved(tmp_path / "w.pth", timm.create_model("test_resnet").state_dict())
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    Backbone("test_resnet", "timm", checkpoint=checkpoint).load()
    assert torch.equal(torch.rand(3), expected)
