"""Which rows are held out."""

from rnnzoo.data.splits import held_out


def test_held_out_rows_are_the_end_of_each_label_after_a_gap():
    labels = ["a"] * 10 + ["b"] * 20
    train, dev = held_out(labels, 0.2, gap=3)
    assert dev == [8, 9, 26, 27, 28, 29]
    assert train == [*range(0, 5), *range(10, 23)]


def test_a_label_with_one_row_is_trained_on():
    assert held_out(["a", "b", "b"], 0.5) == ([0, 1], [2])
