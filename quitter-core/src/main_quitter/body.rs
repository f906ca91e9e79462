//! The body of `main`: what it may return, and what that means.

use std::any::Any;
use std::error::Error;
use std::fmt;
use std::io;
use std::marker::PhantomData;
use std::process::ExitCode;

use crate::error::{AddRoutineError, MainQuitterError, Quitting};
use crate::never::Bang;
use crate::report::exit::exit_code;
use crate::report::failure::FailureKind;
use crate::report::timeouts::Timeouts;
#[cfg(feature = "process")]
use crate::routine::process::AddProcessError;

/// The return types of the body of `main`: nothing, never, an [`ExitCode`], or a `Result` of these whose
/// error implements `Debug`, as with std.
///
/// An `Err` fails the program, unless it is [`Quitting`] or
/// [`AddRoutineError::Quitting`](crate::AddRoutineError::Quitting), by itself or boxed: quitting is not a
/// failure. A boxed error, an [`io::Error`] and an error of this crate are shown by their texts and those of
/// their sources, any other error by its `Debug`, as std does.
///
/// An error of another type, such as an enum of the program's own, is known only by its `Debug`: a body that
/// returns one should not pass on `Quitting` with `?`, but return `Ok` when told to quit. `anyhow::Error` and
/// `eyre::Report` are recognised under the attribute `#[quitter::main]`.
#[diagnostic::on_unimplemented(
    message = "the body of `main` cannot return `{Self}`",
    note = "return `()`, `!`, `ExitCode`, or a `Result` of these whose error is `Debug`"
)]
pub trait MainOutcome: sealed::Sealed {
    /// Calls `ended` with how the body ended, before an error is dropped: its drop may never return.
    #[doc(hidden)]
    fn settle(self, known: Option<AsError>, ended: &dyn Fn(Body));
}

/// Converts an error of `main`, of which only `Debug` is known, to a `dyn Error`.
#[doc(hidden)]
pub type AsError = fn(&dyn Any) -> Option<&(dyn Error + 'static)>;

/// Finds out how to show the error of a body that returns `R`. The attribute calls `as_error` on
/// `&ErrorOf::<R>`: if the error shows itself, [`KnownError`] applies with one reference less than
/// [`UnknownError`], so the compiler prefers it.
#[doc(hidden)]
#[derive(Debug)]
pub struct ErrorOf<R>(PhantomData<fn() -> R>);

impl<R> ErrorOf<R> {
    #[must_use]
    pub const fn new() -> Self {
        Self(PhantomData)
    }
}

impl<R> Default for ErrorOf<R> {
    fn default() -> Self {
        Self::new()
    }
}

#[doc(hidden)]
pub trait KnownError {
    fn as_error(&self) -> Option<AsError>;
}

impl<T, E> KnownError for ErrorOf<Result<T, E>>
where
    E: AsRef<dyn Error + Send + Sync> + 'static,
{
    fn as_error(&self) -> Option<AsError> {
        Some(|error| {
            let error: &(dyn Error + Send + Sync) = error.downcast_ref::<E>()?.as_ref();
            Some(error)
        })
    }
}

#[doc(hidden)]
pub trait UnknownError {
    fn as_error(&self) -> Option<AsError>;
}

impl<R> UnknownError for &ErrorOf<R> {
    fn as_error(&self) -> Option<AsError> {
        None
    }
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for () {}
    impl Sealed for super::Bang {}
    impl Sealed for super::ExitCode {}
    impl<T: Sealed, E> Sealed for Result<T, E> {}
}

/// How the body of `main` ended.
#[doc(hidden)]
#[derive(Debug)]
pub enum Body {
    Done,
    Code(u8),
    Failed(FailureKind),
}

impl MainOutcome for () {
    fn settle(self, _: Option<AsError>, ended: &dyn Fn(Body)) {
        ended(Body::Done);
    }
}

#[diagnostic::do_not_recommend] // The compiler would show the alias.
impl MainOutcome for Bang {
    fn settle(self, _: Option<AsError>, _ended: &dyn Fn(Body)) {
        self
    }
}

impl MainOutcome for ExitCode {
    fn settle(self, _: Option<AsError>, ended: &dyn Fn(Body)) {
        // std cannot turn an `ExitCode` back into its number, but can compare two of them.
        let code = (0..=u8::MAX).find(|code| ExitCode::from(*code) == self);
        ended(Body::Code(code.unwrap_or(exit_code::FAILURE)));
    }
}

impl<T: MainOutcome, E: fmt::Debug + 'static> MainOutcome for Result<T, E> {
    fn settle(self, known: Option<AsError>, ended: &dyn Fn(Body)) {
        let error = match self {
            Ok(outcome) => return outcome.settle(known, ended),
            Err(error) => error,
        };
        let shown = known.and_then(|known| known(&error));
        ended(match shown.or_else(|| as_error(&error)) {
            Some(error) if Quitting::is_in(error) => Body::Done,
            Some(error) => Body::Failed(FailureKind::of_error(error)),
            None => Body::Failed(FailureKind::of_debug(&error)),
        });
    }
}

/// Converts an error of `main`, of which only `Debug` is known, to a `dyn Error`, if it is boxed, as is
/// usual, or of one of the types that this crate's calls return.
fn as_error(error: &dyn Any) -> Option<&(dyn Error + 'static)> {
    fn plain<E: Error + 'static>(error: &dyn Any) -> Option<&(dyn Error + 'static)> {
        error.downcast_ref::<E>().map(|error| error as _)
    }
    let boxed = error.downcast_ref::<Box<dyn Error>>().map(|error| &**error);
    let send = error.downcast_ref::<Box<dyn Error + Send>>();
    let sync = error.downcast_ref::<Box<dyn Error + Send + Sync>>();
    #[cfg(feature = "process")]
    let of_process = plain::<AddProcessError>(error);
    #[cfg(not(feature = "process"))]
    let of_process = None;
    boxed
        .or(send.map(|error| &**error as _))
        .or(sync.map(|error| &**error as _))
        .or_else(|| plain::<Quitting>(error))
        .or_else(|| plain::<AddRoutineError>(error))
        .or_else(|| plain::<MainQuitterError>(error))
        .or(of_process)
        .or_else(|| plain::<Timeouts>(error))
        .or_else(|| plain::<io::Error>(error))
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::time::Duration;

    use super::*;
    use crate::quitter::Quitter;

    fn end(outcome: impl MainOutcome) -> Body {
        let end = RefCell::new(None);
        outcome.settle(None, &|body| *end.borrow_mut() = Some(body));
        end.into_inner().unwrap()
    }

    fn failure<E: fmt::Debug + 'static>(error: E) -> String {
        match end(Err::<(), E>(error)) {
            Body::Failed(kind) => kind.text(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn quitting_is_no_failure_of_a_body_bare_or_boxed() {
        fn is_none<E: fmt::Debug + 'static>(error: E) {
            let end = end(Err::<(), E>(error));
            assert!(matches!(end, Body::Done), "{end:?}");
        }
        is_none(Quitting);
        is_none(AddRoutineError::Quitting);
        #[cfg(feature = "process")]
        is_none(AddProcessError::Quitting);
        is_none(io::Error::other(Quitting));
        is_none(Box::<dyn Error>::from(Quitting));
        is_none::<Box<dyn Error + Send>>(Box::new(Quitting));
        is_none(Box::<dyn Error + Send + Sync>::from(Quitting));
    }

    #[test]
    fn errors_of_this_crate_and_boxed_ones_are_shown_by_their_texts_and_others_by_debug() {
        let source = || io::Error::other("no threads");
        let refused = || AddRoutineError::Thread {
            name: "worker".to_owned(),
            source: source(),
        };
        let text = failure(refused());
        assert!(text.ends_with(": no threads"), "{text}");
        assert_eq!(failure(Box::<dyn Error>::from(refused())), text);
        assert_eq!(failure::<Box<dyn Error + Send>>(Box::new(refused())), text);
        assert_eq!(
            failure(Box::<dyn Error + Send + Sync>::from(refused())),
            text
        );
        assert_eq!(failure(source()), "no threads");
        let root = Quitter::root("main");
        let _guard = root.guard("guard").unwrap();
        let timeouts = root.wait_done(Duration::ZERO).unwrap_err();
        let text = timeouts.to_string();
        assert_eq!(failure(timeouts), text);
        assert_eq!(failure("a\"b"), "\"a\\\"b\"");
    }

    #[test]
    fn an_exit_code_keeps_its_number_in_a_result_too() {
        for number in [0, 1, 3, 255] {
            for end in [
                end(ExitCode::from(number)),
                end(Ok::<_, Quitting>(ExitCode::from(number))),
            ] {
                assert!(matches!(end, Body::Code(code) if code == number), "{end:?}");
            }
        }
    }
}
