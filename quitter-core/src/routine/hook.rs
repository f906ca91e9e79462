//! The panic hook: it notes message and place of every panic, announces the panics of routines, and
//! then calls the hook that was there.
//!
//! std calls a panic hook under a read lock, and changes it under the write lock. So a thread that
//! changes the hook waits for every hook that is running, which may take for ever, and meanwhile every
//! panic of the program waits for that thread. Hence a main quitter that is made on the only thread of
//! its process sets the hook at once: nobody else can be in a hook. Otherwise it is left to a thread of
//! its own, for which a routine that starts waits a moment and no more.

use std::panic::{self, PanicHookInfo};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::current;
use super::failing::fail;
use super::held_up::{self, InHooks};
use super::panics;
use crate::report::failure::FailureKind;
use crate::stands::own;
use crate::threads;

/// Whether our hook is set, as far as is known: a program that takes it to call it from its own keeps it.
static IS_SET: AtomicBool = AtomicBool::new(false);

/// Until when threads wait for the one that sets the hook. `None`: nobody sets it right now.
static BEING_SET: Mutex<Option<Instant>> = Mutex::new(None);

/// The hook has been set. Waited on with [`BEING_SET`].
static WAS_SET: Condvar = Condvar::new();

fn being_set() -> MutexGuard<'static, Option<Instant>> {
    BEING_SET.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Sets the panic hook, unless it is set. Called for every routine that starts, and when the body of `main`,
/// which is the set-up, has returned: the program may have replaced ours.
#[inline]
pub(crate) fn install() {
    if !IS_SET.load(Ordering::Acquire) {
        install_elsewhere();
    }
}

/// Sets the panic hook on this thread, if that is the only one of the process.
pub(crate) fn install_if_alone() {
    if !IS_SET.load(Ordering::Acquire) && is_only_thread() && !thread::panicking() {
        wrap();
    }
}

/// Whether the process is known to have no thread but this one.
fn is_only_thread() -> bool {
    #[cfg(target_os = "linux")]
    {
        use std::os::linux::fs::MetadataExt;

        // The links of a folder are its name, its own dot, and one from each folder in it.
        let threads = std::fs::metadata("/proc/self/task");
        threads.is_ok_and(|threads| threads.st_nlink() == 3)
    }
    #[cfg(not(target_os = "linux"))]
    false
}

/// Lets a thread of its own set the hook, and waits a moment for it. Without the hook a panic is
/// recorded all the same, but without its place.
#[cold]
fn install_elsewhere() {
    /// Far more than an idle machine takes, since a busy one takes longer. Only where a hook hangs is it waited
    /// for in full, once.
    const A_MOMENT: Duration = Duration::from_millis(200);
    let mut until = being_set();
    let mut started = None;
    if until.is_none() {
        started = threads::start("quitter hook", set_hook).ok();
        // A refused thread is asked for again by the next routine.
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
    // It is about to end: a program that counts its threads should not see it.
    if let Some(thread) = started {
        let _ = thread.join();
    }
}

/// Sets the panic hook, on a thread of its own.
fn set_hook() {
    // It may wait for hooks of the program, and calls none.
    let _own = own::mark_as_waking();
    // By then, the starter of this thread has said that it does this.
    drop(being_set());
    wrap();
    *being_set() = None;
    WAS_SET.notify_all();
}

fn wrap() {
    let before = panic::take_hook();
    let ours = Ours;
    IS_SET.store(true, Ordering::Release);
    panic::set_hook(Box::new(move |info| ours.call(info, &before)));
}

/// Lives in our hook, and is dropped with it: when the program replaces the hook, but not when it
/// takes the hook to call it from its own.
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

/// `None`: no routine runs on this thread, or nobody watches.
fn announce(kind: FailureKind) -> Option<InHooks> {
    let quitter = current::get()?;
    held_up::announce(move || fail(&quitter, kind))
}
