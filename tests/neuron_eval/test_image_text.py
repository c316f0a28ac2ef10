"""Image-text concept vectors: those of the model itself, with features kept between runs.

The models are tiny, random, and made here; nothing is fetched.
"""

import importlib.util
import os
import shutil
import sys

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.special import expit, softmax

from neuron_eval.calibration import Calibration, fit_calibration
from neuron_eval.calibration_curves import PlattCurve
from neuron_eval.concepts import ConceptSource
from neuron_eval.image_text import ImageTextSource
from neuron_eval.image_text_model import ImageTextError
from neuron_eval.recording import open_recording
from neuron_eval.vision import import_torchvision

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("transformers") is None, reason="needs the extra siglip"
)

WORDS = ["<pad>", "<unk>", "</s>", "this", "is", "a", "photo", "of", ".", "cat", "dog"]
WORDS += ["striped", "fish", "red"]
TEXTS = ["cat", "striped fish", "red dog"]
TOWER = {
    "hidden_size": 16,
    "intermediate_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
}
CONTEXT = 14


@pytest.fixture(scope="module", autouse=True)
def _offline():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HF_HUB_OFFLINE", "1")
        yield


def _tokenizer(*, eos):
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    words = Tokenizer(
        models.WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="<unk>")
    )
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    if eos:
        words.post_processor = processors.TemplateProcessing(
            single="$A </s>", special_tokens=[("</s>", WORDS.index("</s>"))]
        )
    return PreTrainedTokenizerFast(
        tokenizer_object=words,
        pad_token="<pad>",
        unk_token="<unk>",
        eos_token="</s>",
        model_input_names=["input_ids", "attention_mask"] if eos else ["input_ids"],
    )


def _save(folder, kind, seed=0):
    import_torchvision()
    import transformers as hf

    text = {
        **TOWER,
        "vocab_size": len(WORDS),
        "max_position_embeddings": CONTEXT,
        "pad_token_id": 0,
        "bos_token_id": 2,
        "eos_token_id": 2,
    }
    vision = {**TOWER, "image_size": 16, "patch_size": 8}
    torch.manual_seed(seed)
    if kind == "siglip":
        model = hf.SiglipModel(hf.SiglipConfig(text_config=text, vision_config=vision))
        size = {"height": 16, "width": 16}
        processor = hf.SiglipProcessor(hf.SiglipImageProcessor(size=size), _tokenizer(eos=False))
    elif kind == "siglip2":
        vision = {**TOWER, "num_patches": 16, "patch_size": 8}
        model = hf.Siglip2Model(hf.Siglip2Config(text_config=text, vision_config=vision))
        images = hf.Siglip2ImageProcessor(patch_size=8, max_num_patches=16)
        processor = hf.Siglip2Processor(images, _tokenizer(eos=False))
    else:
        config = hf.CLIPConfig(text_config=text, vision_config=vision, projection_dim=8)
        model = hf.CLIPModel(config)
        size = {"shortest_edge": 16}
        images = hf.CLIPImageProcessor(size=size, crop_size={"height": 16, "width": 16})
        processor = hf.CLIPProcessor(images, _tokenizer(eos=True))
    # Random towers give nearly equal features; the weights are stretched so that inputs differ.
    with torch.no_grad():
        for weight in model.parameters():
            if weight.ndim > 1:
                weight.mul_(10)
    model.eval().save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    made = {}

    def get(kind):
        if kind not in made:
            made[kind] = _save(tmp_path_factory.mktemp(kind), kind)
        return made[kind]

    return get


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """Seven PNG files of different sizes."""
    folder = tmp_path_factory.mktemp("images")
    rng = np.random.default_rng(0)
    paths = []
    for place in range(7):
        pixels = rng.integers(0, 256, size=(4, 4, 3), dtype=np.uint8)
        image = Image.fromarray(pixels).resize((20 + place, 30), Image.Resampling.NEAREST)
        paths.append(folder / f"{place}.png")
        image.save(paths[-1])
    return paths


def _reference(folder, paths, prompts, **options):
    """The model's own forward pass, as its documentation shows it."""
    from transformers import AutoModel, AutoProcessor

    model, processor = AutoModel.from_pretrained(folder), AutoProcessor.from_pretrained(folder)
    pictures = [Image.open(path).convert("RGB") for path in paths]
    inputs = processor(text=prompts, images=pictures, return_tensors="pt", **options)
    with torch.no_grad():
        return model.eval()(**inputs).logits_per_image.double().numpy()


def _source(folder, texts=TEXTS, **options):
    return ImageTextSource(texts, folder, local_files_only=True, device="cpu", **options)


PROMPTS = [f"this is a photo of {text}." for text in TEXTS]


@pytest.mark.parametrize("kind", ["siglip", "siglip2"])
def test_siglip_equals_the_model_itself(models, images, kind):
    source = _source(models(kind), batch_size=3)
    assert isinstance(source, ConceptSource)
    assert source.kind == "sigmoid"
    options = {"padding": "max_length", "max_length": CONTEXT}
    if kind == "siglip2":  # its processor has defaults that fit no model as small as this one
        options |= {"patch_size": 8, "max_num_patches": 16}
    expected = _reference(models(kind), images, PROMPTS, **options)
    assert np.ptp(expected) > 0.1
    np.testing.assert_allclose(source.logits(images), expected, atol=1e-5)
    np.testing.assert_allclose(source.concept_vectors(images), expit(expected), atol=1e-5)


def test_clip_equals_the_model_itself(models, images):
    folder = models("clip")
    source = _source(folder, template="a photo of {}", batch_size=2)
    assert source.kind == "softmax"
    prompts = [f"a photo of {text}" for text in TEXTS]
    expected = _reference(folder, images, prompts, padding=True)
    assert np.ptp(expected) > 0.1
    np.testing.assert_allclose(source.logits(images), expected, atol=1e-5)
    np.testing.assert_allclose(source.concept_vectors(images), softmax(expected, axis=1), atol=1e-5)


def test_softmax_of_siglip_is_selectable(models, images):
    source = _source(models("siglip"), probabilities="softmax")
    np.testing.assert_allclose(
        source.concept_vectors(images), softmax(source.logits(images), axis=1), atol=1e-12
    )


def test_siglip_prompts_are_in_lower_case(models, images):
    upper = _source(models("siglip"), ["CAT", "Striped Fish", "Red dog"])
    lower = _source(models("siglip"))
    np.testing.assert_array_equal(upper.logits(images), lower.logits(images))


def test_braces_in_texts_are_text(models, images):
    source = _source(models("siglip"), ["{cat}", "{}"], template="{}")
    assert source.logits(images).shape == (7, 2)


def test_kinds_of_inputs(models, images):
    source = _source(models("siglip"))
    expected = source.logits(images)
    pictures = [Image.open(path) for path in images]
    arrays = [np.asarray(picture) for picture in pictures]

    class Pairs:
        def __len__(self):
            return len(pictures)

        def __getitem__(self, place):
            return pictures[place], place

    for data in ([str(path) for path in images], pictures, arrays, Pairs()):
        np.testing.assert_array_equal(source.logits(data), expected)


def test_images_are_turned_and_converted(models, images, tmp_path):
    source = _source(models("siglip"))
    upright = Image.open(images[0]).convert("RGB")
    exif = Image.Exif()
    exif[0x0112] = 6  # "turn by 270 degrees to see me upright"
    turned = tmp_path / "turned.png"
    upright.transpose(Image.Transpose.ROTATE_90).save(turned, exif=exif)
    grey, palette, alpha = (tmp_path / f"{mode}.png" for mode in ("grey", "palette", "alpha"))
    upright.convert("L").save(grey)
    upright.quantize(256).save(palette)
    upright.convert("RGBA").save(alpha)
    got = source.logits([turned, alpha, palette, grey])
    expected = source.logits([images[0], upright.convert("L").convert("RGB")])
    np.testing.assert_allclose(got[0], expected[0], atol=1e-6)
    np.testing.assert_allclose(got[1], expected[0], atol=1e-6)
    np.testing.assert_allclose(got[2], expected[0], atol=1e-6)
    np.testing.assert_allclose(got[3], expected[1], atol=1e-6)
    assert np.abs(got[3] - expected[0]).max() > 1e-4


# --- the cache -----------------------------------------------------------------------------------


class _Counting:
    """Images that count how often they are read, and may fail."""

    def __init__(self, paths, fail_at=None):
        self.paths, self.fail_at, self.read = paths, fail_at, []

    def __len__(self):
        return len(self.paths)

    def __getitem__(self, place):
        if place == self.fail_at:
            raise KeyboardInterrupt
        self.read.append(place)
        return Image.open(self.paths[place])


def test_cached_features_are_those_of_a_fresh_run(models, images, tmp_path):
    fresh = _source(models("siglip"), batch_size=3).concept_vectors(images)
    seen = []
    source = _source(models("siglip"), batch_size=3, cache=tmp_path, progress=seen.append)
    np.testing.assert_array_equal(source.concept_vectors(images), fresh)
    assert seen == [3, 6, 7, 7]
    features = source.image_features(images)
    assert isinstance(features, np.memmap)
    np.testing.assert_allclose(np.linalg.norm(features, axis=1), 1, atol=1e-6)
    again = _source(models("siglip"), cache=tmp_path)
    np.testing.assert_array_equal(again.concept_vectors(images), fresh)
    np.testing.assert_array_equal(again.text_features(), source.text_features())


def test_other_texts_cost_the_text_tower_only(models, images, tmp_path, monkeypatch):
    data = _Counting(images)
    source = _source(models("siglip"), cache=tmp_path)
    source.logits(data, dataset_id="seven")
    other = source.with_texts(["dog", "red"])
    got = other.logits(data, dataset_id="seven")
    assert data.read == list(range(7))
    assert (other.texts, source.texts) == (("dog", "red"), tuple(TEXTS))
    np.testing.assert_allclose(
        got, _source(models("siglip"), ["dog", "red"]).logits(images), atol=1e-6
    )
    # Known texts cost nothing at all.
    last = _source(models("siglip"), ["dog", "red"], cache=tmp_path)
    monkeypatch.setattr(last._model, "get_text_features", None)
    np.testing.assert_array_equal(last.logits(data, dataset_id="seven"), got)


def test_an_interrupted_run_is_resumed(models, images, tmp_path):
    broken = _Counting(images, fail_at=4)
    options = {"cache": tmp_path, "batch_size": 2}
    with pytest.raises(KeyboardInterrupt):
        _source(models("siglip"), **options).logits(broken, dataset_id="seven")
    (folder,) = (path for path in tmp_path.iterdir() if path.is_dir())
    assert open_recording(folder).n_done == 4
    whole, seen = _Counting(images), []
    resumed = _source(models("siglip"), **options, progress=seen.append)
    got = resumed.logits(whole, dataset_id="seven")
    assert whole.read == [4, 5, 6]
    assert seen == [6, 7, 7]
    np.testing.assert_array_equal(got, _source(models("siglip"), batch_size=2).logits(images))


def _folders(cache):
    return {path.name for path in cache.iterdir() if path.is_dir()}


def test_the_cache_tells_inputs_models_and_preprocessing_apart(models, images, tmp_path):
    cache, copies = tmp_path / "cache", tmp_path / "copies"
    copies.mkdir()
    paths = [shutil.copy2(path, copies / path.name) for path in images[:3]]
    source = _source(models("siglip"), cache=cache)
    source.image_features(paths)
    source.image_features([str(path) for path in paths])
    known = _folders(cache)
    assert len(known) == 1

    def new():
        nonlocal known
        added = _folders(cache) - known
        known |= added
        return len(added)

    source.image_features(paths[::-1])
    assert new() == 1  # another order
    os.utime(paths[0], ns=(0, 0))
    source.image_features(paths)
    assert new() == 1  # a file that may have changed
    source.image_features(paths, dataset_id="three")
    assert new() == 1
    source.image_features(paths[:2], dataset_id="three")
    assert new() == 1  # another number of inputs
    other = _save(tmp_path / "other", "siglip", seed=1)
    _source(other, cache=cache).image_features(paths)
    assert new() == 1  # other weights
    moved = shutil.copytree(models("siglip"), tmp_path / "moved")
    _source(moved, cache=cache).image_features(paths)
    assert new() == 0  # the same weights in another folder
    source._processor.image_processor.image_mean = (0.1, 0.1, 0.1)
    source.image_features(paths)
    assert new() == 1


def test_datasets_without_files_need_an_id(models, images, tmp_path):
    source = _source(models("siglip"), cache=tmp_path)
    with pytest.raises(ImageTextError, match="give a dataset_id"):
        source.logits([Image.open(images[0])])
    assert source.logits([Image.open(images[0])], dataset_id="one").shape == (1, 3)


def test_an_image_folder_is_known_by_its_files(models, images, tmp_path):
    for place, path in enumerate(images[:3]):
        target = tmp_path / "data" / f"class{place}" / path.name
        target.parent.mkdir(parents=True)
        shutil.copy2(path, target)
    datasets = importlib.import_module(f"{import_torchvision().__name__}.datasets")
    source = _source(models("siglip"), cache=tmp_path / "cache")
    plain = datasets.ImageFolder(tmp_path / "data")
    np.testing.assert_allclose(
        source.logits(plain), _source(models("siglip")).logits(images[:3]), atol=1e-6
    )
    flipped = datasets.ImageFolder(tmp_path / "data", transform=lambda image: image.rotate(180))
    assert np.abs(source.logits(flipped) - source.logits(plain)).max() > 1e-4


# --- calibration ---------------------------------------------------------------------------------


def test_calibrated_output(models, images):
    source = _source(models("siglip"))
    logits = source.logits(images)
    labels = (logits > np.median(logits)).astype(float)
    for kind in ("platt", "isotonic"):
        calibration = fit_calibration(logits, labels, kind=kind)
        calibrated = source.with_calibration(calibration)
        assert (calibrated.kind, source.kind) == (kind, "sigmoid")
        np.testing.assert_allclose(
            calibrated.concept_vectors(images), calibration.apply(logits), atol=1e-6
        )
        loaded = _source(models("siglip"), calibration=calibration)
        np.testing.assert_array_equal(
            loaded.concept_vectors(images), calibrated.concept_vectors(images)
        )
        assert source.with_texts(["dog"]).kind == "sigmoid"


def test_clip_may_be_calibrated(models, images):
    calibration = Calibration("platt", (PlattCurve(0.5, -1),), per_concept=False)
    source = _source(models("clip"), ["cat"], calibration=calibration, probabilities="sigmoid")
    assert source.kind == "platt"
    np.testing.assert_allclose(
        source.concept_vectors(images), expit(0.5 * source.logits(images) - 1), atol=1e-12
    )


def test_curves_of_other_concepts_are_refused(models):
    curves = (PlattCurve(1, 0),) * 3
    own = Calibration("platt", curves, per_concept=True, names=tuple(TEXTS))
    source = _source(models("siglip"), calibration=own)
    with pytest.raises(ImageTextError, match="curves belong to other concepts"):
        source.with_texts(["dog", "cat", "fish"])
    with pytest.raises(ImageTextError, match="curves belong to other concepts"):
        source.with_texts(["dog"])
    assert source.with_calibration(None).with_texts(["dog"]).kind == "sigmoid"


# --- what is refused -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        ("clip", {"probabilities": "sigmoid"}, "without a logit bias"),
        ("clip", {"texts": ["cat"]}, "a softmax is always 1"),
        (
            "siglip",
            {
                "probabilities": "softmax",
                "calibration": Calibration("platt", (PlattCurve(1, 0),), per_concept=False),
            },
            "'softmax' with a calibration",
        ),
        ("siglip", {"probabilities": "argmax"}, "probabilities: found 'argmax'"),
        ("siglip", {"texts": []}, "at least one text"),
        ("siglip", {"texts": "cat"}, "found 'cat', expected a list"),
        ("siglip", {"texts": ["cat", " "]}, "text 1 is ' '"),
        ("siglip", {"texts": ["cat", "dog", "cat"]}, "'cat' stands there more than once"),
        ("siglip", {"template": "a photo"}, "template: found 'a photo'"),
        ("siglip", {"batch_size": 0}, "batch_size: found 0"),
    ],
)
def test_parameters_are_checked(models, kind, options, message):
    with pytest.raises(ImageTextError, match=message):
        _source(models(kind), **{"texts": TEXTS, **options})


def test_files_that_are_no_images_are_named(models, images, tmp_path):
    source = _source(models("siglip"))
    bad = tmp_path / "bad.png"
    bad.write_bytes(images[0].read_bytes()[:60])
    with pytest.raises(ImageTextError, match=r"input 1, .*bad\.png: no image can be decoded"):
        source.logits([images[0], bad])
    bad.write_text("hello")
    with pytest.raises(ImageTextError, match=r"input 0, .*bad\.png: no image"):
        source.logits([bad])
    with pytest.raises(ImageTextError, match=r"none\.png: no image"):
        source.logits([tmp_path / "none.png"])
    with pytest.raises(ImageTextError, match="input 0 cannot be read"):
        _source(models("siglip"), cache=tmp_path).logits([tmp_path / "none.png"])
    deep = tmp_path / "deep.png"
    Image.fromarray(np.full((4, 4), 60_000, dtype=np.uint16)).save(deep)
    with pytest.raises(ImageTextError, match=r"deep\.png.*convert it to 8 bits"):
        source.logits([deep])


def test_huge_images_are_refused(models, images, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(ImageTextError, match=r"0\.png: .*decompression bomb"):
        _source(models("siglip")).logits(images)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("a.png", "found one path"),
        ([], "found no inputs"),
        (iter([]), "expected a sequence"),
        ([torch.zeros(3, 4, 4)], "input 0 is a Tensor.*leave out transforms"),
        ([np.zeros((4, 4, 3))], "input 0 is a ndarray"),
    ],
)
def test_other_data_is_refused(models, data, message):
    with pytest.raises(ImageTextError, match=message):
        _source(models("siglip")).logits(data)


def test_long_texts_are_reported(models, images):
    long = "cat " * CONTEXT
    source = _source(models("siglip"), ["dog", long])
    with pytest.warns(UserWarning, match=f"1 prompts are longer than the {CONTEXT} tokens"):
        assert source.logits(images).shape == (7, 2)


def test_wrong_folders(models, tmp_path):
    with pytest.raises(ImageTextError, match="cannot be loaded"):
        _source(tmp_path / "none")
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(ImageTextError, match="empty' cannot be loaded"):
        _source(empty)
    bare = shutil.copytree(models("siglip"), tmp_path / "bare")
    (bare / "processor_config.json").unlink()
    with pytest.raises(ImageTextError, match="bare'"):
        _source(bare)


def test_pickled_weights_are_never_loaded(models, tmp_path):
    folder = shutil.copytree(models("siglip"), tmp_path / "pickled")
    from safetensors.torch import load_file, save_file

    weights = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    torch.save(weights, folder / "pytorch_model.bin")
    with pytest.raises(ImageTextError, match="safetensors weights"):
        _source(folder)
    del weights["logit_bias"]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ImageTextError, match="lacks 1 weights, the first is 'logit_bias'"):
        _source(folder)


def test_text_models_are_refused(tmp_path):
    import_torchvision()
    import transformers as hf

    config = hf.BertConfig(vocab_size=len(WORDS), **TOWER)
    hf.BertModel(config).save_pretrained(tmp_path)
    _tokenizer(eos=True).save_pretrained(tmp_path)
    with pytest.raises(ImageTextError, match=r"BertModel.*has no get_image_features"):
        _source(tmp_path)


def test_the_missing_extra_is_named(models, monkeypatch):
    folder = models("siglip")
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(ImageTextError, match=r"pip install 'neuronjury\[siglip\]'"):
        _source(folder)
