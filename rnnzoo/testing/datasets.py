"""What every data set promises."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from functools import cached_property
from typing import Any

import numpy as np
import torch

from rnnzoo.data.base import PARTS, Columns, Source
from rnnzoo.data.forms import FORMS, forms_of
from rnnzoo.errors import DataError, Unavailable
from rnnzoo.recipe.schema import signature
from rnnzoo.recipe.sections import FoldOptions, LoaderOptions, StreamingOptions
from rnnzoo.testing.base import NotApplicable, checks_in
from rnnzoo.testing.subject import Subject

READ = """
import importlib, json, sys
from rnnzoo.testing.datasets import digest
module, name, parameters, form = json.loads(sys.argv[1])
source = getattr(importlib.import_module(module), name)(**parameters)
source.give(form)
print(digest(source.read()))
"""


def digest(parts: Mapping[str, Columns]) -> str:
    """SHA-256, in hexadecimal, of all rows of all parts."""
    whole = hashlib.sha256()
    for part, columns in parts.items():
        for name in sorted(columns):
            whole.update(json.dumps([part, name]).encode())
            for value in columns[name]:
                is_numpy = isinstance(value, (np.ndarray, np.generic))
                whole.update(value.tobytes() if is_numpy else json.dumps(value).encode())
    return whole.hexdigest()


class DatasetSubject(Subject):
    kind = "datasets"

    @property
    def few(self) -> dict[str, int]:
        """What makes a data set small, where it can be asked."""
        return {"examples": 200} if {"examples"} <= self.signature.keys() - self.parameters.keys() else {}

    def source(self, **parameters: Any) -> Source:
        """The source as it is built. Raises: NotApplicable if it needs parameters that were not given."""
        if self.missing_parameters:
            raise NotApplicable(f"no value is given for {', '.join(self.missing_parameters)}")
        source: Source = self.maker(**(self.parameters | parameters))
        source.give(self.form.name)
        return source

    def read(self, **parameters: Any) -> dict[str, Columns]:
        """Its rows. Raises: NotApplicable if they cannot be had here."""
        try:
            return self.source(**parameters).read()
        except Unavailable as error:
            raise NotApplicable(str(error).splitlines()[0]) from error

    @cached_property
    def parts(self) -> dict[str, Columns]:
        return self.read()

    @property
    def form(self) -> Any:
        """The form, or the first that the parameters do for. Raises: AssertionError for one that does not exist."""
        forms = forms_of(self.maker) or ("None",)
        for form in forms:
            self.require(form in FORMS, f"form: expected one of {', '.join(FORMS)}, found {form!r}")
        settings = {name: parameter.default for name, parameter in self.signature.items()} | self.parameters
        fitting = (form for form in forms if len(forms) == 1 or not self.maker.mistakes(form, settings))
        return FORMS[next(fitting, forms[0])]


def check_builds(subject: DatasetSubject) -> str:
    """Parameters are plain data, and none has the name of one of the form's."""
    of_any = (subject.form, LoaderOptions, StreamingOptions, FoldOptions)
    common = {key for options in of_any for key in signature(options)}
    twice = sorted(subject.signature.keys() & common)
    subject.require(not twice, f"parameters: expected none of the form's own, found {', '.join(twice)}")
    subject.source()
    return f"parameters: {', '.join(subject.signature) or 'none'}"


def check_parts(subject: DatasetSubject) -> str:
    """There are train and dev, perhaps test, and none is empty."""
    found = set(subject.parts)
    subject.require(
        {"train", "dev"} <= found <= {*PARTS}, f"parts: expected train, dev and perhaps test, found {found}"
    )
    sizes = {part: len(next(iter(columns.values()))) for part, columns in subject.parts.items()}
    subject.require(all(sizes.values()), f"parts: expected rows in each, found {sizes}")
    return ", ".join(f"{part} {size}" for part, size in sizes.items())


def check_columns(subject: DatasetSubject) -> str:
    """Each part has the columns of the form, of equal length, of the types that the form takes."""
    form = subject.form()
    for part, columns in subject.parts.items():
        strange = sorted(set(columns) - set(form.columns))
        subject.require(not strange, f"{part}: expected the columns {form.columns} alone, found {', '.join(strange)}")
        form.rows(columns, need_target=True)
    spec = form.fit(subject.parts["train"])
    target = spec.labels if spec.target.kind in ("label", "tags") else (f"{spec.target.size} {spec.target.kind}",)
    return f"{form.name}: {', '.join(target[:10])}{', ...' if len(target) > 10 else ''}"


def check_labels_are_known(subject: DatasetSubject) -> None:
    """Every label of the dev and test splits occurs in the training split, and every row can be encoded."""
    form = subject.form()
    spec = form.fit(subject.parts["train"])
    for part, columns in subject.parts.items():
        try:
            form.encode(columns, spec)
        except DataError as error:
            raise AssertionError(f"{subject.name}: {part}: {error}") from error


def check_no_overlap(subject: DatasetSubject) -> None:
    """No input of the dev or the test split occurs in another split."""
    form = subject.form
    if form.name in ("text_stream", "masked_text"):
        raise NotApplicable("the lines of a text may recur")
    if form.name in ("windowed_series", "panel_series"):
        raise NotApplicable("each part begins with the steps before it")
    seen: dict[Any, str] = {}
    for part, columns in subject.parts.items():
        inputs = {_frozen(value) for value in columns[form.columns[0]]}
        shared = [value for value in inputs if value in seen]
        message = f"expected no row of {part} in {seen[shared[0]]}, found {len(shared)}" if shared else ""
        subject.require(not shared, message)
        seen |= dict.fromkeys(inputs, part)


def _frozen(value: Any) -> Any:
    return value.tobytes() if isinstance(value, np.ndarray) else json.dumps(value)


def check_deterministic(subject: DatasetSubject) -> None:
    """A second source, and a second reading of one, give the same rows, whatever was done to the first ones."""
    source = subject.source(**subject.few)
    before = torch.random.get_rng_state()
    parts = subject.read(**subject.few)
    left_alone = torch.equal(before, torch.random.get_rng_state())
    subject.require(left_alone, "expected torch's random numbers to be left alone; use a generator of your own")
    first = source.read()
    subject.require(digest(first) == digest(parts), "expected the same rows from a second source")
    for columns in first.values():
        columns.clear()
    subject.require(digest(source.read()) == digest(parts), "expected the same rows from a second reading")


def check_seed(subject: DatasetSubject) -> None:
    """Another seed gives other rows, as many."""
    if "seed" not in subject.signature:
        raise NotApplicable("no parameter 'seed'")
    seed = subject.parameters.get("seed", subject.signature["seed"].default)
    read = [subject.read(**subject.few, seed=number) for number in (seed, seed + 1)]
    subject.require(digest(read[0]) != digest(read[1]), "expected other rows of another seed, found the same")
    sizes = [{part: len(next(iter(columns.values()))) for part, columns in parts.items()} for parts in read]
    subject.require(sizes[0] == sizes[1], f"expected as many rows of another seed, found {sizes[1]} for {sizes[0]}")


def check_fresh_process(subject: DatasetSubject) -> None:
    """Another process, in which sets have another order, reads the same rows."""
    wanted = digest(subject.read(**subject.few))
    module, name = subject.maker.__module__, subject.maker.__qualname__
    if module == "__main__" or "." in name:
        raise NotApplicable("the class cannot be imported elsewhere")
    place = json.dumps([module, name, subject.few | subject.parameters, subject.form.name])
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "PYTHONHASHSEED": "1"}
    done = subprocess.run(
        [sys.executable, "-c", READ, place], capture_output=True, text=True, env=environment, timeout=300
    )
    subject.require(done.returncode == 0, f"expected to be read in a fresh process, found {done.stderr[-300:]}")
    subject.require(done.stdout.split()[-1] == wanted, "expected the same rows in a fresh process, found others")


def check_identity(subject: DatasetSubject) -> str:
    """The identity is an id and a revision, text or None, the same each time."""
    source = subject.source(**subject.few)
    subject.read(**subject.few)  # may say that it cannot be had
    source.read()
    found = source.identity()
    message = f"identity: expected 'id' and 'revision', text or None, found {found!r}"
    subject.require(isinstance(found, dict) and set(found) == {"id", "revision"}, message)
    subject.require(all(value is None or isinstance(value, str) for value in found.values()), message)
    subject.require(source.identity() == found, "identity: expected the same twice")
    return f"{found['id']} {found['revision'] or ''}".rstrip()


def check_batches(subject: DatasetSubject) -> str:
    """The form makes batches of it: every row of the dev split is in one batch, and nothing is beyond its bounds."""
    from rnnzoo.data.datamodule import ZooData  # imports Lightning

    parts = subject.parts
    source = subject.source()
    source.read = lambda: parts  # type: ignore[method-assign]
    data = ZooData(source, subject.form())
    spec, count = data.spec, 0
    for batch in data.val_dataloader():
        count += int(batch.lengths.sum()) if subject.form.name == "text_stream" else len(batch)
        message = "expected lengths within the batch's time, and tokens of the vocabulary"
        for name, tensor in batch.inputs.items():
            subject.require(int(batch.lengths.min()) >= 0 and int(batch.lengths.max()) <= tensor.shape[1], message)
            subject.require(tensor.is_floating_point() or int(tensor.max()) < spec.inputs[name].size, message)
    subject.require(count == data.sizes["dev"], f"expected {data.sizes['dev']} rows of dev, found {count}")
    return f"{spec.form}: {', '.join(f'{name} {size}' for name, size in data.sizes.items())}"


SUBJECT = DatasetSubject
CHECKS = checks_in(sys.modules[__name__])
