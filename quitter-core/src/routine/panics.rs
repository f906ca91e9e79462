//! What is known of a panic: the message from its payload, the place from the panic hook; and panics
//! whose hooks do not return.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::panic::{self, AssertUnwindSafe};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, Once, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, unbounded};

use crate::report::failure::FailureKind;

/// A panic as the hook saw it.
#[derive(Clone)]
struct Seen {
    message: String,
    place: Option<String>,
}

impl From<Seen> for FailureKind {
    fn from(Seen { message, place }: Seen) -> Self {
        Self::Panic { message, place }
    }
}

thread_local! {
    /// The last panic of this thread. The hook alone is told the place, and is called first.
    static LAST: RefCell<Option<Seen>> = const { RefCell::new(None) };

    /// Whether there is one, which is asked at every check-in: cheaper, for it has no destructor.
    static HAS_LAST: Cell<bool> = const { Cell::new(false) };
}

/// Sets a panic hook that keeps the place of a panic, calls `announce`, and then the hook that was
/// there. What `announce` returns is dropped when that hook has returned.
pub(crate) fn install_hook<T: 'static>(announce: fn(FailureKind) -> T) {
    static ONCE: Once = Once::new();
    // std refuses to change the hook while the thread panics; the next routine will set it.
    if ONCE.is_completed() || thread::panicking() {
        return;
    }
    ONCE.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            let seen = Seen {
                message: text_of(info.payload()),
                place: info.location().map(ToString::to_string),
            };
            let announced = announce(seen.clone().into());
            // Destroyed when a thread-local destructor panics: then nobody asks.
            let _ = LAST.try_with(|last| last.replace(Some(seen)));
            HAS_LAST.set(true);
            before(info);
            drop(announced);
        }));
    });
}

/// How long the panic hooks may take before a panic is recorded all the same. That long because they
/// may be writing a backtrace, and the panic may be one that the routine itself catches.
const HOOKS_RETURN: Duration = Duration::from_secs(3);

/// Where to tell the watcher of a panic; `None`: there is none.
static WATCHING: Mutex<Option<Sender<Panicking>>> = Mutex::new(None);

/// A routine that panics, and is in the panic hooks: std's writes to stderr, which may be a full pipe,
/// and one of the user's may do anything.
pub(crate) struct Panicking {
    due: Instant,
    /// Set when the hooks have returned.
    unwinds: Arc<AtomicBool>,
    /// Records the failure, and quits.
    fail: Box<dyn FnOnce() + Send>,
}

impl Panicking {
    /// When the hooks should have returned.
    pub(crate) fn due(&self) -> Instant {
        self.due
    }

    pub(crate) fn fail_if_held_up(self) {
        if !self.unwinds.load(Ordering::Acquire) {
            (self.fail)();
        }
    }
}

/// Sends every panic of a routine from now on to whoever watches.
pub(crate) fn watch() -> Receiver<Panicking> {
    let (watching, panics) = unbounded();
    *lock_watching() = Some(watching);
    panics
}

fn lock_watching() -> MutexGuard<'static, Option<Sender<Panicking>>> {
    WATCHING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Sees to it that a panic is recorded, by `fail`, even if the panic hooks do not return. To be
/// dropped when they have.
pub(crate) fn announce(fail: impl FnOnce() + Send + 'static) -> HooksRun {
    let unwinds = Arc::new(AtomicBool::new(false));
    if let Some(watching) = &*lock_watching() {
        let _ = watching.send(Panicking {
            due: Instant::now() + HOOKS_RETURN,
            unwinds: Arc::clone(&unwinds),
            fail: Box::new(fail),
        });
    }
    HooksRun { unwinds }
}

/// The time in which the panic hooks run.
pub(crate) struct HooksRun {
    unwinds: Arc<AtomicBool>,
}

impl Drop for HooksRun {
    fn drop(&mut self) {
        self.unwinds.store(true, Ordering::Release);
    }
}

/// Forgets the last panic of this thread, which is over, unless it unwinds the thread right now.
pub(crate) fn forget_last() {
    if HAS_LAST.get() && !thread::panicking() {
        let _ = LAST.try_with(RefCell::take);
        HAS_LAST.set(false);
    }
}

/// The last panic of this thread that the hook saw. It stays known: it may unwind through several
/// guards before it is caught.
fn last() -> Option<Seen> {
    LAST.try_with(|last| last.borrow().clone()).ok().flatten()
}

/// The panic that is unwinding this thread.
pub(crate) fn unwinding() -> FailureKind {
    let unseen = || Seen {
        message: "unknown panic".to_owned(),
        place: None,
    };
    last().unwrap_or_else(unseen).into()
}

/// Calls `f`. A panic becomes a failure, which `failed` is told of before the panic's payload is
/// dropped: that is the user's code, too, and may never end.
pub(crate) fn catch<T>(f: impl FnOnce() -> T, failed: impl FnOnce(FailureKind)) -> Option<T> {
    let payload = match panic::catch_unwind(AssertUnwindSafe(f)) {
        Ok(value) => return Some(value),
        Err(payload) => payload,
    };
    let message = text_of(&*payload);
    // Another message: this panic passed the hook by, the one that was seen was caught inside.
    let seen = last().filter(|seen| seen.message == message);
    failed(FailureKind::Panic {
        message,
        place: seen.and_then(|seen| seen.place),
    });
    drop_quietly(payload);
    None
}

/// Drops a value of the user's. Where that panics, the panic's own payload is let go undropped.
pub(crate) fn drop_quietly<T>(value: T) {
    if let Err(payload) = panic::catch_unwind(AssertUnwindSafe(|| drop(value))) {
        std::mem::forget(payload);
    }
}

fn text_of(payload: &(dyn Any + Send)) -> String {
    if let Some(text) = payload.downcast_ref::<&'static str>() {
        (*text).to_owned()
    } else if let Some(text) = payload.downcast_ref::<String>() {
        text.clone()
    } else {
        "a value that is not a string".to_owned()
    }
}
