"""Files as researchers have them: folders of images, manifests, matrices, explanation files."""

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

TOPICS = ("stripes", "dots", "rings")


def png(grey: int = 128) -> bytes:
    """A small image."""
    out = io.BytesIO()
    Image.new("L", (8, 8), color=grey).save(out, "PNG")
    return out.getvalue()


def image_folder(folder: Path, n: int = 12) -> Path:
    """A folder of n images."""
    folder.mkdir(parents=True, exist_ok=True)
    for index in range(n):
        (folder / f"{index:03d}.png").write_bytes(png(index * 20 % 256))
    return folder


def archive(n: int = 12, **extra: bytes) -> bytes:
    """A ZIP file of n images and further members."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as file:
        for index in range(n):
            file.writestr(f"images/{index:03d}.png", png(index * 20 % 256))
        for name, content in extra.items():
            file.writestr(name, content)
    return out.getvalue()


def matrices(n: int = 12, seed: int = 0) -> dict[str, Any]:
    """Labels, activations driven by them, and a noisy prior, over n inputs."""
    rng = np.random.default_rng(seed)
    labels = (rng.random((n, len(TOPICS))) < 0.4).astype(np.float32)
    labels[0], labels[1] = 1, 0
    return {
        "labels": labels,
        "activations": (labels + rng.normal(0, 0.3, labels.shape)).astype(np.float32),
        "prior": np.clip(0.2 + 0.6 * labels + rng.normal(0, 0.1, labels.shape), 0.01, 0.99),
    }


def npy(array: Any) -> bytes:
    """An array as an .npy file."""
    out = io.BytesIO()
    np.save(out, array)
    return out.getvalue()


def table(values: Any, names: tuple[str, ...] = TOPICS) -> str:
    """A matrix as a CSV file that names its columns."""
    lines = [",".join(names), *(",".join(f"{value:.6f}" for value in row) for row in values)]
    return "\n".join(lines) + "\n"


def clip_dissect(*rows: tuple[int, str], layer: str = "conv1") -> str:
    """A result file of CLIP-Dissect."""
    lines = ["layer,unit,description,similarity"]
    lines += [f"{layer},{unit},{text},0.{unit + 1}" for unit, text in rows]
    return "\n".join(lines) + "\n"


def study_folder(folder: Path, example: Path) -> Path:
    """Everything that the example study file names, beside a copy of it."""
    n = 20
    made = matrices(n)
    images = image_folder(folder / "digits", n)
    labels = made["labels"].astype(int)
    rows = [",".join(map(str, (f"{index:03d}.png", *labels[index]))) for index in range(n)]
    (images / "manifest.csv").write_text("\n".join([f"file,{','.join(TOPICS)}", *rows]) + "\n")
    np.save(folder / "activations.npy", made["activations"])
    (folder / "prior.csv").write_text(table(made["prior"]))
    (folder / "clip_dissect.csv").write_text(
        clip_dissect(*((unit, topic) for unit, topic in enumerate(TOPICS)))
    )
    target = folder / "study.toml"
    target.write_text(example.read_text(encoding="utf-8"), encoding="utf-8")
    return target
