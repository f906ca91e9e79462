//! The list of those that did not return, for people: bounded, however many they are.
//!
//! Routines of one quitter that differ in nothing but their times are one line and a count. After
//! a hundred lines the others are only counted. The time to make a list is linear in how many
//! routines the listed quitters have.

use std::collections::HashMap;
use std::fmt;
use std::panic::Location;

use crate::report::escape::cut;
use crate::report::text::{Line, Span, WIDTH, write_parts};
use crate::report::timeouts::{LastSeen, StuckRoutine, TimedOutQuitter, Timeouts};

/// How many quitters and routines are listed.
const ROWS: usize = 100;

/// Columns of the longest name in the list, with its count.
const NAME_WIDTH: usize = 30;

/// Columns of the longest status in the list: what is left beside the longest name.
const STATUS_WIDTH: usize = 50;

/// A line of the list, which may be broken.
enum Row {
    Quitter(String),
    Routines { name: String, facts: Vec<String> },
}

/// The quitters and routines, each on a line that begins with a line break.
pub(crate) struct Listing<'a>(pub(crate) &'a Timeouts);

impl fmt::Display for Listing<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rows = Vec::new();
        let mut listed = 0;
        for at in self.0 {
            // A quitter alone says nothing.
            if rows.len() + 2 > ROWS {
                break;
            }
            rows.push(Row::Quitter(at.quitter.shown(WIDTH - 2)));
            for alike in Alike::of(at, ROWS - rows.len()) {
                listed += alike.count;
                rows.push(alike.row());
            }
        }
        write_rows(f, &rows)?;
        match self.0.len() - listed {
            0 => Ok(()),
            more => write!(f, "\n  and {more} more"),
        }
    }
}

fn write_rows(f: &mut fmt::Formatter<'_>, rows: &[Row]) -> fmt::Result {
    let columns = |row: &Row| match row {
        Row::Quitter(_) => 0,
        Row::Routines { name, .. } => name.chars().count(),
    };
    let width = rows.iter().map(columns).max().unwrap_or_default();
    for row in rows {
        match row {
            Row::Quitter(path) => write!(f, "\n  {path}")?,
            Row::Routines { name, facts } => {
                write!(f, "\n    {name:width$}  ")?;
                write_parts(f, 4 + width + 2, facts)?;
            }
        }
    }
    Ok(())
}

/// Routines of one quitter that differ in nothing but their times.
struct Alike<'a> {
    first: &'a StuckRoutine,
    count: usize,
    running_for: Span,
    ago: Option<Span>,
}

impl<'a> Alike<'a> {
    /// At most `room` lots, in the order of the first of each.
    fn of(at: &'a TimedOutQuitter, room: usize) -> Vec<Self> {
        let mut lots: Vec<Self> = Vec::new();
        let mut by_key: HashMap<Key<'a>, usize> = HashMap::new();
        for routine in &at.routines {
            match by_key.get(&key(routine)) {
                Some(index) => lots[*index].include(routine),
                None if lots.len() < room => {
                    by_key.insert(key(routine), lots.len());
                    lots.push(Self::one(routine));
                }
                None => {}
            }
        }
        lots
    }

    fn one(routine: &'a StuckRoutine) -> Self {
        Self {
            first: routine,
            count: 1,
            running_for: Span::of(routine.running_for),
            ago: ago(routine).map(Span::of),
        }
    }

    fn include(&mut self, routine: &StuckRoutine) {
        self.count += 1;
        self.running_for.include(routine.running_for);
        if let (Some(span), Some(ago)) = (&mut self.ago, ago(routine)) {
            span.include(ago);
        }
    }

    fn row(&self) -> Row {
        let count = match self.count {
            1 => String::new(),
            n => format!(" ×{n}"),
        };
        let name = cut(&self.first.name, NAME_WIDTH - count.chars().count());
        Row::Routines {
            name: name + &count,
            facts: self.facts(),
        }
    }

    fn facts(&self) -> Vec<String> {
        let StuckRoutine {
            spawned_at,
            status,
            last_seen,
            ..
        } = self.first;
        let mut facts = vec![
            format!("running {}", self.running_for),
            format!("spawned at {}", Line(spawned_at)),
            match (last_seen, self.ago) {
                (Some(seen), Some(ago)) => format!("last seen {ago} ago at {}", Line(seen.at)),
                (Some(seen), None) => format!("last seen at {}", Line(seen.at)),
                (None, _) => "never asked its quitter".to_owned(),
            },
        ];
        let status = status.as_ref();
        facts.extend(status.map(|status| format!("status \"{}\"", cut(status, STATUS_WIDTH))));
        facts
    }
}

fn ago(routine: &StuckRoutine) -> Option<std::time::Duration> {
    routine.last_seen.and_then(|seen| seen.ago)
}

/// What the routines of one line have in common.
type Key<'a> = (
    &'a str,
    &'static Location<'static>,
    Option<(&'static Location<'static>, bool)>,
    Option<&'a str>,
);

fn key(routine: &StuckRoutine) -> Key<'_> {
    let place_of = |seen: &LastSeen| (seen.at, seen.ago.is_some());
    (
        &routine.name,
        routine.spawned_at,
        routine.last_seen.as_ref().map(place_of),
        routine.status.as_deref(),
    )
}

/// What is known of a routine beside its name, with commas.
pub(crate) fn facts(routine: &StuckRoutine) -> String {
    Alike::one(routine).facts().join(", ")
}
