//! Threads that belong to no tree, by name and state, as the system knows them.

use std::collections::BTreeMap;
use std::fmt;

use crate::report::escape::cut;
use crate::report::text::{Count, write_parts};

/// A thread of this process that runs no routine. Often it is such foreign work that hangs.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct OutsideThread {
    /// The thread's number in the operating system.
    pub os_id: u64,
    /// The thread's name, as the operating system keeps it: its first 15 bytes.
    pub name: String,
    /// The thread's state when it was read.
    pub state: ThreadState,
}

/// The state of a thread in the operating system.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum ThreadState {
    /// It runs, or is ready to run.
    Running,
    /// It waits inside the system, for a disk or the like, and no signal wakes it.
    InTheSystem,
    /// It waits.
    Waiting,
    /// It was stopped, by a signal or a debugger.
    Stopped,
    /// It is about to end.
    Ending,
}

impl fmt::Display for ThreadState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Running => "running",
            Self::InTheSystem => "waiting for a device",
            Self::Waiting => "waiting",
            Self::Stopped => "stopped",
            Self::Ending => "ending",
        })
    }
}

/// The threads of this process, except those for which `is_known` returns `true`, in the order of their ids.
/// `None` if the system does not list them.
pub(crate) fn threads(is_known: impl Fn(u64) -> bool) -> Option<Vec<OutsideThread>> {
    let mut threads: Vec<_> = os::threads()?.filter(|id| !is_known(*id)).collect();
    threads.sort_unstable();
    Some(threads.into_iter().filter_map(os::thread).collect())
}

#[cfg(any(target_os = "linux", target_os = "android"))]
mod os {
    use std::fs;

    use super::{OutsideThread, ThreadState};
    use crate::stat::Stat;

    pub(super) fn threads() -> Option<impl Iterator<Item = u64>> {
        let tasks = fs::read_dir("/proc/self/task").ok()?;
        let id = |name: std::ffi::OsString| name.to_str()?.parse().ok();
        Some(tasks.filter_map(move |task| id(task.ok()?.file_name())))
    }

    /// `None` if the thread has ended meanwhile.
    pub(super) fn thread(os_id: u64) -> Option<OutsideThread> {
        let line = fs::read(format!("/proc/self/task/{os_id}/stat")).ok()?;
        let line = String::from_utf8_lossy(&line);
        let stat = Stat::parse(&line)?;
        Some(OutsideThread {
            os_id,
            name: stat.name.to_owned(),
            state: match stat.state {
                'R' => ThreadState::Running,
                'D' => ThreadState::InTheSystem,
                'T' | 't' => ThreadState::Stopped,
                'Z' | 'X' | 'x' => ThreadState::Ending,
                _ => ThreadState::Waiting,
            },
        })
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn this_thread_runs() {
            let own = thread(crate::system::thread_id()).unwrap();
            assert_eq!(own.state, ThreadState::Running);
        }
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
mod os {
    use super::OutsideThread;

    pub(super) fn threads() -> Option<std::iter::Empty<u64>> {
        None
    }

    pub(super) fn thread(_: u64) -> Option<OutsideThread> {
        None
    }
}

/// "outside the tree: 12 threads: rayon-worker ×8 waiting, …".
pub(crate) struct OutsideLine<'a>(pub(crate) &'a [OutsideThread]);

impl fmt::Display for OutsideLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 12;
        const MARGIN: usize = 4;
        match self.0.len() {
            0 => return f.write_str("outside the tree: no threads"),
            n => writeln!(f, "outside the tree: {}:", Count(n, "thread"))?,
        }
        let groups = groups(self.0);
        let shown: usize = groups.iter().take(SHOWN).map(|group| group.count).sum();
        let mut parts: Vec<_> = groups.iter().take(SHOWN).map(ToString::to_string).collect();
        match self.0.len() - shown {
            0 => {}
            more => parts.push(format!("and {more} more")),
        }
        write!(f, "{:MARGIN$}", "")?;
        write_parts(f, MARGIN, &parts)
    }
}

/// Threads with the same name and state. A number at the end of a name does not count.
struct Group<'a> {
    first: &'a OutsideThread,
    name: &'a str,
    count: usize,
}

impl fmt::Display for Group<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const NAME: usize = 30;
        let state = self.first.state;
        match self.count {
            1 => write!(f, "{} {state}", cut(&self.first.name, NAME)),
            n => write!(f, "{} ×{n} {state}", cut(self.name, NAME)),
        }
    }
}

/// Groups threads by name and state, the largest groups first.
fn groups(threads: &[OutsideThread]) -> Vec<Group<'_>> {
    let mut groups: BTreeMap<(&str, ThreadState), Group<'_>> = BTreeMap::new();
    for thread in threads {
        let name = without_number(&thread.name);
        let new = || Group {
            first: thread,
            name,
            count: 0,
        };
        let group = groups.entry((name, thread.state)).or_insert_with(new);
        group.count += 1;
    }
    let mut groups: Vec<_> = groups.into_values().collect();
    groups.sort_by_key(|group| std::cmp::Reverse(group.count));
    groups
}

fn without_number(name: &str) -> &str {
    let trimmed = name.trim_end_matches(|letter: char| letter.is_ascii_digit());
    let trimmed = trimmed.trim_end_matches(['-', '_', ' ', '#', ':']);
    match trimmed {
        "" => name,
        trimmed => trimmed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn thread(os_id: u64, name: &str, state: ThreadState) -> OutsideThread {
        OutsideThread {
            os_id,
            name: name.to_owned(),
            state,
        }
    }

    #[test]
    fn threads_are_counted_by_name_and_state() {
        let workers = (0..8).map(|n| thread(n, &format!("rayon-{n}"), ThreadState::Waiting));
        let mut threads: Vec<_> = workers.collect();
        threads.push(thread(8, "rayon-8", ThreadState::Running));
        threads.push(thread(9, "a\n\u{1b}1", ThreadState::Stopped));
        threads.push(thread(10, "17", ThreadState::Waiting));
        assert_eq!(
            OutsideLine(&threads).to_string(),
            "outside the tree: 11 threads:\n    rayon ×8 waiting, 17 waiting, \
             a\\n\\u{1b}1 stopped, rayon-8 running"
        );
    }

    #[test]
    fn where_all_threads_are_in_the_tree_that_is_said() {
        assert_eq!(OutsideLine(&[]).to_string(), "outside the tree: no threads");
    }

    #[test]
    fn of_many_names_the_largest_groups_are_shown() {
        let names = ('a'..='z').flat_map(|name| [name, name]);
        let names = names.chain(['z']);
        let threads: Vec<_> = (0..)
            .zip(names)
            .map(|(n, name)| thread(n, &name.to_string(), ThreadState::Waiting))
            .collect();
        let text = OutsideLine(&threads).to_string();
        assert!(text.contains("\n    z ×3 waiting, a ×2 waiting,"), "{text}");
        assert!(text.ends_with("and 28 more"), "{text}");
    }
}
