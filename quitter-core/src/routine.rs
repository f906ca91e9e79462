//! Routines: named, forked on a thread or guarded, their panics caught, and always checked out.

use std::any::{TypeId, type_name};
use std::borrow::Cow;
use std::cell::RefCell;
use std::error::Error;
use std::fmt;
use std::ops::Deref;
use std::panic::Location;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crate::cause::QuitCause;
use crate::error::{AddRoutineError, Quitting, is_quitting};
use crate::failure::{FailureKind, OnFailure, RoutineFailure};
use crate::never::Bang;
use crate::panics::{self, HooksRun};
use crate::quitter::RoutineQuitter;
use crate::record::{Place, Record};
use crate::registry;
use crate::system;
use crate::timeouts::Timeouts;
use crate::tree::{Limits, Node, Roster};

/// What a routine may return: nothing, never, or a `Result` of these.
///
/// An `Err` is recorded as the routine's failure, unless it is [`Quitting`] or has it as a source:
/// quitting is not a failure.
///
/// # Examples
///
/// ```
/// # use quitter_core as quitter;
/// use std::time::Duration;
/// use quitter::{Quitter, Quitting, RoutineQuitter};
///
/// fn beat(q: &RoutineQuitter) -> Result<(), Quitting> {
///     loop {
///         q.sleep(Duration::from_secs(1))?;
///     }
/// }
///
/// let root = Quitter::root("main");
/// root.add_routine(beat).unwrap();
/// root.quit_and_wait(Duration::from_secs(2)).unwrap();
/// assert!(root.failures().is_empty());
/// ```
#[diagnostic::on_unimplemented(
    message = "a routine cannot return `{Self}`",
    note = "return `()`, `!`, or `Result<(), E>` where `E` becomes a `Box<dyn Error + Send + Sync>`"
)]
pub trait RoutineOutcome: sealed::Sealed {
    /// Tells `failed` of a failure before the error is dropped: its drop may never end.
    #[doc(hidden)]
    fn settle(self, failed: &dyn Fn(FailureKind));
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for () {}
    impl Sealed for crate::never::Bang {}
    impl<T: Sealed, E> Sealed for Result<T, E> {}
}

impl RoutineOutcome for () {
    fn settle(self, _failed: &dyn Fn(FailureKind)) {}
}

impl RoutineOutcome for Bang {
    fn settle(self, _failed: &dyn Fn(FailureKind)) {
        self
    }
}

impl<T, E> RoutineOutcome for Result<T, E>
where
    T: RoutineOutcome,
    E: Into<Box<dyn Error + Send + Sync>>,
{
    fn settle(self, failed: &dyn Fn(FailureKind)) {
        match self {
            Ok(outcome) => outcome.settle(failed),
            Err(error) => {
                let error = error.into();
                if !is_quitting(&*error) {
                    failed(FailureKind::of_error(&*error));
                }
            }
        }
    }
}

/// Describes a routine before it is forked. Made by [`Quitter::routine`](crate::Quitter::routine).
#[must_use = "nothing is forked until `add` is called"]
pub struct RoutineBuilder<'a> {
    node: &'a Arc<Node>,
    name: Cow<'static, str>,
    stack_size: Option<usize>,
    on_failure: OnFailure,
}

impl<'a> RoutineBuilder<'a> {
    pub(crate) fn new(node: &'a Arc<Node>, name: Cow<'static, str>) -> Self {
        Self {
            node,
            name,
            stack_size: None,
            on_failure: OnFailure::default(),
        }
    }

    /// Sets the size of the thread's stack in bytes. Std's default otherwise, which is 2 MiB unless
    /// `RUST_MIN_STACK` says otherwise.
    ///
    /// # Examples
    ///
    /// ```
    /// # use quitter_core as quitter;
    /// let root = quitter::Quitter::root("main");
    /// root.routine("small").stack_size(128 * 1024).add(|_| {}).unwrap();
    /// # root.wait_done(std::time::Duration::MAX).unwrap();
    /// ```
    pub fn stack_size(mut self, bytes: usize) -> Self {
        self.stack_size = Some(bytes);
        self
    }

    /// Sets what a failure does, beside being recorded. The root of the tree quits otherwise.
    pub fn on_failure(mut self, on_failure: OnFailure) -> Self {
        self.on_failure = on_failure;
        self
    }

    /// Forks the routine. As [`Quitter::add_routine`](crate::Quitter::add_routine).
    ///
    /// # Errors
    ///
    /// As [`Quitter::add_routine`](crate::Quitter::add_routine).
    ///
    /// # Examples
    ///
    /// ```
    /// # use quitter_core as quitter;
    /// let root = quitter::Quitter::root("main");
    /// let handle = root.routine("worker").add(|q| assert_eq!(q.name(), "worker")).unwrap();
    /// handle.wait(std::time::Duration::MAX).unwrap();
    /// ```
    #[track_caller]
    #[expect(clippy::should_implement_trait, reason = "nobody adds builders up")]
    pub fn add<F, R>(self, f: F) -> Result<RoutineHandle, AddRoutineError>
    where
        F: FnOnce(&RoutineQuitter) -> R + Send + 'static,
        R: RoutineOutcome,
    {
        let mut thread = thread::Builder::new().name(thread_name(&self.name));
        if let Some(bytes) = self.stack_size {
            thread = thread.stack_size(bytes);
        }
        let live = self.check_in(Location::caller(), system::now())?;
        let handle = RoutineHandle {
            roster: Arc::clone(live.quitter.node().roster()),
            record: Arc::clone(live.quitter.record()),
        };
        // Where the thread is refused, std drops the closure, and `live` checks out.
        match thread.spawn(move || run(live, f)) {
            Ok(_detached) => Ok(handle),
            Err(source) => Err(AddRoutineError::Thread {
                name: handle.record.name.to_string(),
                source,
            }),
        }
    }

    /// Lists the caller's own work as a routine. As [`Quitter::guard`](crate::Quitter::guard).
    ///
    /// # Errors
    ///
    /// [`Quitting`] once the quitter was told to quit.
    #[track_caller]
    pub fn guard(self) -> Result<RoutineGuard, Quitting> {
        // A guard may live for less time than the exact clock takes to read.
        let live = self.check_in(Location::caller(), system::lately())?;
        Ok(RoutineGuard { live })
    }

    fn check_in(self, place: Place, now: Duration) -> Result<Live, Quitting> {
        panics::install_hook(announce_panic);
        panics::forget_last();
        let record = Arc::new(Record::new(self.name, place, self.on_failure, now));
        if thread::panicking() {
            record.set_unwinding();
        }
        let node = self.node.place();
        node.check_in(&record)?;
        let quitter = RoutineQuitter::new(node, record);
        Ok(Live { quitter })
    }
}

impl fmt::Debug for RoutineBuilder<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RoutineBuilder")
            .field("name", &self.name)
            .field("stack_size", &self.stack_size)
            .field("on_failure", &self.on_failure)
            .finish_non_exhaustive()
    }
}

/// A routine on the list: checks out when it is dropped, whatever happens.
struct Live {
    quitter: RoutineQuitter,
}

fn fail(quitter: &RoutineQuitter, kind: FailureKind) {
    let cause = QuitCause::RoutineFailed {
        path: quitter.path(),
        name: quitter.name().to_owned(),
    };
    fail_with(quitter, kind, cause);
}

/// Records a failure, the first one of the routine, and does what it is to do. Before the check-out,
/// so that who has waited for the routine finds both.
fn fail_with(quitter: &RoutineQuitter, kind: FailureKind, cause: QuitCause) {
    let node = quitter.node();
    let record = quitter.record();
    if record.set_failed() {
        return;
    }
    node.record_failure(RoutineFailure {
        path: node.path(),
        name: record.name.to_string(),
        id: record.id,
        spawned_at: record.spawned_at,
        ran_for: record.running_for(),
        while_quitting: node.is_quitting(),
        kind,
    });
    match record.on_failure() {
        OnFailure::QuitMain => node.root_node().quit(cause, None),
        OnFailure::QuitOwn => node.quit(cause, None),
        OnFailure::Record => false,
    };
}

/// Called by the panic hook. `None`: no routine runs on this thread.
fn announce_panic(kind: FailureKind) -> Option<HooksRun> {
    let current = CURRENT.try_with(|current| current.borrow().clone());
    let quitter = current.ok().flatten()?;
    Some(panics::announce(move || fail(&quitter, kind)))
}

impl Drop for Live {
    fn drop(&mut self) {
        self.quitter.node().check_out(self.quitter.record());
    }
}

/// What a routine's thread does.
fn run<F, R>(live: Live, f: F)
where
    F: FnOnce(&RoutineQuitter) -> R,
    R: RoutineOutcome,
{
    let node = live.quitter.node();
    let roster = Arc::clone(node.roster());
    let current = Current::enter(&live.quitter);
    let failed = |kind| fail(&live.quitter, kind);
    // The user's error is shown and dropped inside: its code may panic, too.
    panics::catch(|| f(&live.quitter).settle(&failed), failed);
    let quits = node.is_quitting();
    drop(current);
    drop(live);
    if quits {
        roster.linger();
    }
}

/// Runs `f` on this thread as the routine of `guard`: a wait called by `f` leaves it out.
pub(crate) fn run_as(guard: &RoutineGuard, f: impl FnOnce(), failed: impl FnOnce(FailureKind)) {
    let _current = Current::enter(guard);
    panics::catch(f, failed);
}

thread_local! {
    /// The routine that runs on this thread.
    static CURRENT: RefCell<Option<RoutineQuitter>> = const { RefCell::new(None) };
}

/// Makes a routine the current one until it is dropped.
struct Current {
    outer: Option<RoutineQuitter>,
}

impl Current {
    fn enter(quitter: &RoutineQuitter) -> Self {
        let outer = CURRENT.replace(Some(quitter.clone()));
        Self { outer }
    }
}

impl Drop for Current {
    fn drop(&mut self) {
        // Dropped after the borrow: the last handle of a quitter may go with it.
        let _inner = CURRENT.replace(self.outer.take());
    }
}

/// Calls `wait` with the id of the routine that runs on this thread, if any, while that routine is
/// marked as waiting for others. After a timeout the mark stays: such a routine is about to return.
pub(crate) fn waiting_routine<E>(wait: impl FnOnce(Option<u64>) -> Result<(), E>) -> Result<(), E> {
    let record = |quitter: &RoutineQuitter| Arc::clone(quitter.record());
    let current = CURRENT.try_with(|current| current.borrow().as_ref().map(record));
    let Ok(Some(record)) = current else {
        return wait(None);
    };
    record.set_waiting(true);
    wait(Some(record.id))?;
    record.set_waiting(false);
    Ok(())
}

/// The caller's own work, listed as a routine until this is dropped. Made by
/// [`Quitter::guard`](crate::Quitter::guard).
///
/// Derefs to what a routine sees of its quitter. May be sent to another thread.
///
/// # Examples
///
/// ```
/// # use quitter_core as quitter;
/// let root = quitter::Quitter::root("main");
/// let guard = root.guard("import").unwrap();
/// guard.set_status("line 17");
/// assert!(!guard.has_to_quit());
/// assert_eq!(guard.path(), "main");
/// ```
#[derive(Debug)]
#[must_use = "the routine ends when the guard is dropped"]
pub struct RoutineGuard {
    live: Live,
}

impl RoutineGuard {
    /// Records a failure that the guard's owner has caught, and quits for this cause.
    pub(crate) fn fail_with(&self, kind: FailureKind, cause: QuitCause) {
        fail_with(self, kind, cause);
    }
}

impl Deref for RoutineGuard {
    type Target = RoutineQuitter;

    fn deref(&self) -> &RoutineQuitter {
        &self.live.quitter
    }
}

impl Drop for RoutineGuard {
    fn drop(&mut self) {
        if thread::panicking() && !self.record().is_unwinding() {
            fail(self, panics::unwinding());
        }
    }
}

impl fmt::Debug for Live {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.quitter.fmt(f)
    }
}

/// A forked routine, seen from outside. Dropping it detaches: the routine goes on, supervised by
/// its quitter.
///
/// # Examples
///
/// ```
/// # use quitter_core as quitter;
/// use std::time::Duration;
///
/// let root = quitter::Quitter::root("main");
/// let handle = root.add_routine(|_| {}).unwrap();
/// handle.wait(Duration::MAX).unwrap();
/// assert!(handle.is_finished());
/// ```
pub struct RoutineHandle {
    /// Not the quitter's node: it keeps the rosters up to the root in memory, but nothing in the tree.
    roster: Arc<Roster>,
    record: Arc<Record>,
}

impl RoutineHandle {
    /// The routine's number, unique in this process.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.record.id
    }

    /// The routine's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.record.name
    }

    /// Whether the routine has returned, or panicked.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.record.is_finished()
    }

    /// Blocks until the routine has returned, for at most `timeout`; [`Duration::MAX`] is for ever.
    ///
    /// Does not tell it to quit. May be called again, and from several threads. As
    /// [`Quitter::wait_done`](crate::Quitter::wait_done) it ends by the deadline of a quit. A routine that waits for itself waits in vain.
    ///
    /// # Errors
    ///
    /// [`Timeouts`] lists this one routine.
    pub fn wait(&self, timeout: Duration) -> Result<(), Timeouts> {
        let from = Instant::now();
        let limits = Limits::within(timeout);
        waiting_routine(|_| self.roster.wait_for(&self.record, limits))
            .map_err(|live| Timeouts::new(vec![live], from.elapsed()))
    }
}

impl fmt::Debug for RoutineHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RoutineHandle")
            .field("id", &self.id())
            .field("name", &self.name())
            .field("is_finished", &self.is_finished())
            .finish()
    }
}

/// The operating system's name of a thread ends at a NUL, which std refuses with a panic.
fn thread_name(name: &str) -> String {
    name.replace('\0', "")
}

/// The name of a routine that was added without one.
pub(crate) fn name_of<F: 'static>() -> Cow<'static, str> {
    match registry::find(TypeId::of::<F>()) {
        Some(registered) => registered.name().into(),
        None => name_from_type(type_name::<F>()),
    }
}

/// The last segment of a type's name; for a closure, what it stands in.
fn name_from_type(type_name: &'static str) -> Cow<'static, str> {
    let path = type_name.trim_end_matches("::{{closure}}");
    match last_segment(path) {
        "" => "routine".into(),
        name if path != type_name => format!("closure in {name}").into(),
        name => name.into(),
    }
}

/// What stands behind the last `::` that is not inside generic arguments, without its own generic
/// arguments.
fn last_segment(path: &str) -> &str {
    let mut depth = 0_usize;
    let (mut from, mut to) = (0, None);
    let mut before = ' ';
    for (at, c) in path.char_indices() {
        match c {
            '<' | '(' | '[' => {
                if depth == 0 {
                    to = to.or(Some(at));
                }
                depth += 1;
            }
            // The arrow of a function pointer.
            '>' if before == '-' => {}
            '>' | ')' | ']' => depth = depth.saturating_sub(1),
            ':' if depth == 0 => (from, to) = (at + 1, None),
            _ => {}
        }
        before = c;
    }
    path[from..to.unwrap_or(path.len())].trim_start_matches('&')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_from_the_last_segment_of_the_type() {
        assert_eq!(name_from_type("app::beat::heartbeat"), "heartbeat");
        assert_eq!(name_from_type("app::main::{{closure}}"), "closure in main");
        assert_eq!(
            name_from_type("app::main::{{closure}}::{{closure}}"),
            "closure in main"
        );
        assert_eq!(
            name_from_type("app::Db<app::main::{{closure}}>::run::{{closure}}"),
            "closure in run"
        );
        assert_eq!(name_from_type("app::work<fn(u8) -> [u8; 3]>"), "work");
        assert_eq!(name_from_type("app::work<alloc::string::String>"), "work");
        assert_eq!(name_from_type("<app::Db as app::Work>::run"), "run");
        assert_eq!(
            name_from_type("app::Db<alloc::vec::Vec<u8>>::run::{{closure}}"),
            "closure in run"
        );
        assert_eq!(
            name_from_type("alloc::boxed::Box<dyn core::ops::function::FnOnce(&u8)>"),
            "Box"
        );
        assert_eq!(name_from_type("fn(&app::RoutineQuitter)"), "fn");
    }
}
