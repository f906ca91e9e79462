//! Who did not return in time, and where they stand.

use std::error::Error;
use std::fmt;
use std::ops::Deref;
use std::panic::Location;
use std::slice;
use std::time::Duration;
use std::vec;

use crate::report::listing::{Listing, facts};
use crate::report::path::{Paths, QuitterPath};
use crate::report::text::{Line, Rounded, Seconds};
use crate::routine::record::Record;
use crate::tree::LiveAt;

/// The routines that were live when the time to wait for them was up, by quitter.
///
/// Each is listed once, told apart by its id. Quitters come before those above them. Quitters, and
/// the routines of one quitter, stand in the order of their ids: those that one thread made in the
/// order in which it made them.
///
/// # Examples
///
/// ```
/// # use quitter_core as quitter;
/// use std::time::Duration;
///
/// let root = quitter::Quitter::root("main");
/// let child = root.child("db").unwrap();
/// let flusher = child.guard("flusher").unwrap();
///
/// let timeouts = root.wait_done(Duration::ZERO).unwrap_err();
/// for quitter in &timeouts {
///     assert_eq!(quitter.quitter, "main/db");
///     assert_eq!(quitter.routines[0].name, "flusher");
/// }
/// eprintln!("{timeouts}");
/// ```
#[derive(Clone, Debug, Default)]
pub struct Timeouts {
    quitters: Vec<TimedOutQuitter>,
    after: Duration,
}

/// A quitter with routines that did not return in time.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TimedOutQuitter {
    /// The quitter's path, such as `main/childQuitter`.
    pub quitter: QuitterPath,
    /// Its routines that were live.
    pub routines: Vec<StuckRoutine>,
}

/// A routine that did not return in time.
///
/// # Examples
///
/// ```
/// # use quitter_core as quitter;
/// use std::time::Duration;
///
/// let root = quitter::Quitter::root("main");
/// let guard = root.guard("flusher").unwrap();
/// assert!(!guard.has_to_quit());
/// let timeouts = root.wait_done(Duration::ZERO).unwrap_err();
/// let flusher = timeouts.routines().next().unwrap();
/// assert_eq!(flusher.id, guard.id());
/// assert_eq!(flusher.spawned_at.file(), file!());
/// assert!(flusher.last_seen.is_some_and(|seen| seen.line() == flusher.spawned_at.line() + 1));
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct StuckRoutine {
    /// The routine's number, as in [`RoutineHandle::id`](crate::RoutineHandle::id).
    pub id: u64,
    /// The routine's name.
    pub name: String,
    /// Where the routine was added.
    pub spawned_at: &'static Location<'static>,
    /// How long it had been running. A guard's may be a tick of the system's clock too long, some
    /// milliseconds.
    pub running_for: Duration,
    /// What it said last of what it is at.
    pub status: Option<String>,
    /// Where it last called its quitter; `None`: it never did.
    pub last_seen: Option<LastSeen>,
}

/// Where a routine last called its quitter. Derefs to the place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LastSeen {
    /// The place of the call.
    pub at: &'static Location<'static>,
    /// How long ago the call began. Known only of calls that may block, such as
    /// [`sleep`](crate::RoutineQuitter::sleep).
    pub ago: Option<Duration>,
}

impl Deref for LastSeen {
    type Target = Location<'static>;

    fn deref(&self) -> &Location<'static> {
        self.at
    }
}

impl Timeouts {
    pub(crate) fn new(live: Vec<LiveAt>, after: Duration) -> Self {
        let mut paths = Paths::default();
        // Parents first, whose paths are then there to be shared.
        let upwards = live.iter().rev();
        let mut quitters: Vec<_> = upwards
            .map(|at| TimedOutQuitter::new(at, &mut paths))
            .collect();
        quitters.reverse();
        Self { quitters, after }
    }

    /// Whether nobody is listed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.quitters.is_empty()
    }

    /// How many routines are listed.
    #[must_use]
    pub fn len(&self) -> usize {
        self.quitters.iter().map(|at| at.routines.len()).sum()
    }

    /// The quitters that have routines in the list.
    pub fn iter(&self) -> slice::Iter<'_, TimedOutQuitter> {
        self.quitters.iter()
    }

    /// The routines in the list, without their quitters.
    pub fn routines(&self) -> impl Iterator<Item = &StuckRoutine> {
        self.quitters.iter().flat_map(|at| &at.routines)
    }

    /// How long they were waited for.
    #[must_use]
    pub fn after(&self) -> Duration {
        self.after
    }
}

impl TimedOutQuitter {
    fn new(live: &LiveAt, paths: &mut Paths) -> Self {
        let routines = live.routines.iter();
        Self {
            quitter: paths.of(live.roster.lineage()),
            routines: routines.map(|record| StuckRoutine::new(record)).collect(),
        }
    }
}

impl StuckRoutine {
    fn new(record: &Record) -> Self {
        Self {
            id: record.id,
            name: record.name.to_string(),
            spawned_at: record.spawned_at,
            running_for: record.running_for(),
            status: record.status(),
            last_seen: record.last_seen().map(|(at, ago)| LastSeen { at, ago }),
        }
    }
}

impl IntoIterator for Timeouts {
    type Item = TimedOutQuitter;
    type IntoIter = vec::IntoIter<TimedOutQuitter>;

    fn into_iter(self) -> Self::IntoIter {
        self.quitters.into_iter()
    }
}

impl<'a> IntoIterator for &'a Timeouts {
    type Item = &'a TimedOutQuitter;
    type IntoIter = slice::Iter<'a, TimedOutQuitter>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// The list for people: a head line, then a line per quitter and per routine.
///
/// Routines of a quitter that differ in nothing but their times share a line, such as
/// `worker ×997`. At most 100 lines are listed; the routines of the others are counted. Text that is
/// not quitter's is escaped, and cut in the middle where it is long. All is there as data.
impl fmt::Display for Timeouts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.len() {
            1 => f.write_str("1 routine")?,
            n => write!(f, "{n} routines")?,
        }
        let after = Rounded(self.after);
        write!(f, " had not returned after {after}{}", Listing(self))
    }
}

impl Error for Timeouts {}

/// What is known of the routine beside its name: "running 7.0 s, spawned at src/main.rs:31, last seen
/// 2.1 s ago at src/main.rs:52". A status is escaped, and cut where it is long.
impl fmt::Display for StuckRoutine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&facts(self))
    }
}

/// "last seen 2.1 s ago at src/main.rs:52".
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
mod tests {
    use super::*;
    use crate::Quitter;

    const PLACE: &Location<'static> = Location::caller();

    fn stuck(id: u64, name: impl Into<String>) -> StuckRoutine {
        StuckRoutine {
            id,
            name: name.into(),
            spawned_at: PLACE,
            running_for: Duration::from_secs(7),
            status: None,
            last_seen: None,
        }
    }

    fn timeouts(quitters: Vec<(&str, Vec<StuckRoutine>)>) -> Timeouts {
        let quitter = |(path, routines): (&str, _)| TimedOutQuitter {
            quitter: path.to_owned().into(),
            routines,
        };
        Timeouts {
            quitters: quitters.into_iter().map(quitter).collect(),
            after: Duration::from_secs(2),
        }
    }

    #[test]
    fn a_report_names_quitter_routine_places_and_status() {
        let mut routine = stuck(1, "child_heartbeat_b");
        routine.status = Some("flushing 3/10".into());
        routine.last_seen = Some(LastSeen {
            at: PLACE,
            ago: Some(Duration::from_millis(2100)),
        });
        let here = Line(PLACE);
        assert_eq!(
            routine.to_string(),
            format!(
                "running 7.0 s, spawned at {here}, last seen 2.1 s ago at {here}, \
                 status \"flushing 3/10\""
            )
        );
    }

    #[test]
    fn lines_break_behind_a_comma_and_names_are_in_a_column() {
        let mut long = stuck(1, "child_heartbeat_b");
        long.status = Some("flushing 3/10".into());
        let text = timeouts(vec![
            ("main/child", vec![long]),
            ("main", vec![stuck(2, "beat")]),
        ]);
        let here = Line(PLACE);
        assert_eq!(
            text.to_string(),
            format!(
                "2 routines had not returned after 2 s\n  \
                 main/child\n    \
                 child_heartbeat_b  running 7.0 s, spawned at {here},\n                       \
                 never asked its quitter, status \"flushing 3/10\"\n  \
                 main\n    \
                 beat               running 7.0 s, spawned at {here},\n                       \
                 never asked its quitter"
            )
        );
        assert!(
            text.to_string()
                .lines()
                .all(|line| line.chars().count() <= 100)
        );
    }

    #[test]
    fn routines_that_differ_in_their_times_only_are_one_line_and_a_count() {
        let workers = (0..997).map(|i| {
            let mut worker = stuck(i, "worker");
            worker.running_for = Duration::from_millis(3000 + i);
            worker
        });
        let mut other = stuck(1000, "worker");
        other.status = Some("busy".into());
        let list = timeouts(vec![("main/pool", workers.chain([other]).collect())]);
        let text = list.to_string();
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines[0], "998 routines had not returned after 2 s");
        assert!(
            lines[2].starts_with("    worker ×997  running 3.0 to 4.0 s, "),
            "{text}"
        );
        assert!(
            text.contains("\n    worker       running 7.0 s, "),
            "{text}"
        );
        assert_eq!(list.routines().count(), 998);
    }

    #[test]
    fn after_a_hundred_lines_the_others_are_counted() {
        let names = |of: u64| (0..of).map(|i| stuck(i, format!("worker {i}"))).collect();
        let list = timeouts(vec![("main/a", names(50)), ("main/b", names(100_000))]);
        let text = list.to_string();
        assert!(text.starts_with("100050 routines had not returned after 2 s\n"));
        assert!(text.ends_with("\n  and 99952 more"), "{text}");
        let names = |line: &&str| line.starts_with("    worker") || line.starts_with("  main");
        assert_eq!(text.lines().filter(names).count(), 100);
        assert_eq!(list.len(), 100_050);
    }

    #[test]
    fn the_paths_of_a_list_are_as_the_quitters_know_them() {
        let root = Quitter::root("main");
        let mut at = root.clone();
        let mut guards = Vec::new();
        for name in ["a", "b/c", "", "d"] {
            at = at.child(name).unwrap();
            guards.push(at.guard("guard").unwrap());
        }
        let timeouts = root.wait_done(Duration::ZERO).unwrap_err();
        let paths: Vec<_> = timeouts.iter().map(|at| at.quitter.to_string()).collect();
        assert_eq!(
            paths,
            ["main/a/b/c//d", "main/a/b/c/", "main/a/b/c", "main/a"]
        );
        assert_eq!(guards[3].path(), paths[0]);
    }
}
