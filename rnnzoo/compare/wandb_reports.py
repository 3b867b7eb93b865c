"""A report and a workspace on W&B, by its package `wandb-workspaces`, from a plan."""

from __future__ import annotations

from typing import Any

from rnnzoo.compare.report_plan import Plan
from rnnzoo.compare.wandb_api import connect, failure, split_project
from rnnzoo.errors import ZooError

STEP = "trainer/global_step"
AXES = (STEP, "tokens_seen", "cpu_seconds")


def publish(plan: Plan) -> str:
    """Save a report and a workspace; the report's address. Raises: ZooError where that is not possible."""
    try:
        import wandb_workspaces.reports.v2 as reports
        import wandb_workspaces.workspaces as workspaces
        from wandb_workspaces import expr
    except ImportError as error:
        raise ZooError("reports on W&B need the package wandb-workspaces: pip install 'rnnzoo[reports]'.") from error
    split_project(f"{plan['entity']}/{plan['project']}")
    connect()
    where: dict[str, Any] = {"entity": plan["entity"], "project": plan["project"]}

    def runset(name: str, runs: list[str]) -> Any:
        return reports.Runset(**where, name=name, filters=expr.And(expr.Metric("ID").isin(runs)))

    every = [run for group in plan["groups"] for run in group["runs"]]
    curves: list[Any] = [reports.LinePlot(x=axis, y=[metric]) for metric in plan["metrics"] for axis in AXES]
    bars = reports.BarPlot(metrics=[reports.SummaryMetric(plan["main"])])
    compared = reports.PanelGrid(
        runsets=[runset(group["name"], group["runs"]) for group in plan["groups"]], panels=[bars, *curves]
    )
    differing = reports.PanelGrid(runsets=[runset("all", every)], panels=[reports.RunComparer(diff_only="split")])
    settings: list[Any] = [f"{group['name']}: {_settings(group['settings'])}" for group in plan["groups"]]
    blocks: list[Any] = [
        *(reports.P(sentence) for sentence in plan["sentences"]),
        reports.H2("What differs"),
        reports.UnorderedList(items=settings),
        reports.H2("Groups"),
        compared,
        reports.H2("Settings"),
        differing,
    ]
    sections = [
        workspaces.Section(name="Scores", panels=[bars], is_open=True),
        workspaces.Section(name="Curves", panels=curves, is_open=True),
    ]
    shown = workspaces.RunsetSettings(filters=expr.And(expr.Metric("ID").isin(every)))
    try:
        report = reports.Report(**where, title=plan["title"], blocks=blocks)
        report.save()
        workspaces.Workspace(**where, name=plan["title"], sections=sections, runset_settings=shown).save()
        return str(report.url)
    except Exception as error:  # a tracker is a plugin: W&B's code may raise anything
        raise failure(error, f"{plan['entity']}/{plan['project']}") from error


def _settings(settings: dict[str, str]) -> str:
    return ", ".join(f"{key} {value}" for key, value in settings.items()) or "–"
