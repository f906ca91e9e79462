//! A snapshot as a tree of lines.

use std::fmt;
use std::time::Duration;

use super::rows::{Item, Row, more, rows};
use super::{LiveQuitter, QuitState, Snapshot};
use crate::report::alike::Alike;
use crate::report::escape::cut;
use crate::report::failure::{RoutineFailure, write_failures};
use crate::report::path::QuitterPath;
use crate::report::stacks::ShownStacks;
#[cfg(feature = "stacks")]
use crate::report::stacks::write_notes;
use crate::report::text::{Seconds, write_parts_after};

/// The number of levels that are indented. Quitters further down are shown at the last one, by their paths.
const LEVELS: usize = 6;

/// The maximum width of such a path, in columns.
const PATH_WIDTH: usize = 40;

/// The indent of the calls of a stack below the name of the routine.
const STACK_INDENT: usize = 2;

/// The maximum width of the cause of a quit, in columns.
const CAUSE_WIDTH: usize = 60;

impl fmt::Display for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write(f, self, |name, _| name)
    }
}

/// Writes the tree and the failures. `paint` may colour each name.
pub(super) fn write(
    f: &mut fmt::Formatter<'_>,
    snapshot: &Snapshot,
    paint: impl Fn(String, &Item<'_>) -> String,
) -> fmt::Result {
    let rows = rows(snapshot);
    let levels = levels(&rows);
    let columns = columns(&rows);
    let mut lines = Lines::new(&levels);
    let mut shown = ShownStacks::default();
    for (at, row) in rows.iter().enumerate() {
        let (name, facts) = name_and_facts(row, levels[at]);
        let padding = columns[at].saturating_sub(name.chars().count());
        let (first, others) = lines.next_prefixes();
        let margin = match row.item {
            Item::Routines { .. } => format!("{others}{:1$}", "", columns[at] + 2),
            _ => format!("{others}   "),
        };
        let line_end = if at == 0 { "" } else { "\n" };
        write!(f, "{line_end}{first}{}", paint(name, &row.item))?;
        if !facts.is_empty() {
            write!(f, "{:padding$}  ", "")?;
            write_parts_after(f, &margin, &facts)?;
        }
        if let Item::Routines { of, alike } = &row.item {
            write_stacks(f, &of.path, alike, &mut shown, &others)?;
        }
    }
    #[cfg(feature = "stacks")]
    write_notes(f, snapshot.routines(), &snapshot.stackless)?;
    let failures = Failures(&snapshot.failures, snapshot.unlisted_failures).to_string();
    match failures.trim_end() {
        "" => Ok(()),
        failures => write!(f, "\n{failures}"),
    }
}

/// Writes stacks below the row of their routines. Each line begins with `prefix`.
fn write_stacks<'a>(
    f: &mut fmt::Formatter<'_>,
    quitter: &'a QuitterPath,
    alike: &Alike<'a>,
    shown: &mut ShownStacks<'a>,
    prefix: &str,
) -> fmt::Result {
    let columns = prefix.chars().count();
    let stacks = alike.stacks(quitter, shown, columns + STACK_INDENT);
    // The prefix replaces as many spaces.
    let mut lines = stacks.iter().map(|line| &line[columns..]);
    lines.try_for_each(|line| write!(f, "\n{prefix}{line}"))
}

struct Failures<'a>(&'a [RoutineFailure], u64);

impl fmt::Display for Failures<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_failures(f, self.0, self.1)
    }
}

/// The level of each row.
fn levels(rows: &[Row<'_>]) -> Vec<usize> {
    let mut levels: Vec<usize> = Vec::with_capacity(rows.len());
    for row in rows {
        let below = row.above.map_or(0, |above| levels[above] + 1);
        levels.push(match row.item {
            Item::Quitter { .. } => below.min(LEVELS),
            _ => below,
        });
    }
    levels
}

/// The width of each row's name in columns: for routines of one quitter, the width of the longest name.
fn columns(rows: &[Row<'_>]) -> Vec<usize> {
    let mut widest = vec![0; rows.len()];
    let of = |row: &Row<'_>| match (&row.item, row.above) {
        (Item::Routines { alike, .. }, Some(above)) => Some((above, alike.name().chars().count())),
        _ => None,
    };
    for (above, columns) in rows.iter().filter_map(of) {
        widest[above] = columns.max(widest[above]);
    }
    let columns = rows
        .iter()
        .map(|row| of(row).map_or(0, |(above, _)| widest[above]));
    columns.collect()
}

fn name_and_facts(row: &Row<'_>, level: usize) -> (String, Vec<String>) {
    match &row.item {
        Item::Quitter { quitter, name } => {
            let name = match level {
                LEVELS => quitter.path.shown(PATH_WIDTH),
                _ => name.clone(),
            };
            (name, facts(quitter))
        }
        Item::Routines { alike, .. } => (alike.name(), alike.facts()),
        Item::More { routines, quitters } => (more(*routines, *quitters), Vec::new()),
    }
}

fn facts(quitter: &LiveQuitter) -> Vec<String> {
    let mut facts = match &quitter.quit {
        None => Vec::new(),
        Some(quit) if quit.inherited => vec!["quitting".to_owned()],
        Some(quit) => quit.facts(),
    };
    if quitter.routines.is_empty() && quitter.waiting > 0 {
        facts.push(match quitter.waiting {
            1 => "a thread or future waits for its quit or its routines".to_owned(),
            n => format!("{n} threads or futures wait for its quit or its routines"),
        });
    }
    facts
}

impl QuitState {
    /// The time that is left, in words.
    pub(super) fn left(&self) -> Option<String> {
        self.time_left.map(|left| match left {
            Duration::ZERO => "its time is up".to_owned(),
            left => format!("{} left", Seconds(left)),
        })
    }

    fn facts(&self) -> Vec<String> {
        let cause = self.cause.to_string();
        let cause = cause.lines().next().unwrap_or_default();
        let mut facts = vec![format!("quitting for {}", Seconds(self.told_for))];
        facts.extend(self.left());
        facts.push(format!("received quit from {}", cut(cause, CAUSE_WIDTH)));
        facts
    }
}

/// Draws the lines that connect the rows.
struct Lines<'a> {
    levels: &'a [usize],
    /// For each row, whether another row with the same parent follows.
    has_next: Vec<bool>,
    /// The same for the current row and its ancestors, by level.
    open: Vec<bool>,
    at: usize,
}

impl<'a> Lines<'a> {
    fn new(levels: &'a [usize]) -> Self {
        let deepest = levels.iter().max().map_or(0, |level| level + 1);
        let mut follows = vec![false; deepest];
        let mut has_next = vec![false; levels.len()];
        for (at, level) in levels.iter().enumerate().rev() {
            has_next[at] = std::mem::replace(&mut follows[*level], true);
            follows[level + 1..].fill(false);
        }
        Self {
            levels,
            has_next,
            open: vec![false; deepest],
            at: 0,
        }
    }

    /// Returns the prefixes of the next row: of its first line, and of its further lines.
    fn next_prefixes(&mut self) -> (String, String) {
        let (at, level) = (self.at, self.levels[self.at]);
        self.at += 1;
        self.open[level] = self.has_next[at];
        let passing = |open: &bool| if *open { "│  " } else { "   " };
        if level == 0 {
            return Default::default();
        }
        let above: String = self.open[1..level].iter().map(passing).collect();
        let connector = if self.has_next[at] {
            "├─ "
        } else {
            "└─ "
        };
        let has_below = self.levels.get(self.at).is_some_and(|next| *next > level);
        let below = if has_below { "│  " } else { "" };
        let others = format!("{above}{}{below}", passing(&self.has_next[at]));
        (above + connector, others)
    }
}
