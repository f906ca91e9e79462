//! Routines that share a line, since their texts hardly differ.

use std::collections::HashMap;
use std::fmt;
use std::panic::Location;
use std::time::Duration;

use crate::report::escape::{counted, quoted};
use crate::report::path::QuitterPath;
use crate::report::stacks::{Called, LineStacks, ShownStacks};
use crate::report::standing::{Kind, Standing};
use crate::report::text::{Line, Span};
use crate::report::timeouts::{LastSeen, StuckRoutine};
use crate::routine::kind::{RoutineKind, RoutineState};

/// The maximum width of a name in a list, with its count, in columns.
const NAME_WIDTH: usize = 30;

/// The maximum width of a status in a list, in columns: what is left beside the longest name.
const STATUS_WIDTH: usize = 50;

/// Routines of one quitter that differ only in their times, or in the objects of the call that they are
/// blocked in.
pub(super) struct Alike<'a> {
    pub(super) first: &'a StuckRoutine,
    pub(super) count: usize,
    pub(super) running_for: Span,
    ago: Option<Span>,
    standing: Option<Standing<'a>>,
    stacks: LineStacks<'a>,
}

impl<'a> Alike<'a> {
    /// Makes at most `room` groups, in the order of their first routines.
    pub(super) fn of(
        routines: impl IntoIterator<Item = &'a StuckRoutine>,
        room: usize,
    ) -> Vec<Self> {
        let mut groups: Vec<Self> = Vec::new();
        let mut by_key: HashMap<(Key<'a>, Option<Kind<'a>>), usize> = HashMap::new();
        for routine in routines {
            let (key, kind) = (key(routine), Kind::of(&routine.stands));
            // The first group of a key also has the routines that nothing else is known about.
            let first = by_key.get(&(key, None)).copied();
            let known = by_key.get(&(key, kind)).copied();
            let untold = first.filter(|first| groups[*first].standing.is_none());
            match known.or(untold) {
                Some(index) => {
                    groups[index].include(routine);
                    by_key.insert((key, kind), index);
                }
                None if groups.len() < room => {
                    by_key.entry((key, None)).or_insert(groups.len());
                    by_key.insert((key, kind), groups.len());
                    groups.push(Self::one(routine));
                }
                None => {}
            }
        }
        groups
    }

    fn one(routine: &'a StuckRoutine) -> Self {
        Self {
            first: routine,
            count: 1,
            running_for: Span::of(routine.running_for),
            ago: ago(routine).map(Span::of),
            standing: Standing::of(&routine.stands),
            stacks: LineStacks::of(routine),
        }
    }

    fn include(&mut self, routine: &'a StuckRoutine) {
        self.count += 1;
        self.stacks.include(routine);
        self.running_for.include(routine.running_for);
        if let (Some(span), Some(ago)) = (&mut self.ago, ago(routine)) {
            span.include(ago);
        }
        match &mut self.standing {
            Some(standing) => standing.include(&routine.stands),
            none => *none = Standing::of(&routine.stands),
        }
    }

    /// The lines of the routines' stacks, each indented by `indent` columns.
    pub(super) fn stacks(
        &self,
        quitter: &'a QuitterPath,
        shown: &mut ShownStacks<'a>,
        indent: usize,
    ) -> Vec<String> {
        let name = &self.first.name;
        self.stacks.lines(Called { name, quitter }, shown, indent)
    }

    /// The states of the tasks among the routines.
    #[cfg(feature = "stacks")]
    pub(super) fn facts_of_stacks(&self) -> Vec<String> {
        self.stacks.facts()
    }

    /// The name, escaped and shortened, with the count.
    pub(super) fn name(&self) -> String {
        counted(&self.first.name, self.count, NAME_WIDTH)
    }

    /// The call that the routines are blocked in, if it is known.
    pub(super) fn call(&self) -> Option<&'a str> {
        self.standing.as_ref()?.call()
    }

    pub(super) fn facts(&self) -> Vec<String> {
        let StuckRoutine {
            state,
            kind,
            spawned_at,
            last_seen,
            is_body,
            cancelled,
            returned_late,
            ..
        } = self.first;
        let mut facts = vec![format!("running {}", self.running_for)];
        facts.extend(state.words().map(str::to_owned));
        let standing = self.standing.iter();
        facts.extend(self.stacks.facts());
        facts.extend(standing.flat_map(|standing| standing.parts(self.count)));
        facts.push(format!("spawned at {}", Line(spawned_at)));
        facts.extend(match (last_seen, self.ago) {
            (Some(seen), Some(ago)) => Some(format!("last seen {ago} ago at {}", Line(seen.at))),
            (Some(seen), None) => Some(format!("last seen at {}", Line(seen.at))),
            (None, _) if *is_body => None,
            (None, _) => match kind {
                RoutineKind::Process { pid } => Some(format!("pid {pid}")),
                // A guard may stand for a job that waits in a queue.
                RoutineKind::Guard => None,
                _ => Some("never asked its quitter".to_owned()),
            },
        });
        facts.extend(self.first.status_fact());
        let ended = if *cancelled {
            "dropped unfinished"
        } else {
            "returned"
        };
        match returned_late {
            Some(late) => facts.push(format!("{ended} at most {} ms late", late.as_millis())),
            None if *cancelled => {
                facts.push("dropped unfinished, and its values are still being dropped".into())
            }
            None => {}
        }
        facts
    }
}

impl RoutineState {
    /// The words for the state, which follow the routine's running time in a list.
    pub(super) fn words(self) -> Option<&'static str> {
        match self {
            Self::Running => None,
            Self::Starting => Some("being started"),
            Self::Waiting => Some("waits for others"),
            Self::Failed => Some("has failed"),
        }
    }
}

impl StuckRoutine {
    /// "status "3/10"", or "command "sleep 100"" for a process, whose status is its command line.
    pub(super) fn status_fact(&self) -> Option<String> {
        let label = match self.kind {
            RoutineKind::Process { .. } => "command",
            _ => "status",
        };
        let status = self.status.as_ref()?;
        Some(format!("{label} {}", quoted(status, STATUS_WIDTH)))
    }
}

fn ago(routine: &StuckRoutine) -> Option<Duration> {
    routine.last_seen.and_then(|seen| seen.ago)
}

/// The facts that the routines of one line share.
type Key<'a> = (
    &'a str,
    RoutineState,
    &'static Location<'static>,
    Option<(&'static Location<'static>, bool)>,
    Option<&'a str>,
    bool,
    Option<Duration>,
    Option<u32>,
);

fn key(routine: &StuckRoutine) -> Key<'_> {
    let place_of = |seen: &LastSeen| (seen.at, seen.ago.is_some());
    (
        &routine.name,
        routine.state,
        routine.spawned_at,
        routine.last_seen.as_ref().map(place_of),
        routine.status.as_deref(),
        routine.cancelled,
        routine.returned_late,
        match routine.kind {
            RoutineKind::Process { pid } => Some(pid),
            _ => None,
        },
    )
}

impl fmt::Display for StuckRoutine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&Alike::one(self).facts().join(", "))
    }
}
