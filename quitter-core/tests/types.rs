//! The traits of the public types: they can be sent to other threads, are `'static`, pass through
//! `catch_unwind`, and errors implement `Error`.

use std::error::Error;
use std::fmt::{Debug, Display};
use std::future::Ready;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::process::Termination;

use quitter_core::{
    AddRoutineError, CancelOnQuit, ExitReport, FailureKind, LastSeen, LiveQuitter, MainQuitter,
    MainQuitterBuilder, MainQuitterError, Notice, OnFailure, OnQuit, QuitCause, QuitFuture,
    QuitSource, QuitState, Quitter, QuitterPath, Quitting, RoutineBuilder, RoutineFailure,
    RoutineGuard, RoutineHandle, RoutineQuitter, Snapshot, Stands, StartRoutines, StuckRoutine,
    Task, Ticks, TimedOutQuitter, Timeouts,
};

fn is_send<T: Send>() {}
fn is_sync<T: Sync>() {}
fn is_static<T: 'static>() {}
fn is_unwind_safe<T: UnwindSafe + RefUnwindSafe>() {}
fn is_debug<T: Debug>() {}
fn is_unpin<T: Unpin>() {}

macro_rules! for_each_type {
    ($check:ident: $($type:ty),+ $(,)?) => { $( $check::<$type>(); )+ };
}

macro_rules! plain_values {
    ($check:ident) => {
        for_each_type!(
            $check: AddRoutineError, ExitReport, FailureKind, LastSeen, LiveQuitter, MainQuitterError, QuitState, Snapshot,
            Notice, OnFailure, QuitCause, QuitterPath, Quitting, RoutineFailure, Stands, StartRoutines, StuckRoutine,
            TimedOutQuitter, Timeouts,
        );
    };
}

macro_rules! handles {
    ($check:ident) => {
        for_each_type!(
            $check: MainQuitter, Quitter, RoutineGuard, RoutineHandle, RoutineQuitter,
        );
    };
}

macro_rules! borrowing {
    ($check:ident) => {
        for_each_type!($check: RoutineBuilder<'static>, Ticks<'static>);
    };
}

#[test]
fn everything_may_be_sent_to_another_thread() {
    plain_values!(is_send);
    handles!(is_send);
    borrowing!(is_send);
    for_each_type!(is_send: MainQuitterBuilder, QuitSource);
}

#[test]
fn everything_but_sources_may_be_shared_between_threads() {
    plain_values!(is_sync);
    handles!(is_sync);
    borrowing!(is_sync);
}

#[test]
fn values_and_handles_borrow_nothing() {
    plain_values!(is_static);
    handles!(is_static);
    for_each_type!(is_static: MainQuitterBuilder, QuitSource);
}

#[test]
fn values_and_handles_pass_through_catch_unwind() {
    for_each_type!(
        is_unwind_safe: FailureKind, LastSeen, OnFailure, QuitCause, Quitting,
        RoutineFailure, StartRoutines, StuckRoutine, TimedOutQuitter, Timeouts, ExitReport,
    );
    handles!(is_unwind_safe);
    borrowing!(is_unwind_safe);
}

#[test]
fn everything_can_be_debugged() {
    plain_values!(is_debug);
    handles!(is_debug);
    borrowing!(is_debug);
    for_each_type!(is_debug: MainQuitterBuilder, QuitSource);
}

#[test]
fn errors_can_be_boxed_and_sent() {
    fn is_error<T: Error + Display + Send + Sync + 'static>() {}
    for_each_type!(is_error: AddRoutineError, MainQuitterError, Quitting, Timeouts);
}

#[test]
fn cheap_handles_and_reports_can_be_cloned() {
    fn is_clone<T: Clone>() {}
    for_each_type!(
        is_clone: ExitReport, FailureKind, QuitCause, Quitter, RoutineFailure, RoutineQuitter,
        Stands, StuckRoutine, TimedOutQuitter, Timeouts,
    );
}

#[test]
fn an_exit_report_can_be_returned_from_main() {
    fn is_termination<T: Termination>() {}
    is_termination::<ExitReport>();
}

#[test]
fn reports_are_texts_for_people() {
    fn is_display<T: Display>() {}
    for_each_type!(
        is_display: ExitReport, FailureKind, QuitCause, RoutineFailure, Stands, StuckRoutine, Timeouts,
    );
}

#[test]
fn ticks_are_an_iterator_of_moments() {
    fn is_ticks<T: Iterator<Item = std::time::Instant>>() {}
    is_ticks::<Ticks<'_>>();
}

#[test]
fn quitting_turns_into_the_error_of_add_routine() {
    fn refused() -> Result<(), AddRoutineError> {
        Err(Quitting)?
    }
    assert!(refused().unwrap_err().is_quitting());
}

#[test]
fn the_quit_channel_carries_nothing() {
    let root = Quitter::root("root");
    let channel: &crossbeam_channel::Receiver<std::convert::Infallible> = root.quit_chan();
    root.send_quit();
    match channel.recv() {
        Ok(never) => match never {},
        Err(closed) => assert_eq!(closed, crossbeam_channel::RecvError),
    }
}

#[test]
fn futures_may_be_sent_and_shared_as_the_futures_in_them() {
    macro_rules! futures {
        ($check:ident) => {
            for_each_type!(
                $check: QuitFuture, OnQuit, CancelOnQuit<Ready<()>>, Task<Ready<()>>,
            );
        };
    }
    futures!(is_send);
    futures!(is_sync);
    futures!(is_static);
    futures!(is_debug);
    futures!(is_unpin);
}
