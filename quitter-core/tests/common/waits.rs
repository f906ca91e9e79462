//! Waits for conditions without an event, and for threads to fall asleep.
//!
//! A test that wakes a thread proves more if the thread is asleep. The thread cannot report that itself, but
//! Linux can, so no test has to guess how long it takes to fall asleep. On other systems, these waits just take
//! a moment. A test must not rely on them: a thread that is still awake must find what it waits for, too.

use std::path::Path;
use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use std::{fs, io};

/// How long a condition may take to become true.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long threads may take to fall asleep where the system does not say whether they do.
const MOMENT: Duration = Duration::from_millis(100);

/// How often in a row a thread must be found asleep. A thread that waits for a lock on its way into the call
/// is asleep for a moment, too.
const LOOKS: usize = 3;

/// Polls until `condition` holds. Panics if it does not hold in time.
#[track_caller]
pub(crate) fn eventually(mut condition: impl FnMut() -> bool) {
    let until = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < until, "the condition did not come to hold");
        thread::sleep(Duration::from_millis(1));
    }
}

/// A thread that is about to wait.
pub(crate) struct Waiter(Option<String>);

impl Waiter {
    pub(crate) fn this_thread() -> Self {
        let own = fs::read_link("/proc/thread-self").ok();
        let id = own.as_ref().and_then(|own| own.file_name()?.to_str());
        Self(id.map(str::to_owned))
    }

    /// Blocks until the thread sleeps, or has ended.
    #[track_caller]
    pub(crate) fn until_asleep(&self) {
        let Some(id) = &self.0 else {
            return thread::sleep(MOMENT);
        };
        let stat = format!("/proc/self/task/{id}/stat");
        several_times(|| !matches!(state(&stat), Some(other) if other != 'S'));
    }
}

/// Runs `f` on a thread, and returns once the thread sleeps in `f`.
#[track_caller]
pub(crate) fn asleep_in<T: Send + 'static>(
    f: impl FnOnce() -> T + Send + 'static,
) -> JoinHandle<T> {
    let (tell, told) = mpsc::channel();
    let thread = thread::spawn(move || {
        tell.send(Waiter::this_thread()).unwrap();
        f()
    });
    told.recv().unwrap().until_asleep();
    thread
}

/// Blocks until all other threads of this process sleep, which means that each has done its part.
#[track_caller]
pub(crate) fn until_all_others_sleep() {
    let Waiter(Some(own)) = Waiter::this_thread() else {
        return thread::sleep(3 * MOMENT);
    };
    several_times(|| others_sleep(&own).unwrap());
}

fn others_sleep(own: &str) -> io::Result<bool> {
    for task in fs::read_dir("/proc/self/task")? {
        let task = task?;
        let is_awake = matches!(state(task.path().join("stat")), Some(other) if other != 'S');
        if is_awake && task.file_name() != own {
            return Ok(false);
        }
    }
    Ok(true)
}

#[track_caller]
fn several_times(mut condition: impl FnMut() -> bool) {
    let mut looks = 0;
    eventually(|| {
        looks = if condition() { looks + 1 } else { 0 };
        looks == LOOKS
    });
}

/// The state of a process, such as 'S', if there is one.
pub(crate) fn process_state(pid: u32) -> Option<char> {
    state(format!("/proc/{pid}/stat"))
}

/// The state follows the name, which is in parentheses and may contain parentheses.
fn state(stat: impl AsRef<Path>) -> Option<char> {
    let stat = fs::read_to_string(stat).ok()?;
    stat.rsplit_once(") ")?.1.chars().next()
}
