//! Helpers that several test binaries share.
#![allow(
    dead_code,
    unused_macros,
    reason = "each test binary uses a part of it"
)]

pub(crate) mod waits;

use std::future::poll_fn;
use std::panic::resume_unwind;
use std::pin::pin;
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, mpsc};
use std::task::Wake;
use std::thread;
use std::time::{Duration, Instant};

use quitter_core::{Quitter, RoutineHandle, StuckRoutine, Timeouts};

/// How long a test waits for something that must happen, so that a bug makes the test fail instead of hang.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// A timeout that is meant to expire before the routine returns.
pub(crate) const SHORT: Duration = Duration::from_millis(50);

/// An event that happens once, and that any number of threads can wait for.
#[derive(Clone, Default)]
pub(crate) struct Event(Arc<(Mutex<bool>, Condvar)>);

impl Event {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn set(&self) {
        *self.0.0.lock().unwrap() = true;
        self.0.1.notify_all();
    }

    /// Waits until the event happens. Panics if it does not happen in time.
    #[track_caller]
    pub(crate) fn wait(&self) {
        let happened = self.0.0.lock().unwrap();
        let (happened, _) = self
            .0
            .1
            .wait_timeout_while(happened, PATIENCE, |happened| !*happened)
            .unwrap();
        assert!(*happened, "the event did not happen in time");
    }
}

/// Runs `f` on a thread of its own. Panics if it does not return in time.
#[track_caller]
pub(crate) fn in_time<T: Send + 'static>(f: impl FnOnce() -> T + Send + 'static) -> T {
    within(PATIENCE, f)
}

/// Like [`in_time`], for something that may take longer.
#[track_caller]
pub(crate) fn within<T: Send + 'static>(
    patience: Duration,
    f: impl FnOnce() -> T + Send + 'static,
) -> T {
    let (done, returned) = mpsc::channel();
    let thread = thread::spawn(move || {
        let _ = done.send(f());
    });
    match returned.recv_timeout(patience) {
        Ok(value) => value,
        Err(mpsc::RecvTimeoutError::Timeout) => panic!("did not return in time"),
        Err(mpsc::RecvTimeoutError::Disconnected) => resume_unwind(thread.join().unwrap_err()),
    }
}

/// Awaits a future, and calls `tell` once it waits: from then on, it needs a wake-up.
pub(crate) async fn telling<F: Future>(future: F, tell: impl FnOnce()) -> F::Output {
    let (mut future, mut tell) = (pin!(future), Some(tell));
    poll_fn(|context| {
        let polled = future.as_mut().poll(context);
        if let Some(tell) = tell.take_if(|_| polled.is_pending()) {
            tell();
        }
        polled
    })
    .await
}

/// A waker that counts its wake-ups.
#[derive(Default)]
pub(crate) struct Wakes(AtomicUsize);

impl Wakes {
    pub(crate) fn count(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// Sets the event when dropped.
pub(crate) struct Told(pub(crate) Event);

impl Drop for Told {
    fn drop(&mut self) {
        self.0.set();
    }
}

/// Starts a routine that ignores its quitter, and returns when the returned event happens.
#[track_caller]
pub(crate) fn deaf(quitter: &Quitter, name: &'static str) -> (RoutineHandle, Event) {
    let end = Event::new();
    let ends = end.clone();
    let handle = quitter.routine(name).add(move |_| ends.wait()).unwrap();
    (handle, end)
}

/// The listed routine, which must be the only one.
#[track_caller]
pub(crate) fn only(timeouts: &Timeouts) -> &StuckRoutine {
    assert_eq!(timeouts.len(), 1, "{timeouts}");
    timeouts.routines().next().unwrap()
}

/// The names of the listed routines, in order.
pub(crate) fn names(timeouts: &Timeouts) -> Vec<&str> {
    timeouts.routines().map(|r| r.name.as_str()).collect()
}

/// The ids of the listed routines, in order.
pub(crate) fn ids(timeouts: &Timeouts) -> Vec<u64> {
    timeouts.routines().map(|r| r.id).collect()
}

/// The paths of the listed quitters, in order.
pub(crate) fn paths(timeouts: &Timeouts) -> Vec<&str> {
    timeouts.iter().map(|at| &*at.quitter).collect()
}

const OWN_PROCESS: &str = "QUITTER_TEST_OWN_PROCESS";

/// Whether [`in_own_process`] started this process. Otherwise, the ignored tests do nothing, because
/// `cargo test -- --ignored` would run them all in one process.
pub(crate) fn is_own_process() -> bool {
    std::env::var_os(OWN_PROCESS).is_some()
}

/// Runs the ignored test `name` of this test binary in a process of its own, and kills that process if it
/// does not end in time. For tests of the main quitter and the exit code: a process has only one of each.
#[track_caller]
pub(crate) fn in_own_process(name: &str) -> Output {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "--nocapture", name])
        // With one thread, the default on a single processor, the test would run on the main thread.
        .arg("--test-threads=2")
        .env(OWN_PROCESS, name)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let until = Instant::now() + 2 * PATIENCE;
    while child.try_wait().unwrap().is_none() {
        if Instant::now() > until {
            child.kill().unwrap();
            let output = child.wait_with_output().unwrap();
            panic!("{name} did not end in time: {}", text(&output));
        }
        thread::sleep(Duration::from_millis(2));
    }
    child.wait_with_output().unwrap()
}

/// The whole output of a process.
pub(crate) fn text(output: &Output) -> String {
    let [out, err] =
        [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    format!("{out}{err}")
}

/// Runs the ignored test `name` in a process of its own, where it must succeed.
#[track_caller]
pub(crate) fn succeeds_in_own_process(name: &str) {
    let output = in_own_process(name);
    let text = text(&output);
    assert!(output.status.success(), "{name} failed: {text}");
    assert!(text.contains("1 passed"), "{name} was not run: {text}");
}

/// Two tests: `$own`, which is ignored and runs `$body`, and `$name`, which runs `$own` in a process of its
/// own.
macro_rules! in_own_process {
    ($(#[$attribute:meta])* $name:ident, $own:ident, $body:expr) => {
        $(#[$attribute])*
        #[test]
        fn $name() {
            $crate::common::succeeds_in_own_process(stringify!($own));
        }

        $(#[$attribute])*
        #[test]
        #[ignore = "needs a process of its own"]
        fn $own() {
            if $crate::common::is_own_process() {
                $body
            }
        }
    };
}

/// Leaves this process, which has to be the test's own, no descriptor until the result is dropped.
#[cfg(target_os = "linux")]
pub(crate) fn take_all_descriptors() -> Vec<std::fs::File> {
    use nix::sys::resource::{Resource::RLIMIT_NOFILE, setrlimit};
    setrlimit(RLIMIT_NOFILE, 40, 40).unwrap();
    std::iter::from_fn(|| std::fs::File::open("/dev/null").ok()).collect()
}

/// How many threads this process has.
#[cfg(target_os = "linux")]
pub(crate) fn os_threads() -> usize {
    proc_status("Threads:")
}

/// How much memory of this process is resident, in KiB.
#[cfg(target_os = "linux")]
pub(crate) fn resident_kib() -> usize {
    proc_status("VmRSS:")
}

/// How large the address space of this process is, in KiB.
#[cfg(target_os = "linux")]
pub(crate) fn virtual_kib() -> usize {
    proc_status("VmSize:")
}

#[cfg(target_os = "linux")]
fn proc_status(key: &str) -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(key));
    let number = line.and_then(|line| line.split_whitespace().next());
    number.unwrap().parse().unwrap()
}
