//! Routines that returned in time, but took more than half of it.

use std::fmt;
use std::panic::Location;
use std::time::Duration;

use crate::report::escape::cut;
use crate::report::path::QuitterPath;
use crate::report::text::{Rounded, Span, write_parts};
use crate::routine::kind::RoutineKind;

/// A routine that returned in time, but took more than half of the quit timeout.
///
/// In the next release of the program, or on a busier machine, it may not return in time. A routine that
/// only waited for others does not count, nor does one that was already waiting for others when half of
/// the time was over.
///
/// # Examples
///
/// ```no_run
/// # use quitter_core as quitter;
/// use std::time::Duration;
/// use quitter::{ExitReport, MainQuitter, QuitSource};
///
/// fn main() -> ExitReport {
///     let main = MainQuitter::new(Duration::from_secs(5), [QuitSource::os_signal()]);
///     main.routine("flusher")
///         .add(|q| {
///             q.wait_quit();
///             std::thread::sleep(Duration::from_secs(3));
///         })
///         .unwrap();
///     let report = main.exit();
///     for slow in &report.slow {
///         println!("{} of {} took {:?}", slow.name, slow.quitter, slow.took);
///     }
///     report
/// }
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SlowRoutine {
    /// The path of the routine's quitter, such as `main/store`.
    pub quitter: QuitterPath,
    /// The routine's number, as in [`RoutineHandle::id`](crate::RoutineHandle::id).
    pub id: u64,
    /// The routine's name.
    pub name: String,
    /// The kind of work that the routine was.
    pub kind: RoutineKind,
    /// Where the routine was added.
    pub spawned_at: &'static Location<'static>,
    /// The time from the quit event until the routine had returned.
    pub took: Duration,
}

/// The slow routines of a report: "slow to return: flusher of main/store took 3.1 s of 5 s".
pub(crate) struct SlowLine<'a> {
    pub(crate) slow: &'a [SlowRoutine],
    /// The number of further slow routines.
    pub(crate) unlisted: usize,
    /// The quit timeout.
    pub(crate) timeout: Duration,
}

impl fmt::Display for SlowLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 5;
        const BEGINS: &str = "slow to return: ";
        let groups = Alike::of(self.slow, SHOWN);
        let shown: usize = groups.iter().map(|group| group.count).sum();
        let mut parts: Vec<_> = groups.iter().map(ToString::to_string).collect();
        if let Some(first) = parts.first_mut() {
            *first += &format!(" of {}", Rounded(self.timeout));
        }
        match self.slow.len() + self.unlisted - shown {
            0 => {}
            more => parts.push(format!("and {more} more")),
        }
        write!(f, "  {BEGINS}")?;
        write_parts(f, 2 + BEGINS.len(), &parts)
    }
}

/// Routines that differ only in their numbers, places and times.
struct Alike<'a> {
    first: &'a SlowRoutine,
    count: usize,
    took: Span,
}

impl<'a> Alike<'a> {
    /// At most `room` groups, in the order of their first routines.
    fn of(slow: &'a [SlowRoutine], room: usize) -> Vec<Self> {
        let mut groups: Vec<Self> = Vec::new();
        for routine in slow {
            let is_alike = |group: &Self| {
                group.first.name == routine.name && group.first.quitter == routine.quitter
            };
            match groups.iter().position(is_alike) {
                Some(at) => {
                    groups[at].count += 1;
                    groups[at].took.include(routine.took);
                }
                None if groups.len() < room => groups.push(Self {
                    first: routine,
                    count: 1,
                    took: Span::of(routine.took),
                }),
                None => {}
            }
        }
        groups
    }
}

/// "worker ×997 of main/store took 2.6 to 4.9 s".
impl fmt::Display for Alike<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const NAME: usize = 30;
        const PATH: usize = 40;
        f.write_str(&cut(&self.first.name, NAME))?;
        if self.count > 1 {
            write!(f, " ×{}", self.count)?;
        }
        let path = self.first.quitter.shown(PATH);
        write!(f, " of {path} took {}", self.took)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slow(name: &str, took: u64) -> SlowRoutine {
        SlowRoutine {
            quitter: "main/store".to_owned().into(),
            id: took,
            name: name.to_owned(),
            kind: RoutineKind::Guard,
            spawned_at: Location::caller(),
            took: Duration::from_millis(took),
        }
    }

    fn line(slow: &[SlowRoutine], unlisted: usize) -> String {
        let timeout = Duration::from_secs(5);
        let line = SlowLine {
            slow,
            unlisted,
            timeout,
        };
        line.to_string()
    }

    #[test]
    fn one_slow_routine_is_named_with_its_time() {
        let text = line(&[slow("flusher", 3100)], 0);
        assert_eq!(
            text,
            "  slow to return: flusher of main/store took 3.1 s of 5 s"
        );
    }

    #[test]
    fn slow_routines_of_one_name_below_different_quitters_are_named_each_with_its_own() {
        let mut other = slow("flusher", 3000);
        other.quitter = "main/log".to_owned().into();
        let text = line(&[slow("flusher", 3100), other], 0);
        assert_eq!(
            text,
            "  slow to return: flusher of main/store took 3.1 s of 5 s, flusher of main/log took 3.0 s"
        );
    }

    #[test]
    fn slow_routines_of_one_name_are_counted_and_many_names_are_cut() {
        let workers = (0..900).map(|n| slow("worker", 4900 - n));
        let others = (0..100).map(|n| slow(&format!("other {n}\n"), 2600));
        let all: Vec<_> = workers.chain(others).collect();
        let text = line(&all, 7);
        let begins = "  slow to return: worker ×900 of main/store took 4.0 to 4.9 s of 5 s,\n                  ";
        assert!(text.starts_with(begins), "{text}");
        assert!(
            text.contains(r"other 0\n of main/store took 2.6 s,"),
            "{text}"
        );
        assert!(
            text.ends_with(", and 103 more") || text.ends_with("  and 103 more"),
            "{text}"
        );
        assert!(
            text.lines().all(|line| line.chars().count() <= 100),
            "{text}"
        );
    }
}
