//! The body of `main`: what it may return, and what comes of that.

use std::any::Any;
use std::error::Error;
use std::fmt;
use std::io;
use std::process::ExitCode;

use crate::error::{AddRoutineError, Quitting, is_quitting};
use crate::never::Bang;
use crate::report::exit::exit_code;
use crate::report::failure::FailureKind;
use crate::report::timeouts::Timeouts;

/// What the body of `main` may return: nothing, never, an [`ExitCode`], or a `Result` of these
/// whose error implements `Debug`, as with std.
///
/// An `Err` fails the program, unless it is [`Quitting`], by itself or boxed: quitting is not a
/// failure. It is shown by its `Debug`, as std does, but a boxed error by its text and its sources.
///
/// Of an error of another type nothing but its `Debug` is known. So a body that returns
/// `anyhow::Result`, or an enum of its own, does not pass on `Quitting` with `?`: it returns `Ok`
/// when told to quit.
#[diagnostic::on_unimplemented(
    message = "the body of `main` cannot return `{Self}`",
    note = "return `()`, `!`, `ExitCode`, or a `Result` of these whose error is `Debug`"
)]
pub trait MainOutcome: sealed::Sealed {
    /// Tells `ended` what came of the body before an error is dropped: its drop may never end.
    #[doc(hidden)]
    fn settle(self, ended: &dyn Fn(Body));
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for () {}
    impl Sealed for super::Bang {}
    impl Sealed for super::ExitCode {}
    impl<T: Sealed, E> Sealed for Result<T, E> {}
}

/// What came of the body of `main`.
#[doc(hidden)]
#[derive(Debug)]
pub enum Body {
    Done,
    Code(u8),
    Failed(FailureKind),
}

impl MainOutcome for () {
    fn settle(self, ended: &dyn Fn(Body)) {
        ended(Body::Done);
    }
}

impl MainOutcome for Bang {
    fn settle(self, _ended: &dyn Fn(Body)) {
        self
    }
}

impl MainOutcome for ExitCode {
    fn settle(self, ended: &dyn Fn(Body)) {
        // std has no way back from an `ExitCode` to its number, but compares.
        let code = (0..=u8::MAX).find(|code| ExitCode::from(*code) == self);
        ended(Body::Code(code.unwrap_or(exit_code::FAILURE)));
    }
}

impl<T: MainOutcome, E: fmt::Debug + 'static> MainOutcome for Result<T, E> {
    fn settle(self, ended: &dyn Fn(Body)) {
        let error = match self {
            Ok(outcome) => return outcome.settle(ended),
            Err(error) => error,
        };
        ended(match as_error(&error) {
            Some(known) if is_quitting(known) => Body::Done,
            Some(known) => Body::Failed(FailureKind::of_error(known)),
            None => Body::Failed(FailureKind::of_debug(&error)),
        });
    }
}

/// An error of `main`, of which only `Debug` is known, as an error: if it is boxed, as is usual, or
/// one of those that end a wait.
fn as_error(error: &dyn Any) -> Option<&(dyn Error + 'static)> {
    fn plain<E: Error + 'static>(error: &dyn Any) -> Option<&(dyn Error + 'static)> {
        error.downcast_ref::<E>().map(|error| error as _)
    }
    let boxed = error.downcast_ref::<Box<dyn Error>>().map(|error| &**error);
    let send = error.downcast_ref::<Box<dyn Error + Send>>();
    let sync = error.downcast_ref::<Box<dyn Error + Send + Sync>>();
    boxed
        .or(send.map(|error| &**error as _))
        .or(sync.map(|error| &**error as _))
        .or_else(|| plain::<Quitting>(error))
        .or_else(|| plain::<AddRoutineError>(error))
        .or_else(|| plain::<Timeouts>(error))
        .or_else(|| plain::<io::Error>(error))
}
