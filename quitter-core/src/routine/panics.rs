//! The message and the location of a panic: one from its payload, the other from the panic hook.
//!
//! Only the hook gets the location, and `resume_unwind` calls no hook. Nor is there any notice that a panic
//! was caught. So the hook's record is matched with the payload that arrives.

use std::any::{Any, TypeId};
use std::cell::{Cell, RefCell};
use std::panic::{self, AssertUnwindSafe, PanicHookInfo};
use std::thread;

use crate::report::failure::FailureKind;

/// A panic as the hook saw it.
struct SeenPanic {
    payload: PayloadId,
    message: String,
    place: Option<String>,
}

impl From<&SeenPanic> for FailureKind {
    fn from(seen: &SeenPanic) -> Self {
        Self::Panic {
            message: seen.message.clone(),
            place: seen.place.clone(),
        }
    }
}

/// Distinguishes payloads by their type, and texts also by their address. The hook sees a payload before it
/// is boxed, but the bytes of a text are not moved.
type PayloadId = (TypeId, Option<*const u8>);

fn id_of(payload: &(dyn Any + Send)) -> PayloadId {
    (payload.type_id(), text(payload).map(str::as_ptr))
}

thread_local! {
    /// The last panic of this thread that the hook saw.
    static LAST: RefCell<Option<SeenPanic>> = const { RefCell::new(None) };

    /// Whether [`LAST`] holds a panic. Read at every check-in; cheap, since this has no destructor.
    static HAS_LAST: Cell<bool> = const { Cell::new(false) };
}

/// Records the panic that the hook is called for.
pub(crate) fn note(info: &PanicHookInfo<'_>) -> FailureKind {
    let seen = SeenPanic {
        payload: id_of(info.payload()),
        message: message_of(info.payload()),
        place: info.location().map(ToString::to_string),
    };
    let kind = FailureKind::from(&seen);
    // `LAST` may already be destroyed, if the destructor of a thread-local panics: then it is not needed.
    let _ = LAST.try_with(|last| last.replace(Some(seen)));
    HAS_LAST.set(true);
    kind
}

/// Forgets the last panic of this thread, unless it is unwinding the thread right now. Called where
/// a panic, if there was one, must have been caught.
#[inline]
pub(crate) fn forget_last() {
    if HAS_LAST.get() && !thread::panicking() {
        let _ = LAST.try_with(RefCell::take);
        HAS_LAST.set(false);
    }
}

/// Reads the last panic of this thread that the hook saw. The panic is kept, since it may unwind through
/// several guards.
fn with_last<T>(f: impl FnOnce(&SeenPanic) -> T) -> Option<T> {
    let last = LAST.try_with(|last| last.borrow().as_ref().map(f));
    last.ok().flatten()
}

/// The panic that is unwinding this thread.
pub(crate) fn unwinding() -> FailureKind {
    let unseen = || FailureKind::Panic {
        message: "unknown panic".to_owned(),
        place: None,
    };
    with_last(|seen| seen.into()).unwrap_or_else(unseen)
}

/// Calls `f`. Reports a panic to `failed` before dropping the panic's payload: the drop is user code, which
/// may panic or never return.
pub(crate) fn catch<T>(f: impl FnOnce() -> T, failed: impl FnOnce(FailureKind)) -> Option<T> {
    let payload = match panic::catch_unwind(AssertUnwindSafe(f)) {
        Ok(value) => return Some(value),
        Err(payload) => payload,
    };
    let id = id_of(&*payload);
    let message = message_of(&*payload);
    // If the two differ, this panic bypassed the hook, and the one that the hook saw was caught inside `f`.
    let place = with_last(|seen| {
        let is_this = seen.payload == id && seen.message == message;
        seen.place.clone().filter(|_| is_this)
    });
    failed(FailureKind::Panic {
        message,
        place: place.flatten(),
    });
    drop_quietly(payload);
    None
}

/// Drops a user's value. If the drop panics, the payload of that panic is leaked: its drop might panic,
/// too.
pub(crate) fn drop_quietly<T>(value: T) {
    if let Err(payload) = panic::catch_unwind(AssertUnwindSafe(|| drop(value))) {
        std::mem::forget(payload);
    }
}

fn message_of(payload: &(dyn Any + Send)) -> String {
    let unreadable = "a value that is not a string";
    text(payload).unwrap_or(unreadable).to_owned()
}

fn text(payload: &(dyn Any + Send)) -> Option<&str> {
    match payload.downcast_ref::<&'static str>() {
        Some(text) => Some(text),
        None => payload.downcast_ref::<String>().map(String::as_str),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Panics when it is dropped, with a value like itself.
    struct Panics;

    impl Drop for Panics {
        fn drop(&mut self) {
            panic::resume_unwind(Box::new(Self));
        }
    }

    #[test]
    fn a_value_whose_drop_panics_with_one_like_itself_is_dropped_quietly() {
        drop_quietly(Panics);
    }

    #[test]
    fn a_caught_panic_stays_caught_though_the_drop_of_its_payload_panics() {
        let failed = Cell::new(false);
        let panics = || panic::resume_unwind(Box::new(Panics));
        let value: Option<()> = catch(panics, |_| failed.set(true));
        assert_eq!((value, failed.get()), (None, true));
    }
}
