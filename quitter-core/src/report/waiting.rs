//! The progress lines of a quit: the routines it still waits for, and those that have returned.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::report::console;
use crate::report::look::Before;
use crate::report::notice::Notice;
use crate::report::path::QuitterPath;
use crate::report::timeouts::Timeouts;
use crate::report::waited_for::NAMED;
use crate::sync::lock_std;
use crate::tree::LiveAt;

/// The interval between looks at the live routines.
const LOOK: Duration = Duration::from_secs(1);

/// The number of looks per line that names live routines.
const LOOKS_A_LINE: u32 = 5;

pub(crate) struct WaitingLines {
    quit_at: Instant,
    next: Instant,
    looks: u32,
    /// The routines that a line has named, in the order of their ids. Only the console's thread uses them.
    named: Arc<Mutex<Vec<Named>>>,
}

/// A routine that a line has named.
struct Named {
    id: u64,
    name: String,
    path: QuitterPath,
}

impl WaitingLines {
    pub(crate) fn new(quit_at: Instant) -> Self {
        Self {
            quit_at,
            next: quit_at + LOOK,
            looks: 0,
            named: Arc::default(),
        }
    }

    /// When to look next.
    pub(crate) fn next(&self) -> Instant {
        self.next
    }

    /// Puts the next look off by an interval.
    pub(crate) fn skip(&mut self) {
        self.next = Instant::now() + LOOK;
    }

    /// Prints which of the named routines have returned and, every few looks, which routines are live.
    pub(crate) fn say(&mut self, live: Vec<LiveAt>, deadline: Option<Instant>) {
        self.skip();
        // While stderr is blocked, the last look is still waiting to be written.
        if Arc::strong_count(&self.named) > 1 {
            return;
        }
        let names_live = self.looks.is_multiple_of(LOOKS_A_LINE);
        self.looks += 1;
        let named = Arc::clone(&self.named);
        let quit_at = self.quit_at;
        console::queue_and_wake(move || {
            let mut named = lock_std(&named);
            for Named { name, path, .. } in take_returned(&mut named, &live) {
                console::say_now(Notice::Returned { name, path });
            }
            let left = deadline.map(|at| at.saturating_duration_since(Instant::now()));
            // The report will follow shortly.
            let is_ending = left.is_some_and(|left| left < LOOK / 2);
            if names_live && !is_ending && !live.is_empty() {
                let routines =
                    Timeouts::of_exit(&live, quit_at.elapsed(), None, &Before::default(), true);
                remember(&mut named, &routines);
                console::say_now(Notice::Waiting { routines, left });
            }
        });
    }
}

/// Removes and returns the routines that are no longer live.
fn take_returned(named: &mut Vec<Named>, live: &[LiveAt]) -> Vec<Named> {
    let records = live.iter().flat_map(|at| &at.routines);
    let is_live = |named: &Named| records.clone().any(|record| record.id == named.id);
    let (still_live, returned) = std::mem::take(named).into_iter().partition(is_live);
    *named = still_live;
    returned
}

/// Records the routines that the line about `routines` names.
fn remember(named: &mut Vec<Named>, routines: &Timeouts) {
    for (path, routine) in routines.first(NAMED) {
        let id = routine.id;
        if let Err(at) = named.binary_search_by_key(&id, |named| named.id) {
            let (name, path) = (routine.name.clone(), path.clone());
            named.insert(at, Named { id, name, path });
        }
    }
}
