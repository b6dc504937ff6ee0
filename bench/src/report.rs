//! Figures with stable names, as a table and as JSON.

use anyhow::Result;
use serde::Serialize;
use std::path::Path;

/// The most, or the least, that a figure may be.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Budget {
    /// Not more.
    AtMost(f64),
    /// Not less.
    AtLeast(f64),
}

/// One measured value.
#[derive(Debug, Clone, Serialize)]
pub struct Figure {
    /// Stable: scripts compare runs by it.
    pub name: String,
    /// The value.
    pub value: f64,
    /// Its unit.
    pub unit: &'static str,
    /// What it was meant to be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub budget: Option<Budget>,
    /// Whether it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub passed: Option<bool>,
    /// The raw limit it is compared with, and value / limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub raw: Option<Ratio>,
}

/// A figure as a share of a raw limit of the same run.
#[derive(Debug, Clone, Serialize)]
pub struct Ratio {
    /// The limit's name.
    pub limit: String,
    /// Value divided by limit.
    pub ratio: f64,
}

/// All figures of a run, and what was lost or broken.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    quick: bool,
    figures: Vec<Figure>,
    broken: Vec<String>,
}

impl Report {
    /// An empty report.
    pub fn new(quick: bool) -> Self {
        Self { quick, ..Self::default() }
    }

    /// Says on stderr what is being measured.
    pub fn stage(&self, name: &str) {
        eprintln!("… {name}");
    }

    /// Adds a figure.
    pub fn add(&mut self, name: &str, value: f64, unit: &'static str) -> &mut Figure {
        eprintln!("  {name} = {} {unit}", rounded(value));
        let figure = Figure { name: name.to_owned(), value, unit, budget: None, passed: None, raw: None };
        self.figures.push(figure);
        let last = self.figures.len() - 1;
        &mut self.figures[last]
    }

    /// Adds a figure with a budget.
    pub fn add_budgeted(&mut self, name: &str, value: f64, unit: &'static str, budget: Budget) {
        let figure = self.add(name, value, unit);
        figure.budget = Some(budget);
        figure.passed = Some(match budget {
            Budget::AtMost(most) => value <= most,
            Budget::AtLeast(least) => value >= least,
        });
    }

    /// Relates a figure to a raw limit, where both were measured in this run.
    pub fn relate(&mut self, name: &str, limit: &str) {
        let Some(bound) = self.value(limit) else { return };
        if let Some(figure) = self.figures.iter_mut().rev().find(|figure| figure.name == name) {
            figure.raw = Some(Ratio { limit: limit.to_owned(), ratio: figure.value / bound });
        }
    }

    /// A figure's value.
    pub fn value(&self, name: &str) -> Option<f64> {
        self.figures.iter().find(|figure| figure.name == name).map(|figure| figure.value)
    }

    /// Notes that something was lost or broken, if it was.
    pub fn require(&mut self, holds: bool, otherwise: impl FnOnce() -> String) {
        if !holds {
            let what = otherwise();
            eprintln!("  BROKEN: {what}");
            self.broken.push(what);
        }
    }

    /// Whether nothing was lost or broken so far.
    pub fn is_whole(&self) -> bool {
        self.broken.is_empty()
    }

    /// Prints the table, writes the JSON; true when nothing was lost or broken.
    pub fn finish(&self, json: Option<&Path>) -> Result<bool> {
        println!("{}", self.table());
        if let Some(path) = json {
            std::fs::write(path, serde_json::to_string_pretty(self)? + "\n")?;
        }
        Ok(self.is_whole())
    }

    fn table(&self) -> String {
        let width = self.figures.iter().map(|figure| figure.name.len()).max().unwrap_or(0);
        let mut lines: Vec<String> = self.figures.iter().map(|figure| row(figure, width)).collect();
        lines.extend(self.broken.iter().map(|what| format!("BROKEN: {what}")));
        lines.join("\n")
    }
}

fn row(figure: &Figure, width: usize) -> String {
    let budget = match figure.budget {
        None => String::new(),
        Some(Budget::AtMost(most)) => format!("<= {}", rounded(most)),
        Some(Budget::AtLeast(least)) => format!(">= {}", rounded(least)),
    };
    let verdict = match figure.passed {
        None => "",
        Some(true) => "pass",
        Some(false) => "MISS",
    };
    let raw = figure.raw.as_ref().map(|raw| format!("{:.2} of {}", raw.ratio, raw.limit)).unwrap_or_default();
    let (name, value, unit) = (&figure.name, rounded(figure.value), figure.unit);
    format!("{name:width$}  {value:>12} {unit:<14} {budget:>10} {verdict:<5} {raw}").trim_end().to_owned()
}

/// Three significant digits are what a measurement on a shared machine is worth.
fn rounded(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_passes_or_misses_and_a_ratio_names_its_limit() {
        let mut report = Report::new(true);
        report.add("raw.post.per_s", 50_000.0, "/s");
        report.add_budgeted("a", 45.0, "us", Budget::AtMost(45.0));
        report.add_budgeted("b", 19_999.0, "/s", Budget::AtLeast(20_000.0));
        report.relate("b", "raw.post.per_s");
        report.relate("b", "unknown");
        let json = serde_json::to_value(&report).unwrap();
        assert_eq!(json["figures"][1]["passed"], true);
        assert_eq!(json["figures"][2]["passed"], false);
        assert_eq!(json["figures"][2]["raw"]["limit"], "raw.post.per_s");
        assert!(report.table().contains("MISS"));
        assert!(report.finish(None).unwrap());
        report.require(false, || "lost".into());
        assert!(!report.finish(None).unwrap());
    }
}
