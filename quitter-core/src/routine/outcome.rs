//! The values that a routine may return, and which of them are failures.

use std::error::Error;

use crate::error::Quitting;
use crate::never::Bang;
use crate::report::failure::FailureKind;

/// The values that a routine may return: `()`, `!`, or a `Result` of these.
///
/// The error has to convert into a `Box<dyn Error + Send + Sync>`: any type that implements [`Error`],
/// `Send` and `Sync`, a box of such a type, `anyhow::Error`, or a string.
///
/// An `Err` is recorded as the routine's failure, unless it is [`Quitting`](crate::Quitting) or has it as a
/// source: quitting is not a failure.
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
    note = "return `()`, `!`, or `Result<(), E>`",
    note = "`E` is a `Box<dyn Error + Send + Sync>`, or implements `std::error::Error + Send + Sync`",
    note = "an async function or closure is a task: start it with `add_task` (feature `tokio`)"
)]
pub trait RoutineOutcome: sealed::Sealed {
    /// Reports a failure to `failed` before the error is dropped, since the drop may never return.
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

#[diagnostic::do_not_recommend] // The compiler would show the alias.
impl RoutineOutcome for Bang {
    fn settle(self, _failed: &dyn Fn(FailureKind)) {
        self
    }
}

#[diagnostic::do_not_recommend] // The compiler would explain `Into`, and not say what to write.
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
                if !Quitting::is_in(&*error) {
                    failed(FailureKind::of_error(&*error));
                }
            }
        }
    }
}
