//! The lines that say, while the program quits, who is waited for and who has returned since.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::report::console;
use crate::report::escape::{Name, cut};
use crate::report::path::Paths;
use crate::report::text::Seconds;
use crate::routine::record::Record;
use crate::tree::LiveAt;

/// How often it is looked who has returned.
const LOOK: Duration = Duration::from_secs(1);

/// Every so many looks, a line says who is waited for.
const LOOKS_A_LINE: u32 = 5;

/// How many routines one line names.
const NAMED: usize = 5;

pub(crate) struct WaitingLines {
    next: Instant,
    looks: u32,
    /// The routines that a line has named, by id. Only used by the console's thread.
    named: Arc<Mutex<BTreeMap<u64, String>>>,
}

impl WaitingLines {
    pub(crate) fn new(quit_at: Instant) -> Self {
        Self {
            next: quit_at + LOOK,
            looks: 0,
            named: Arc::default(),
        }
    }

    /// When to look next.
    pub(crate) fn next(&self) -> Instant {
        self.next
    }

    /// Says who of those named has returned, and from time to time who is live.
    pub(crate) fn say(&mut self, live: Vec<LiveAt>, deadline: Option<Instant>) {
        // What was to be said last time is not said yet: stderr is blocked.
        if Arc::strong_count(&self.named) > 1 {
            self.next = Instant::now() + LOOK;
            return;
        }
        let names_live = self.looks.is_multiple_of(LOOKS_A_LINE);
        self.looks += 1;
        self.next = Instant::now() + LOOK;
        let named = Arc::clone(&self.named);
        console::afterwards(move || {
            let mut named = named.lock().unwrap_or_else(PoisonError::into_inner);
            for name in take_returned(&mut named, &live) {
                console::say_now(&format_args!("{name} has returned"));
            }
            let left = deadline.map(|at| at.saturating_duration_since(Instant::now()));
            let is_ending = left.is_some_and(|left| left < LOOK / 2);
            if names_live && !is_ending && !live.is_empty() {
                console::say_now(&Line { live: &live, left });
                named.extend(first_named(&live).map(|(at, record)| (record.id, name(at, record))));
            }
        });
    }
}

/// Takes the names of those who are no longer live.
fn take_returned(named: &mut BTreeMap<u64, String>, live: &[LiveAt]) -> Vec<String> {
    let is_live = |id: &u64| records(live).any(|(_, record)| record.id == *id);
    let returned: Vec<u64> = named.keys().copied().filter(|id| !is_live(id)).collect();
    returned.iter().filter_map(|id| named.remove(id)).collect()
}

fn records<'a>(live: &'a [LiveAt]) -> impl Iterator<Item = (&'a LiveAt, &'a Record)> {
    let of_node = |at: &'a LiveAt| at.routines.iter().map(move |record| (at, &**record));
    live.iter().flat_map(of_node)
}

fn first_named(live: &[LiveAt]) -> impl Iterator<Item = (&LiveAt, &Record)> {
    records(live).take(NAMED)
}

fn name(at: &LiveAt, record: &Record) -> String {
    let path = Paths::default().of(at.roster.lineage());
    format!("'{}' of {}", cut(&record.name, 30), path.shown(50))
}

/// "Waiting for 2 routines, 1.0 s left: 'flusher' of main/db (running 7.0 s, status "3/10"), …"
struct Line<'a> {
    live: &'a [LiveAt],
    left: Option<Duration>,
}

impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = records(self.live).count();
        match count {
            1 => f.write_str("Waiting for 1 routine")?,
            n => write!(f, "Waiting for {n} routines")?,
        }
        if let Some(left) = self.left {
            write!(f, ", {} left", Seconds(left))?;
        }
        for (i, (at, record)) in first_named(self.live).enumerate() {
            f.write_str(if i == 0 { ": " } else { ", " })?;
            write!(
                f,
                "{} (running {}",
                name(at, record),
                Seconds(record.running_for())
            )?;
            if let Some(status) = record.status() {
                write!(f, ", status \"{}\"", Name(&status))?;
            }
            f.write_str(")")?;
        }
        match count.saturating_sub(NAMED) {
            0 => Ok(()),
            more => write!(f, " and {more} more"),
        }
    }
}
