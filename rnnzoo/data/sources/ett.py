"""Electricity transformer temperatures, long series to forecast."""

from __future__ import annotations

from typing import Any, ClassVar

from rnnzoo.data.base import Columns
from rnnzoo.data.sources.hub import HubSource
from rnnzoo.data.splits import in_time


class Ett(HubSource):
    """Electricity transformer temperature: six loads and the oil temperature (OT) of one station, July 2016 on.

    Source: Zhou et al., "Informer", AAAI 2021, arXiv:2012.07436; `thuml/Time-Series-Library` on the Hub.
    The parts are the first 12 months, the next 4, and the next 4, of 30 days each, as in the papers.
    revision: the Hub's commit, branch or tag; the newest if not given.
    """

    form = "windowed_series"
    hub_id = "thuml/Time-Series-Library"
    hourly: ClassVar[int] = 1  # steps an hour

    def parts(self, parts: Any) -> dict[str, Columns]:
        table = parts["train"].data
        month = 30 * 24 * self.hourly
        names = [name for name in table.column_names if name != "date"]
        series = {name: table.column(name).to_numpy() for name in names}
        return in_time(series, (12 * month, 16 * month, 20 * month))


class EttH1(Ett):
    """The first transformer, hourly. Further: see `Ett`."""

    config = "ETTh1"


class EttH2(Ett):
    """The second transformer, hourly. Further: see `Ett`."""

    config = "ETTh2"


class EttM1(Ett):
    """The first transformer, every 15 minutes. Further: see `Ett`."""

    config = "ETTm1"
    hourly = 4
