"""A newcomer finds every room by the index of its folder."""

import re
from pathlib import Path

import annotation.services


def test_the_index_of_the_services_names_every_module_once() -> None:
    folder = Path(annotation.services.__file__).parent
    modules = {path.stem for path in folder.glob("[a-z]*.py")}
    index = re.sub(r"\([^)]*\)", "", annotation.services.__doc__ or "")
    lines = [line for line in index.splitlines() if line.startswith("    ")]
    words = re.findall(r"\b[a-z_]+\b", " ".join(lines))
    for module in sorted(modules):
        assert words.count(module) == 1, module
