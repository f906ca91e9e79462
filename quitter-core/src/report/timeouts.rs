//! Who did not return in time, and where they stand.

use std::error::Error;
use std::fmt;
use std::ops::Deref;
use std::panic::Location;
use std::slice;
use std::time::Duration;
use std::vec;

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
    pub quitter: String,
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
    /// It has returned since the deadline: at most this long after it. Only the exit report tells.
    pub returned_late: Option<Duration>,
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
        Self::with_late(live, after, None)
    }

    /// The deadline was `late` ago: routines that have returned since are marked so.
    pub(crate) fn with_late(live: Vec<LiveAt>, after: Duration, late: Option<Duration>) -> Self {
        let quitter = |at| TimedOutQuitter::new(at, late);
        let quitters = live.into_iter().map(quitter).collect();
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
    fn new(live: LiveAt, late: Option<Duration>) -> Self {
        Self {
            quitter: live.roster.path(),
            routines: live
                .routines
                .iter()
                .map(|record| StuckRoutine::new(record, late))
                .collect(),
        }
    }
}

impl StuckRoutine {
    fn new(record: &Record, late: Option<Duration>) -> Self {
        Self {
            id: record.id,
            name: record.name.to_string(),
            spawned_at: record.spawned_at,
            running_for: record.running_for(),
            status: record.status(),
            last_seen: record.last_seen().map(|(at, ago)| LastSeen { at, ago }),
            returned_late: late.filter(|_| record.is_finished()),
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
impl fmt::Display for Timeouts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.len() {
            1 => f.write_str("1 routine")?,
            n => write!(f, "{n} routines")?,
        }
        write!(f, " had not returned after {}", Rounded(self.after))?;
        let width = self.routines().map(|r| r.name.chars().count()).max();
        for at in self {
            write!(f, "\n  {}", at.quitter)?;
            for routine in &at.routines {
                let name = &routine.name;
                write!(
                    f,
                    "\n    {name:width$}  {routine}",
                    width = width.unwrap_or(0)
                )?;
            }
        }
        Ok(())
    }
}

impl Error for Timeouts {}

/// What is known of the routine but its name: "running 7.0 s, spawned at src/main.rs:31, last seen
/// at src/main.rs:52 2.1 s ago".
impl fmt::Display for StuckRoutine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let running = Seconds(self.running_for);
        write!(f, "running {running}, spawned at {}", Line(self.spawned_at))?;
        match &self.last_seen {
            Some(seen) => write!(f, ", {seen}")?,
            None => f.write_str(", never asked its quitter")?,
        }
        if let Some(status) = &self.status {
            write!(f, ", status {status:?}")?;
        }
        match self.returned_late {
            Some(late) => write!(f, ", returned at most {} ms late", late.as_millis()),
            None => Ok(()),
        }
    }
}

impl fmt::Display for LastSeen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "last seen at {}", Line(self.at))?;
        match self.ago {
            Some(ago) => write!(f, " {} ago", Seconds(ago)),
            None => Ok(()),
        }
    }
}

/// File and line of a place.
struct Line(&'static Location<'static>);

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.0.file(), self.0.line())
    }
}

/// A duration that was measured: "0.4 s".
pub(crate) struct Seconds(pub(crate) Duration);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.1} s", self.0.as_secs_f64())
    }
}

/// A duration that somebody chose: "2 s", "1.5 s", "50 ms".
struct Rounded(Duration);

impl fmt::Display for Rounded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_millis() {
            0 => f.write_str("0 s"),
            ms @ ..100 => write!(f, "{ms} ms"),
            _ => write!(f, "{} s", (self.0.as_secs_f64() * 10.0).round() / 10.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chosen_durations_read_as_they_were_written() {
        let text = |ms| Rounded(Duration::from_millis(ms)).to_string();
        assert_eq!(text(2000), "2 s");
        assert_eq!(text(2004), "2 s");
        assert_eq!(text(1500), "1.5 s");
        assert_eq!(text(50), "50 ms");
        assert_eq!(text(0), "0 s");
    }

    #[test]
    fn a_report_names_quitter_routine_places_and_status() {
        let place = Location::caller();
        let routine = StuckRoutine {
            id: 1,
            name: "child_heartbeat_b".into(),
            spawned_at: place,
            running_for: Duration::from_secs(7),
            status: Some("flushing 3/10".into()),
            last_seen: Some(LastSeen {
                at: place,
                ago: Some(Duration::from_millis(2100)),
            }),
            returned_late: None,
        };
        let line = place.line();
        let here = format!("{}:{line}", file!());
        assert_eq!(
            routine.to_string(),
            format!(
                "running 7.0 s, spawned at {here}, last seen at {here} 2.1 s ago, \
                 status \"flushing 3/10\""
            )
        );
    }
}
