"""What `rnnzoo bench` compares computes the same, its arithmetic is right, and each verb runs."""

import json
import statistics
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import write_reviews

from rnnzoo import registry
from rnnzoo.bench import cases, cells, contenders, tables, timing
from rnnzoo.cells.base import PointwiseCell
from rnnzoo.cli import main
from rnnzoo.system import marked

TWINS = {"lstm": "nn.LSTM", "gru": "nn.GRU", "vanilla": "nn.RNN", "vanilla_relu": "nn.RNN"}
TINY = ("--sizes", "6x4x3x2", "--rounds", "2")


class Leaky(PointwiseCell):
    """A cell that torch.nn lacks: h' = 0.5 h + 0.5 tanh(gx + gh)."""

    gates = ("n",)

    def update(self, gx, gh, state):
        return (0.5 * state[0] + 0.5 * torch.tanh(gx[0] + gh[0]),)


@pytest.fixture
def says(capsys):
    """Runs a command that must succeed. Returns what it printed on standard output."""

    def run(*arguments: object) -> str:
        capsys.readouterr()
        code = main(["bench", *map(str, arguments)])
        printed = capsys.readouterr()
        assert code == 0, printed.err
        return printed.out

    return run


@pytest.fixture
def refuses(capsys):
    """Runs a command that must be refused. Returns the message."""

    def run(*arguments: object) -> str:
        assert main(["bench", *map(str, arguments)]) == 2
        return capsys.readouterr().err

    return run


# -- lengths --------------------------------------------------------------------------------------------------------


def test_reviews_are_as_long_as_those_of_imdb():
    lengths = np.array(cases.draw_lengths(100_000, median=174, longest=500))
    assert np.median(lengths) == pytest.approx(174, rel=0.02) and (lengths.min(), lengths.max()) == (10, 500)
    sigma = np.log(np.quantile(lengths, 0.8413) / 174)  # of a normal law's values, 84.13 % are below mean + sigma
    assert 174 * np.exp(sigma**2 / 2) == pytest.approx(234, rel=0.02)  # the mean of a lognormal without limits


def test_the_same_seed_draws_the_same_lengths():
    assert cases.draw_lengths(8, 12, 32) == cases.draw_lengths(8, 12, 32) != cases.draw_lengths(8, 12, 32, seed=1)


def test_a_ragged_case_runs_in_both_directions_and_an_equal_one_in_one():
    equal, ragged = cases.make_case("A", False), cases.make_case("A", True)
    assert (equal.lengths, equal.valid, equal.bidirectional) == ((200,) * 32, 1.0, False)
    assert ragged.bidirectional and not cases.make_case("A", True, bidirectional=False).bidirectional
    assert ragged.valid == sum(ragged.lengths) / (32 * max(ragged.lengths)) < 0.5


def test_a_size_of_ones_own_is_steps_batch_input_and_hidden_size():
    case = cases.make_case("6x4x3x2", False)
    assert (case.lengths, case.input_size, case.hidden_size) == ((6,) * 4, 3, 2)


# -- contenders -----------------------------------------------------------------------------------------------------


def outputs(name, case: cases.Case, **options) -> dict[str, torch.Tensor]:
    x = torch.randn(len(case.lengths), case.time, case.input_size, generator=torch.Generator().manual_seed(3))
    return {rival: entrant.forward(x) for rival, entrant in contenders.contenders(name, case, **options).items()}


@pytest.mark.parametrize("ragged", [False, True])
@pytest.mark.parametrize("name", TWINS)
def test_all_rivals_compute_what_the_cell_computes(name, ragged):
    found = outputs(name, cases.make_case("9x5x4x3", ragged, bidirectional=True))
    assert [*found] == ["engine", f"{TWINS[name]} padded", f"{TWINS[name]} packed", "reference loop", "naive loop"]
    padded = found.pop(f"{TWINS[name]} padded")
    for rival, answer in found.items():
        torch.testing.assert_close(answer, found["engine"], rtol=0, atol=1e-6, msg=rival)
    assert torch.allclose(padded, found["engine"], rtol=0, atol=1e-6) is not ragged  # it begins in the padding


@pytest.mark.parametrize("name", TWINS)
def test_training_gives_all_exact_rivals_the_same_gradient_of_the_input_and_of_the_weights(name):
    case = cases.make_case("9x5x4x3", True)
    x = torch.randn(5, case.time, 4, generator=torch.Generator().manual_seed(3))
    entrants = contenders.contenders(name, case, rivals=["packed", "reference", "naive"])
    gradients = {rival: cells.training(entrant, x, case)() for rival, entrant in entrants.items()}
    for rival, found in gradients.items():
        for one, other in zip(found, gradients["engine"], strict=True):
            torch.testing.assert_close(one, other, rtol=0, atol=1e-5, msg=rival)


def test_a_cell_that_torch_lacks_is_compared_with_the_lstm_and_the_gru():
    found = outputs(Leaky, cases.make_case("9x5x4x3", True))
    assert [*found] == [
        "engine",
        "nn.LSTM padded",
        "nn.LSTM packed",
        "nn.GRU padded",
        "nn.GRU packed",
        "reference loop",
        "naive loop",
    ]
    torch.testing.assert_close(found["naive loop"], found["engine"])
    torch.testing.assert_close(found["reference loop"], found["engine"])


@pytest.mark.parametrize("name", ["zoneout", "highway", "lstm_projected"])
def test_the_naive_loop_follows_any_cell_through_both_directions(name):
    case = cases.make_case("9x5x4x4", True)
    entrants = contenders.contenders(name, case, rivals=["naive"])
    x = torch.randn(5, case.time, 4)
    engine, naive = (entrant.module.eval() and entrant.forward(x) for entrant in entrants.values())
    torch.testing.assert_close(naive, engine)


def test_only_the_rivals_that_were_asked_for_take_part():
    assert [*outputs("lstm", cases.make_case("9x5x4x3", False), rivals=["packed"])] == ["engine", "nn.LSTM packed"]


# -- arithmetic -----------------------------------------------------------------------------------------------------


def test_rounds_go_in_turns_and_the_first_is_not_counted():
    now, order = 0.0, []

    def call(name: str, seconds: float):
        def wait() -> None:
            nonlocal now
            order.append(name)
            now += seconds * len(order)

        return wait

    seconds = timing.interleaved({"a": call("a", 1.0), "b": call("b", 10.0)}, 2, lambda: now)
    assert order == ["a", "b"] * 3 and seconds == {"a": [3.0, 5.0], "b": [40.0, 60.0]}


def test_a_speed_is_the_rivals_median_over_ones_own():
    told = timing.summary({"engine": [0.002, 0.001, 0.010], "rival": [0.004, 0.005, 0.500]}, "engine")
    assert told["ms"] == pytest.approx({"engine": 2.0, "rival": 5.0}) and told["speedup"] == pytest.approx(
        {"rival": 2.5}
    )
    assert told["samples_ms"]["rival"] == pytest.approx([4.0, 5.0, 500.0])


def test_conditions_hold_inside_and_end_with_them():
    before = torch.get_num_threads(), torch.backends.cuda.matmul.fp32_precision
    with timing.conditions(2) as clock:
        assert torch.get_num_threads() == 2 and torch.backends.cuda.matmul.fp32_precision == "ieee"
        before_and_after = timing.time.perf_counter(), clock(), timing.time.perf_counter()
        assert sorted(before_and_after) == [*before_and_after]  # the wall's
    assert (torch.get_num_threads(), torch.backends.cuda.matmul.fp32_precision) == before
    with timing.conditions(1) as clock:
        assert clock is timing.time.process_time


# -- the command line -----------------------------------------------------------------------------------------------


def test_help_needs_no_torch():
    code = (
        "import sys\nfrom rnnzoo.cli import main\n"
        "codes = [main(['bench', *words, '--help']) for words in ([], ['cell'], ['fit'], ['fit', 'quickstart'])]\n"
        "print(codes, {'torch', 'lightning', 'numpy'} & {*sys.modules}, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.splitlines()[-1] == "[0, 0, 0, 0] set()" and done.stdout.count("example: rnnzoo bench") == 4


def test_cells_are_measured_and_told_as_json(says):
    report = json.loads(says("cell", "lstm", "gru", *TINY, "--json"))
    keys = [(row["name"], row["lengths"], row["mode"]) for row in report["results"]]
    assert keys == [(n, k, m) for n in ("lstm", "gru") for k in ("equal", "ragged") for m in ("train", "infer")]
    for row in report["results"]:
        assert len(row["engine"]) == 1 + row["bidirectional"] == 1 + (row["lengths"] == "ragged")
        assert all(layer["path"] and layer["why"] for layer in row["engine"])
        assert row["ms"] == {rival: statistics.median(samples) for rival, samples in row["samples_ms"].items()}
        assert row["speedup"] == {r: ms / row["ms"]["engine"] for r, ms in row["ms"].items() if r != "engine"}
    assert {len(samples) for row in report["results"] for samples in row["samples_ms"].values()} == {2}
    assert report["settings"]["clock"] == "processor" and report["machine"]["torch"] == str(torch.__version__)
    assert {"cpu", "cores", "compiler", "memory_kept"} <= report["machine"].keys() and report["load_after"]


def test_a_forced_path_is_the_one_that_ran(says):
    (row,) = json.loads(
        says("cell", "lstm", *TINY, "--lengths", "equal", "--modes", "infer", "--engine", "reference", "--json")
    )["results"]
    assert row["engine"][0]["path"] == "reference" and row["engine"][0]["why"] == "forced"


def test_more_threads_are_compared_with_one(says):
    (row,) = json.loads(
        says(
            "cell",
            "gru",
            *TINY,
            "--threads",
            2,
            "--lengths",
            "ragged",
            "--modes",
            "train",
            "--rivals",
            "packed",
            "--json",
        )
    )["results"]
    assert [*row["ms"]] == ["engine", "nn.GRU packed", "engine, one thread"]


def test_a_call_on_one_thread_runs_on_one():
    seen = []
    with timing.conditions(2):
        timing.on_one_thread(lambda: seen.append(torch.get_num_threads()))
        assert seen == [1] and torch.get_num_threads() == 2


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_cells_are_measured_on_a_gpu(says):
    report = json.loads(says("cell", "lstm", *TINY, "--device", "cuda", "--json"))
    assert report["settings"]["clock"] == "wall" and report["machine"]["gpu"]
    assert all(ms > 0 for row in report["results"] for ms in row["ms"].values())


def test_a_table_names_the_path_the_times_and_the_machine(says):
    told = says(
        "cell", "vanilla", *TINY, "--lengths", "ragged", "--modes", "train", "--scaling", "--engine", "reference"
    )
    lines = told.splitlines()
    case = cases.make_case("6x4x3x2", True)
    assert lines[0] == f"vanilla, 6x4x3x2 ragged ({100 * case.valid:.0f} % valid), both directions, train"
    assert lines[2].split()[:2] == ["engine", "(reference)"] and lines[3].split()[-1].endswith("x")
    assert "T=2000" in told and f"torch {torch.__version__}" in lines[-1] and "processor time" in lines[-1]


@pytest.mark.slow
def test_the_first_call_is_timed_with_an_empty_and_with_a_full_cache(says):
    report = json.loads(says("cell", "lstm", *TINY, "--modes", "infer", "--build", "--engine", "native", "--json"))
    (row,) = report["build"]
    assert row["engine"][0]["path"] == "native" and row["first_build_s"] > 0 and row["later_load_s"] > 0


def test_a_recipe_is_measured_and_leaves_nothing_behind(says, here):
    recipe = write_reviews(here)
    files = sorted(here.iterdir())
    report = json.loads(says("fit", recipe, "--batches", 7, "--json", "--engine", "reference"))
    assert report["batches"] == 7 and report["recipe"] == "reviews" and report["peak_memory_bytes"] > 0
    assert {layer["path"] for layer in report["engine"]} == {"reference"} and all(report["throughput"].values())
    assert sorted(here.iterdir()) == files
    told = says("fit", "--batches", 2, recipe, "--model.architecture.cell", "gru")
    assert "reviews, 2 training batches" in told and "tokens per cpu second" in told


# -- the table in the README ----------------------------------------------------------------------------------------

REPORT = {
    "machine": {"cpu": "CPU", "cores": 2, "gpu": None, "torch": "2", "compiler": "g++", "memory_kept": True},
    "settings": {"threads": 1, "rounds": 3, "clock": "processor", "device": "cpu"},
    "load_before": [0.5, 0, 0],
    "load_after": [1.0, 0, 0],
    "results": [
        {
            "name": "leaky",
            "size": "A",
            "lengths": "ragged",
            "valid": 0.36,
            "bidirectional": True,
            "mode": "train",
            "engine": [{"path": "native"}, {"path": "native"}],
            "ms": {"engine": 12.34},
            "speedup": {"nn.LSTM padded": 2.0, "nn.GRU padded": 3.0, "nn.LSTM packed": 4.0, "naive loop": 5.0},
        }
    ],
}


def test_the_table_is_written_between_the_markers_and_nowhere_else(tmp_path):
    page = tmp_path / "README.md"
    page.write_text("# Speed\n\n<!-- bench -->\nold\n<!-- /bench -->\n\nThe end.\n")
    for _ in range(2):
        tables.update(page, tables.markdown(REPORT))
    head, _, rest = page.read_text().partition("<!-- bench -->\n")
    table, _, tail = rest.partition("<!-- /bench -->")
    assert (head, tail) == ("# Speed\n\n", "\n\nThe end.\n") and "old" not in table
    assert table.splitlines()[2] == (
        "| `leaky` | A ragged (36 % valid), both directions | train | native, 12.3 ms "
        "| 2.00x `nn.LSTM`, 3.00x `nn.GRU` | 4.00x | 5.00x |"
    )
    assert "CPU, 1 of 2 cores, torch 2, g++; processor time, medians of 3 rounds in which all take turns" in table


def test_the_readme_has_a_place_for_the_table():
    assert "## Speed" in marked.read(Path(__file__).parents[2] / "README.md", tables.MARK)


def test_the_command_line_updates_a_page(says, tmp_path):
    page = tmp_path / "page.md"
    page.write_text("<!-- bench -->\n<!-- /bench -->\n")
    assert says("cell", "gru", *TINY, "--modes", "infer", "--update", page) == ""
    assert page.read_text().count("| `gru` |") == 2


# -- mistakes -------------------------------------------------------------------------------------------------------


def test_what_is_unknown_is_told_with_the_nearest_before_anything_is_measured(refuses, monkeypatch, tmp_path):
    monkeypatch.setattr(cells, "measure", None)
    (tmp_path / "page.md").write_text("no markers")
    wanted = {
        ("cell", "lsmt"): ["no cell is named 'lsmt'.", "Did you mean 'lstm'?"],
        ("cell", "lstm", "--sizes", "B20"): ["no size is named 'B20'.", "Did you mean 'B200'?", "50x8x16x32"],
        ("cell", "lstm", "--modes", "trian"): ["--modes knows no 'trian'.", "Did you mean 'train'?"],
        ("cell", "lstm", "--lengths", ""): ["must name one"],
        ("cell", "lstm", "--rounds", "0"): ["must be a whole number >= 1, got '0'"],
        ("cell", "lstm", "--update", tmp_path / "page.md"): ["page.md has no place for the table."],
        ("cell", "lstm", "--update", tmp_path / "none.md"): ["cannot read", "none.md: No such file"],
        ("fit", "quickstrat"): ["no recipe is named 'quickstrat'.", "Did you mean 'quickstart'?"],
        ("fit", "quickstart", "--sede", "1"): ["sede: unknown key.", "Did you mean 'seed'?"],
        (): ["cell | fit"],
    }
    for arguments, parts in wanted.items():
        message = refuses(*arguments)
        assert all(part in message for part in parts), message


def test_an_engine_path_that_there_is_not_is_refused(refuses):
    message = refuses("cell", "lstm", *TINY, "--engine", "natve")
    assert message.startswith("no engine path is named 'natve'.\n  Did you mean 'native'?")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is one")
def test_a_device_that_is_not_there_is_refused(refuses):
    assert refuses("cell", "lstm", *TINY, "--device", "cuda").startswith("there is no CUDA device here.\n")


def test_a_cell_that_cannot_be_built_is_named_with_its_reason(refuses):
    class Blocks(Leaky):
        recurrent, blocks = "block", 5

    registry.register("cells", "five_blocks", Blocks)
    try:
        message = refuses("cell", "five_blocks", *TINY)
    finally:
        registry.unregister("cells", "five_blocks")
    assert "five_blocks" in message and "needs a hidden_size that 5 divides, got 2" in message
