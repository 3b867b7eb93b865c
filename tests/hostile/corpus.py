"""Files that mean harm, or are broken: by the verb that reads them, each with how it is made.

An entry is made in an empty folder, which is the current one then, and must be refused by its command: exit code 2 and
a message. Whatever runs code of an entry leaves the file `executed`.
"""

from __future__ import annotations

from collections.abc import Callable

from making import Entry
from of_data import data, vectors
from of_models import models, starts
from of_names import names
from of_recipes import recipes
from of_runs import shown
from of_states import states

GROUPS: dict[str, Callable[[], dict[str, Entry]]] = {
    "recipes": recipes,
    "shown": shown,
    "names": names,
    "data": data,
    "vectors": vectors,
    "models": models,
    "states": states,
    "starts": starts,
}
