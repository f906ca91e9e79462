//! The panic hook: it records the message and place of every panic, announces the panics of routines, and
//! then calls the previous hook.
//!
//! std calls the panic hook under a read lock, and replaces it under the write lock. So a thread that
//! replaces the hook waits until every running hook has returned, which may be never, and meanwhile every
//! panic of the program waits for that thread. Hence a main quitter that is created on the only thread of
//! its process sets the hook at once, since no other thread can be in a hook. Otherwise a separate thread
//! sets it, and a routine that starts waits only a moment for that thread.

use std::panic::{self, PanicHookInfo};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::current;
use super::failing::fail;
use super::panics;
use super::panics_in_hooks::{self, InHooks};
use crate::report::failure::FailureKind;
use crate::stands::own;
use crate::sync::lock_std;
use crate::threads;

/// Whether our hook is set, as far as is known. It also counts as set while the program calls it from a
/// hook of its own.
static IS_SET: AtomicBool = AtomicBool::new(false);

/// Until when to wait for the thread that is setting the hook. `None`: no thread is setting it.
static BEING_SET: Mutex<Option<Instant>> = Mutex::new(None);

/// Signalled when the hook has been set. Waited on with [`BEING_SET`].
static WAS_SET: Condvar = Condvar::new();

/// Sets the panic hook, unless it is set. Called for every routine that starts, and when the body of
/// `main`, which does the set-up, has returned: the program may have replaced our hook.
#[inline]
pub(crate) fn install() {
    if !IS_SET.load(Ordering::Acquire) {
        install_elsewhere();
    }
}

/// Sets the panic hook on this thread, if it is the only thread of the process.
pub(crate) fn install_if_alone() {
    if !IS_SET.load(Ordering::Acquire) && is_only_thread() && !thread::panicking() {
        wrap();
    }
}

/// Whether the process is known to have no other thread.
fn is_only_thread() -> bool {
    #[cfg(target_os = "linux")]
    {
        use std::os::linux::fs::MetadataExt;

        // A directory has two links, its name and its own dot, and one from each directory in it.
        let threads = std::fs::metadata("/proc/self/task");
        threads.is_ok_and(|threads| threads.st_nlink() == 3)
    }
    #[cfg(not(target_os = "linux"))]
    false
}

/// Starts a thread that sets the hook, and waits a moment for it. Without the hook, a panic is still
/// recorded, but without its place.
#[cold]
fn install_elsewhere() {
    /// Far longer than it takes on an idle machine, to allow for a busy one. The full time is only spent if
    /// a hook hangs, and only once.
    const A_MOMENT: Duration = Duration::from_millis(200);
    let mut until = lock_std(&BEING_SET);
    let mut started = None;
    if until.is_none() {
        started = threads::start("quitter hook", set_hook).ok();
        // If the thread was refused, the next routine tries again.
        *until = started.is_some().then(|| Instant::now() + A_MOMENT);
    }
    while let Some(moment) = *until {
        let left = moment.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return;
        }
        let waited = WAS_SET.wait_timeout(until, left);
        (until, _) = waited.unwrap_or_else(PoisonError::into_inner);
    }
    drop(until);
    // The thread is about to end. Joined, so that a program that counts its threads does not see it.
    if let Some(thread) = started {
        let _ = thread.join();
    }
}

/// The body of the thread that sets the panic hook.
fn set_hook() {
    // This thread may wait for hooks of the program, but calls none.
    let _own = own::mark_as_waking();
    // Locked once, so that the thread that started this one has set `BEING_SET`.
    drop(lock_std(&BEING_SET));
    wrap();
    *lock_std(&BEING_SET) = None;
    WAS_SET.notify_all();
}

fn wrap() {
    let before = panic::take_hook();
    let ours = Ours;
    IS_SET.store(true, Ordering::Release);
    panic::set_hook(Box::new(move |info| ours.call(info, &before)));
}

/// Owned by our hook, and dropped with it: when the program replaces the hook, but not when the program
/// takes the hook and calls it from its own.
struct Ours;

impl Ours {
    fn call(&self, info: &PanicHookInfo<'_>, before: &dyn Fn(&PanicHookInfo<'_>)) {
        let in_hooks = announce(panics::note(info));
        before(info);
        drop(in_hooks);
    }
}

impl Drop for Ours {
    fn drop(&mut self) {
        IS_SET.store(false, Ordering::Release);
    }
}

/// `None`: no routine runs on this thread, or there is no watcher.
fn announce(kind: FailureKind) -> Option<InHooks> {
    let quitter = current::get()?;
    panics_in_hooks::announce(move || fail(&quitter, kind))
}
