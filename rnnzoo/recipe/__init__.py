"""Recipes: YAML and overrides in, one complete plain dict out.

Two phases. `read` needs no torch: it parses the file, follows `base:`, merges the command line, and remembers where
each key was written. `resolve` imports the parts that the recipe names, and no others, and checks every key against
their signatures. Parts are named as they are registered; an import path means nothing here, so that a stranger's recipe
runs no code of its own.
"""

from typing import Any

from rnnzoo.recipe.merging import overrides
from rnnzoo.recipe.nodes import COMMAND_LINE, Node, Raw, Where, as_node, as_part
from rnnzoo.recipe.reading import MAX_BYTES, changed, locate, of, read, text
from rnnzoo.recipe.writing import digest, dump
from rnnzoo.recipe.yaml_text import parse
from rnnzoo.system.shipped import recipes as shipped

Recipe = dict[str, Any]  # a complete one, as `resolve` returns it: section -> key -> plain value

__all__ = [
    "COMMAND_LINE",
    "MAX_BYTES",
    "Node",
    "Raw",
    "Recipe",
    "Where",
    "as_node",
    "as_part",
    "changed",
    "digest",
    "dump",
    "locate",
    "of",
    "overrides",
    "parse",
    "read",
    "shipped",
    "text",
]
