"""What comes with rnnzoo besides its code, by name: recipes and trained models. Reads folders, and no file in them."""

from __future__ import annotations

from pathlib import Path

PACKAGE = Path(__file__).parents[1]


def recipe_folder() -> Path:
    """Where the recipes that come with rnnzoo are: in the package or, of an editable install, in the repository."""
    inside, beside = PACKAGE / "recipes", PACKAGE.parent / "recipes"
    return beside if not inside.is_dir() and (PACKAGE.parent / "pyproject.toml").is_file() else inside


def recipes() -> dict[str, Path]:
    """The recipes that come with rnnzoo, by name: the path below their folder, without its suffix."""
    folder = recipe_folder()
    return {path.relative_to(folder).with_suffix("").as_posix(): path for path in sorted(folder.rglob("*.yaml"))}


def models() -> dict[str, Path]:
    """The folders of the trained models that come with rnnzoo, by name."""
    return {card.parent.name: card.parent for card in sorted((PACKAGE / "pretrained").glob("*/README.md"))}
