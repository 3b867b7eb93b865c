"""Words of the command line, and metadata of installed packages."""

from __future__ import annotations

import os

from making import EVIL, Entry, makes, writes


def names() -> dict[str, Entry]:
    """Words of the command line, and metadata of installed packages."""
    entries = {}
    for name in (
        *(
            "../x",
            "/etc/passwd",
            "a/b",
            "a.b",
            "",
            " ",
            "a b",
            "$(touch executed)",
            "`touch executed`",
            "; touch executed",
        ),
        *(EVIL, "class", "None", "yes", "1a", "a\nb", "é", "a" * 300, "-", "__init__", "lstm", "${x}", "%s"),
    ):
        entries[f"a plugin {name!r:.30}"] = Entry(lambda: None, ("new-plugin", "--", name))
    for folder in ("no/such/place", "x" * 300):
        entries[f"a plugin in {folder!r:.30}"] = Entry(lambda: None, ("new-plugin", "mine", "--folder", folder))
    there = lambda: (os.mkdir("victim"), os.symlink("victim", "rnnzoo-mine"))  # noqa: E731
    entries["a plugin in a folder that is a link"] = Entry(there, ("new-plugin", "mine"))
    for words in (
        ("show", "cell", EVIL),
        ("show", EVIL),
        (EVIL,),
        ("list", EVIL),
        ("check", EVIL),
        ("gradients", EVIL),
    ):
        entries[f"a name that steers: {words[0]!r:.12} {len(words)}"] = Entry(lambda: None, words)
    long = "a" * 5000
    for words in (
        *(("show", long), ("results", long), ("predict", long, "--text", "x"), ("test", f"{'a/' * 3000}b")),
        *(("fit", "--resume", long), ("fit", "quickstart", "--data.examples", "8", "--run_dir", long)),
        *(("predict", "quickstart", "--file", long), ("vectors", "train", "--data", long, "--out", "v.txt")),
    ):
        entries[f"a path that is too long: {' '.join(words)[:40]}"] = Entry(lambda: None, words)
    for number, (points, metadata) in enumerate(
        [
            ("[rnnzoo.cells]\nevil = \n", "Name: evil\nVersion: 1\n"),
            (f"[rnnzoo.cells]\n{EVIL} = evil:Cell\n", f"Name: {EVIL}\nVersion: {EVIL}\n"),
            ("[rnnzoo.cells]\nno equals sign\n", "Name: evil\nVersion: 1\n"),
            ("[rnnzoo.cells]\nevil = evil:Cell\n", ""),
            ("[rnnzoo.cells]\nlstm = evil:Cell\n" * 50, "Name: rnnzoo\nVersion: 9\n"),
            ("[rnnzoo.cells]\n" + "a" * 100_000 + " = x\n", "Name: " + "e" * 100_000 + "\nVersion: 1\n"),
        ]
    ):
        made = makes(
            writes("evil-1.dist-info/entry_points.txt", points),
            writes("evil-1.dist-info/METADATA", metadata),
            writes("evil.py", "open('executed', 'w')\n"),
        )
        entries[f"metadata {number}"] = Entry(made, ("list", "cells"), code=0)
    entries["metadata in a pipe"] = Entry(
        lambda: (os.mkdir("evil-1.dist-info"), os.mkfifo("evil-1.dist-info/entry_points.txt")),
        ("list", "cells"),
        code=0,
    )
    return entries
