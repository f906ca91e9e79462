//! The list of the routines that did not return, as text of bounded length.
//!
//! Routines of one quitter that differ only in their times, or in the objects of the call that they are
//! blocked in, share a line. Routines whose call is unknown share it, too. After a hundred lines, the
//! remaining routines are counted. If there are more than a hundred quitters and routines, those that only
//! wait for others come last, so that the ones that hang are named. Making the text takes time linear in the
//! number of routines.

use std::fmt;

use crate::report::alike::Alike;
use crate::report::path::QuitterPath;
#[cfg(feature = "stacks")]
use crate::report::stacks;
use crate::report::stacks::ShownStacks;
use crate::report::standing::EVERYONE_WAITS;
use crate::report::text::{Count, Line, Rounded, Seconds, width, write_parts};
use crate::report::timeouts::{LastSeen, StuckRoutine, Timeouts};
use crate::routine::kind::RoutineState;

/// The maximum number of quitters and groups of routines that are listed.
const ROWS: usize = 100;

/// The indent of the calls of a stack.
const STACK_INDENT: usize = 6;

/// An entry of the list: one line, or several if it is too long for one.
enum Row {
    Quitter(String),
    Routines {
        name: String,
        facts: Vec<String>,
        stacks: Vec<String>,
    },
}

/// A line that says how many routines there are, then a line for each quitter and routine.
impl fmt::Display for Timeouts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (count, after) = (Count(self.len(), "routine"), Rounded(self.after()));
        write!(f, "{count} had not returned after {after}")?;
        let mut rows = Vec::new();
        let mut shown = ShownStacks::default();
        let mut listed = 0;
        for (quitter, routines) in self.in_order() {
            // A quitter is only listed together with a routine.
            if rows.len() + 2 > ROWS {
                break;
            }
            rows.push(Row::Quitter(quitter.shown(width() - 2)));
            for alike in Alike::of(routines, ROWS - rows.len()) {
                listed += alike.count;
                rows.push(Row::Routines {
                    name: alike.name(),
                    facts: alike.facts(),
                    stacks: alike.stacks(quitter, &mut shown, STACK_INDENT),
                });
            }
        }
        write_rows(f, &rows)?;
        match self.len() - listed {
            0 => {}
            more => write!(f, "\n  and {more} more")?,
        }
        match self.everyone_waits() {
            true => write!(f, "\n  {EVERYONE_WAITS}"),
            false => Ok(()),
        }
    }
}

impl Timeouts {
    /// The routines by quitter, in the order of the list: first those that hang, then those that only wait
    /// for others. If not all fit, a quitter with both is listed twice: otherwise, routines that wait might
    /// take the places of those that hang.
    fn in_order(&self) -> impl Iterator<Item = (&QuitterPath, Vec<&StuckRoutine>)> {
        let all_fit = self.len() + self.quitters.len() <= ROWS;
        let (mut hang, mut wait) = (Vec::new(), Vec::new());
        for at in self.iter() {
            let waits = |routine: &&StuckRoutine| routine.state == RoutineState::Waiting;
            let (waiting, mut hanging): (Vec<_>, Vec<_>) = at.routines.iter().partition(waits);
            if hanging.is_empty() || !all_fit {
                wait.push((&at.quitter, waiting));
            } else {
                hanging.extend(waiting);
            }
            hang.push((&at.quitter, hanging));
        }
        let all = hang.into_iter().chain(wait);
        all.filter(|(_, routines)| !routines.is_empty())
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
            Row::Routines {
                name,
                facts,
                stacks,
            } => {
                write!(f, "\n    {name:width$}  ")?;
                write_parts(f, 4 + width + 2, facts)?;
                stacks.iter().try_for_each(|line| write!(f, "\n{line}"))?;
            }
        }
    }
    Ok(())
}

/// Writes only the stacks, below the names of the routines.
#[cfg(feature = "stacks")]
pub(crate) fn write_stacks(f: &mut fmt::Formatter<'_>, timeouts: &Timeouts) -> fmt::Result {
    let mut room = ROWS;
    let mut shown = ShownStacks::default();
    for (quitter, routines) in timeouts.in_order() {
        let mut is_first = true;
        for alike in Alike::of(routines, room) {
            let lines = alike.stacks(quitter, &mut shown, STACK_INDENT);
            let facts = alike.facts_of_stacks();
            if lines.is_empty() && facts.is_empty() {
                continue;
            }
            if std::mem::take(&mut is_first) {
                write!(f, "\n  {}", quitter.shown(width() - 2))?;
            }
            write!(f, "\n    {}", alike.name())?;
            if !facts.is_empty() {
                write!(f, "  ")?;
                write_parts(f, 8, &facts)?;
            }
            lines.iter().try_for_each(|line| write!(f, "\n{line}"))?;
            room -= 1;
        }
    }
    stacks::write_note(f, timeouts)
}

impl fmt::Display for LastSeen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("last seen ")?;
        if let Some(ago) = self.ago {
            write!(f, "{} ago ", Seconds(ago))?;
        }
        write!(f, "at {}", Line(self.at))
    }
}

#[cfg(test)]
mod tests;
