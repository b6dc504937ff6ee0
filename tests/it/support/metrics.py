"""What a dashboard and alert rules ask of a program's metrics, and what the program shows.

Each file is read by the parser that its reader uses: the exposition by Prometheus' own OpenMetrics parser, expressions by a
PromQL parser, rules as YAML, the dashboard as JSON. Prints one JSON object; whoever asks compares.
"""

import json
import re
import sys

import promql_parser as promql
import yaml
from prometheus_client.openmetrics.parser import text_string_to_metric_families

# What Grafana puts in for its own variables, before Prometheus sees the expression.
VARIABLES = {"$__rate_interval": "5m"}


def exposition(path):
    """Every family, and the labels of every series name."""
    families, series = [], {}
    with open(path, encoding="utf-8") as file:
        for family in text_string_to_metric_families(file.read()):
            families.append(family.name)
            for sample in family.samples:
                series.setdefault(sample.name, set()).update(sample.labels)
    return families, {name: sorted(labels) for name, labels in series.items()}


def uses(expression, more_labels=()):
    """The series that an expression selects, each with the labels that it is matched and grouped by."""
    for name, value in VARIABLES.items():
        expression = expression.replace(name, value)
    found, groups = [], [set(more_labels)]

    def labels_of(node):
        modifier = getattr(node, "modifier", None)
        if isinstance(node, promql.BinaryExpr) and modifier is not None:
            matching = modifier.matching
            return set(matching.labels if matching is not None else []) | set(modifier.group_labels or [])
        return set(modifier.labels if modifier is not None else [])

    def enter(node):
        if isinstance(node, (promql.AggregateExpr, promql.BinaryExpr)):
            groups.append(groups[-1] | labels_of(node))
        if isinstance(node, promql.VectorSelector):
            matched = {matcher.name for matcher in node.matchers.matchers}
            found.append({"name": node.name, "labels": sorted(groups[-1] | matched)})

    def leave(node):
        if isinstance(node, (promql.AggregateExpr, promql.BinaryExpr)):
            groups.pop()

    promql.walk(promql.parse(expression), enter, leave)
    return found


def dashboard(path):
    """The expressions of a Grafana dashboard: of its panels and of its variables."""
    with open(path, encoding="utf-8") as file:
        board = json.load(file)
    for variable in board["templating"]["list"]:
        if variable["type"] == "query":
            call = re.fullmatch(r"label_values\((.*), (\w+)\)", variable["query"])
            yield f"the variable {variable['name']}", uses(call[1], [call[2]])
    for panel in board["panels"]:
        for target in panel.get("targets", []):
            shown = re.findall(r"{{(\w+)}}", target.get("legendFormat", ""))
            yield f"the panel {panel['title']!r}", uses(target["expr"], shown)


def alerts(path):
    """The rules of an alert file, each with what it needs."""
    with open(path, encoding="utf-8") as file:
        rules = yaml.safe_load(file)
    for group in rules["groups"]:
        for rule in group["rules"]:
            shown = re.findall(r"\$labels\.(\w+)", json.dumps(rule["annotations"]))
            yield rule, uses(rule["expr"], shown)


def main(metrics_path, dashboard_path, alerts_path):
    families, series = exposition(metrics_path)
    rules = list(alerts(alerts_path))
    asked = list(dashboard(dashboard_path)) + [(f"the alert {rule['alert']}", used) for rule, used in rules]
    json.dump(
        {
            "families": families,
            "series": series,
            "asked": [{"where": where, "uses": used} for where, used in asked],
            "alerts": [rule for rule, _ in rules],
        },
        sys.stdout,
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
