//! Processes as `/proc` shows them. Without `/proc`, nothing is known.

use std::fmt;
use std::time::{Duration, Instant};

use crate::stat;

/// A process, as it was at one moment.
#[derive(Debug)]
pub(super) struct Stat {
    pub(super) pid: u32,
    /// The name of the process's program, truncated by the system.
    name: String,
    state: char,
    pub(super) parent: u32,
    group: u32,
    /// When it was started, in ticks of the system's clock.
    pub(super) started: u64,
}

impl Stat {
    #[cfg(target_os = "linux")]
    pub(super) fn of(pid: u32) -> Option<Self> {
        Self::parse(&std::fs::read(format!("/proc/{pid}/stat")).ok()?)
    }

    #[cfg(not(target_os = "linux"))]
    pub(super) fn of(_: u32) -> Option<Self> {
        None
    }

    #[cfg_attr(not(target_os = "linux"), allow(dead_code, reason = "nothing to read"))]
    fn parse(line: &[u8]) -> Option<Self> {
        let line = String::from_utf8_lossy(line);
        let stat = stat::Stat::parse(&line)?;
        Some(Self {
            pid: stat.number,
            name: stat.name.to_owned(),
            state: stat.state,
            parent: stat.value(4)?,
            group: stat.value(5)?,
            started: stat.value(22)?,
        })
    }

    /// Whether the process has ended, but was not reaped.
    pub(super) fn is_zombie(&self) -> bool {
        matches!(self.state, 'Z' | 'X')
    }

    fn state(&self) -> &'static str {
        match self.state {
            'R' => "running",
            'S' => "sleeping",
            'D' => "in uninterruptible sleep",
            'T' => "suspended",
            't' => "suspended by a debugger",
            'Z' | 'X' => "ended",
            _ => "in an unknown state",
        }
    }
}

/// All visible processes, in the order of their groups. `None`: unknown.
#[cfg(target_os = "linux")]
pub(super) fn all() -> Option<Vec<Stat>> {
    let entries = std::fs::read_dir("/proc").ok()?;
    let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    let mut stats: Vec<_> = pids.filter_map(Stat::of).collect();
    stats.sort_unstable_by_key(|stat| stat.group);
    (!stats.is_empty()).then_some(stats)
}

#[cfg(not(target_os = "linux"))]
pub(super) fn all() -> Option<Vec<Stat>> {
    None
}

/// The last look at all processes. A look takes milliseconds, so all callers share it.
#[derive(Default)]
pub(super) struct Census {
    last: Option<(Instant, Option<Vec<Stat>>)>,
    took: Duration,
}

/// The members of a group.
pub(super) enum Members {
    /// No member is running any more, as far as is known.
    Gone,
    /// Some member was alive at this moment.
    Live(Instant),
    /// It is too early to look again.
    AskAt(Instant),
}

impl Census {
    /// The shortest pause between two looks. The pause is also at least `TIMES` times as long as a look
    /// takes.
    const PAUSE: Duration = Duration::from_millis(5);
    const TIMES: u32 = 4;

    /// Whether any process of the group is alive, by a look taken after `since`.
    pub(super) fn members(&mut self, group: u32, since: Instant) -> Members {
        let seen_at = match self.look(since) {
            Ok(at) => at,
            Err(at) => return Members::AskAt(at),
        };
        match self.living(group).next() {
            Some(_) => Members::Live(seen_at),
            None => Members::Gone,
        }
    }

    /// Takes a look, unless there was one since `since`. Returns the time of the look, or when the next
    /// look is allowed.
    fn look(&mut self, since: Instant) -> Result<Instant, Instant> {
        let now = Instant::now();
        let mut next = since;
        if let Some((last, _)) = &self.last {
            if *last >= since {
                return Ok(*last);
            }
            next = next.max(*last + Self::PAUSE.max(self.took * Self::TIMES));
        }
        if now < next {
            return Err(next);
        }
        self.last = Some((now, all()));
        self.took = now.elapsed();
        Ok(now)
    }

    /// Whether others are in the group of this process, by the newest look allowed.
    pub(super) fn has_others(&mut self, leader: u32) -> bool {
        let _ = self.look(Instant::now());
        self.others(leader).next().is_some()
    }

    fn others(&self, leader: u32) -> impl Iterator<Item = &Stat> {
        let living = self.living(leader);
        living.filter(move |member| member.pid != leader)
    }

    fn living(&self, group: u32) -> impl Iterator<Item = &Stat> {
        let stats = self.last.as_ref().and_then(|(_, stats)| stats.as_deref());
        let stats = stats.unwrap_or_default();
        let first = stats.partition_point(|stat| stat.group < group);
        let members = stats[first..].iter();
        let members = members.take_while(move |stat| stat.group == group);
        members.filter(|stat| !stat.is_zombie())
    }

    /// Describes what a process stands on, and which others are in its group, without disturbing any of
    /// them.
    pub(super) fn describe(&mut self, pid: u32, since: Instant) -> String {
        let Some(stat) = Stat::of(pid) else {
            return format!("pid {pid}");
        };
        let mut text = format!("pid {pid}, {}", stat.state());
        if let Some(place) = place_in_kernel(pid) {
            text += " in ";
            text += &place;
        }
        // If no look is allowed yet, the last one is good enough.
        let _ = self.look(since);
        text + &Others(self.others(pid).collect()).to_string()
    }
}

/// The kernel function in which a process sleeps.
fn place_in_kernel(pid: u32) -> Option<String> {
    let place = std::fs::read_to_string(format!("/proc/{pid}/wchan")).ok()?;
    (place != "0" && !place.is_empty()).then_some(place)
}

/// ", with 'sleep' (pid 17) and 3 more in its group".
struct Others<'a>(Vec<&'a Stat>);

impl fmt::Display for Others<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const NAMED: usize = 3;
        let named = self.0.iter().take(NAMED);
        let named = named.map(|stat| format!("'{}' (pid {})", stat.name, stat.pid));
        let named = named.collect::<Vec<_>>().join(", ");
        match self.0.len() {
            0 => Ok(()),
            1..=NAMED => write!(f, ", with {named} in its group"),
            n => write!(f, ", with {named} and {} more in its group", n - NAMED),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_stat_is_read() {
        let line = b"17 (a) R (b\n) S 1 16 16 0 -1 4 0 0 0 0 0 0 0 0 20 0 1 0 12345 0 0";
        let stat = Stat::parse(line).unwrap();
        assert_eq!((stat.pid, stat.parent, stat.group), (17, 1, 16));
        assert_eq!((&stat.name[..], stat.state), ("a) R (b\n", 'S'));
        assert_eq!(stat.started, 12345);
        assert!(!stat.is_zombie());
        assert!(Stat::parse(b"17 (short) S 1").is_none());
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_census_finds_this_process_and_is_not_taken_too_often() {
        let own = Stat::of(std::process::id()).unwrap();
        let mut census = Census::default();
        let from = Instant::now();
        assert!(matches!(census.members(own.group, from), Members::Live(_)));
        assert!(matches!(census.members(own.group, from), Members::Live(_)));
        let later = Instant::now();
        assert!(matches!(census.members(own.group, later), Members::AskAt(at) if at > later));
        assert!(matches!(census.members(u32::MAX, from), Members::Gone));
    }
}
