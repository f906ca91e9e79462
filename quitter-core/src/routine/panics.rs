//! What is known of a panic: the message from its payload, the place from the panic hook.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::panic::{self, AssertUnwindSafe, PanicHookInfo};
use std::thread;

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

/// Notes the panic that the hook is called for.
pub(crate) fn note(info: &PanicHookInfo<'_>) -> FailureKind {
    let seen = Seen {
        message: text_of(info.payload()),
        place: info.location().map(ToString::to_string),
    };
    let kind = seen.clone().into();
    // Already destroyed when a thread-local destructor panics: then nobody asks.
    let _ = LAST.try_with(|last| last.replace(Some(seen)));
    HAS_LAST.set(true);
    kind
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
