"""How fast a cell or a recipe runs here."""

LENGTHS = ("equal", "ragged")
MODES = ("train", "infer")
RIVALS = ("padded", "packed", "reference", "naive")
SECTIONS = ("processes", "examples", "steps", "hidden", "vocabulary")
