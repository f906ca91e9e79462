//! The table as text, for the terminal and for the page.

use crate::measure::Measured;
use crate::row::{Cells, Growth, Row, Unit, three_digits};

/// One line of the table: a row at a size.
pub(crate) struct Line<'a> {
    pub(crate) row: &'a Row,
    pub(crate) size: usize,
    cells: Cells,
}

/// The lines of all rows for which quitter was measured.
pub(crate) fn lines<'a>(rows: &'a [Row], measured: &Measured) -> Vec<Line<'a>> {
    let mut lines = Vec::new();
    for row in rows {
        for &size in row.sizes() {
            let cells = row.cells(size, measured);
            if cells.ours.is_some() {
                lines.push(Line { row, size, cells });
            }
        }
    }
    lines
}

/// The table.
pub(crate) fn table(lines: &[Line<'_>]) -> String {
    let heads = [
        "workload",
        "size",
        "quitter",
        "floor",
        "best peer",
        "others",
        "of best peer",
        "of floor",
        "go-quitter",
        "goal",
        "met",
    ];
    markdown(&heads, lines.iter().map(Line::columns).collect())
}

impl Line<'_> {
    fn columns(&self) -> Vec<String> {
        let Self { row, cells, .. } = self;
        let unit = row.unit;
        let best = cells.best_peer();
        let go_quitter = row.go_quitter.iter().find(|(size, _)| *size == self.size);
        vec![
            row.what.to_owned(),
            size(self.size),
            optional(cells.ours, |value| unit.show(value)),
            optional(row.floor.zip(cells.floor), |(floor, value)| {
                named(unit, (floor.name, value))
            }),
            optional(best, |best| named(unit, best)),
            self.others(best.map(|(name, _)| name)),
            ratio(cells.ours, best.map(|(_, value)| value)),
            ratio(cells.ours, cells.floor),
            optional(go_quitter, |(_, value)| unit.show(*value)),
            self.goal(),
            match self.is_met() {
                Some(true) => "yes".to_owned(),
                Some(false) => "**no**".to_owned(),
                None => String::new(),
            },
        ]
    }

    fn others(&self, best: Option<&str>) -> String {
        let all = self.cells.peers.iter().chain(&self.cells.others);
        let others = all.filter(|(name, _)| Some(*name) != best);
        let texts: Vec<_> = others.map(|&other| named(self.row.unit, other)).collect();
        texts.join(", ")
    }

    fn goal(&self) -> String {
        let goals = self.row.goals.iter();
        let goals = goals.filter(|goal| goal.applies_at(self.size));
        let texts: Vec<_> = goals.map(|goal| goal.text(self.row.unit)).collect();
        texts.join(", ")
    }

    /// Returns `None` if there is no goal, or something was not measured.
    pub(crate) fn is_met(&self) -> Option<bool> {
        let goals = self.row.goals.iter();
        let mut met = goals
            .filter(|goal| goal.applies_at(self.size))
            .map(|goal| goal.is_met(&self.cells));
        let first = met.next()??;
        met.try_fold(first, |all, met| Some(all && met?))
    }
}

/// The lines that miss their goal, with the reason that the row gives.
pub(crate) fn misses(lines: &[Line<'_>]) -> String {
    let missed = lines.iter().filter(|line| line.is_met() == Some(false));
    let columns = |line: &Line<'_>| {
        let columns = line.columns();
        let reason = match line.row.why {
            "" => "not known yet",
            why => why,
        };
        let picked = [0, 1, 2, 9].map(|column| columns[column].clone());
        [&picked[..], &[reason.to_owned()]].concat()
    };
    let heads = ["workload", "size", "quitter", "goal", "why"];
    markdown(&heads, missed.map(columns).collect())
}

/// How much an item may cost at the largest size, as a multiple of its cost at the smallest.
const MOST_GROWTH: f64 = 3.0;

/// How the cost of an item grows with the number of items.
pub(crate) fn growth(rows: &[Row], measured: &Measured) -> String {
    let grows = |row: &&Row| row.growth != Growth::Unknown && row.sizes.len() > 1;
    let columns = rows.iter().filter(grows).filter_map(|row| {
        let (small, large) = (row.sizes[0], *row.sizes.last()?);
        let cells = [row.cells(small, measured), row.cells(large, measured)];
        let each = |value: f64, size: usize| match row.growth {
            Growth::OfAll => value / size as f64,
            _ => value,
        };
        let ours = [each(cells[0].ours?, small), each(cells[1].ours?, large)];
        let peers = cells[0].peers.iter().zip(&cells[1].peers);
        let peers = peers.map(|((name, value), (_, at_large))| {
            let times = each(*at_large, large) / each(*value, small);
            format!("{name} × {}", three_digits(times))
        });
        let times = ours[1] / ours[0];
        Some(vec![
            row.what.to_owned(),
            format!("{} to {}", size(small), size(large)),
            row.unit.show(ours[0]),
            row.unit.show(ours[1]),
            format!("× {}", three_digits(times)),
            peers.collect::<Vec<_>>().join(", "),
            format!("≤ × {MOST_GROWTH}"),
            if times <= MOST_GROWTH {
                "yes"
            } else {
                "**no**"
            }
            .to_owned(),
        ])
    });
    let heads = [
        "cost of one item",
        "sizes",
        "quitter at the first",
        "at the last",
        "growth",
        "peers",
        "goal",
        "met",
    ];
    markdown(&heads, columns.collect())
}

/// A size as text: powers of ten from a thousand on.
pub(crate) fn size(size: usize) -> String {
    match size {
        0 => String::new(),
        1_000.. if size == 10_usize.pow(size.ilog10()) => format!("10^{}", size.ilog10()),
        _ => size.to_string(),
    }
}

fn named(unit: Unit, (name, value): (&str, f64)) -> String {
    format!("{name} {}", unit.show(value))
}

fn ratio(ours: Option<f64>, theirs: Option<f64>) -> String {
    optional(ours.zip(theirs), |(ours, theirs)| {
        format!("× {}", three_digits(ours / theirs))
    })
}

fn optional<T>(value: Option<T>, show: impl FnOnce(T) -> String) -> String {
    value.map(show).unwrap_or_default()
}

/// A Markdown table with aligned columns, which is also readable as plain text.
fn markdown(heads: &[&str], lines: Vec<Vec<String>>) -> String {
    let heads: Vec<String> = heads.iter().map(|head| (*head).to_owned()).collect();
    let width = |column: usize| {
        let all = lines.iter().chain([&heads]);
        all.map(|line| line[column].chars().count())
            .max()
            .unwrap_or(0)
    };
    let widths: Vec<usize> = (0..heads.len()).map(width).collect();
    let line = |columns: &Vec<String>| {
        let cells = columns.iter().zip(&widths);
        let cells = cells.map(|(text, width)| format!("{text:width$}"));
        format!("| {} |\n", cells.collect::<Vec<_>>().join(" | "))
    };
    let rule = widths.iter().map(|width| "-".repeat(*width)).collect();
    let head = line(&heads) + &line(&rule);
    head + &lines.iter().map(line).collect::<String>()
}
