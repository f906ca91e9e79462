//! Spans and events of quitters and routines.

#![cfg(feature = "tracing")]

#[path = "common/subscriber.rs"]
mod subscriber;

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

use quitter_core::{OnFailure, Quitter};
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::with_default;
use tracing::{Event, Level, Metadata, Subscriber};

use subscriber::Capture;

const PATIENCE: Duration = Duration::from_secs(10);

#[test]
fn a_routine_runs_in_its_span_and_tells_of_its_start_and_its_end() {
    let capture = Capture::new();
    let root = Quitter::root("main");
    let store = root.child("store").unwrap();
    let routine = with_default(capture.clone(), || {
        let setup = tracing::info_span!("setup");
        let _entered = setup.enter();
        let flusher = store.routine("flusher");
        flusher.add(|_| tracing::info!("flushed")).unwrap()
    });
    root.wait_done(PATIENCE).unwrap();
    let span = format!("routine flusher of main/store {}", routine.id());
    let texts = ["routine started", "flushed", "routine returned"];
    for (event, text) in capture.events().iter().zip(texts) {
        assert_eq!(event.text, text);
        assert_eq!(event.within, [&span[..], "setup"], "{text}");
    }
    assert_eq!(capture.events().len(), texts.len());
    let started = capture.only("routine started");
    assert_eq!(started.level, Level::DEBUG);
    assert_eq!(started.field("name"), "flusher");
    assert_eq!(started.field("path"), "main/store");
    assert!(started.field("spawned_at").contains("tracing.rs"));
    assert!(!capture.only("routine returned").field("ran_ms").is_empty());
}

#[test]
fn the_dispatcher_reaches_the_routines_of_routines() {
    let capture = Capture::new();
    let root = Quitter::root("main");
    with_default(capture.clone(), || {
        root.routine("outer")
            .add(|q| {
                let inner = q.routine("inner").add(|_| tracing::info!("within"));
                inner.unwrap().wait(PATIENCE).unwrap();
            })
            .unwrap();
    });
    root.wait_done(PATIENCE).unwrap();
    let within = capture.only("within").within;
    assert!(within[0].starts_with("routine inner"), "{within:?}");
    assert!(within[1].starts_with("routine outer"), "{within:?}");
}

#[test]
fn a_failed_routine_is_an_error_in_its_span_whatever_its_policy() {
    for on_failure in [
        OnFailure::QuitMain,
        OnFailure::FailAtExit,
        OnFailure::Report,
    ] {
        let capture = Capture::new();
        let root = Quitter::root("main");
        with_default(capture.clone(), || {
            let routine = root.routine("fails").on_failure(on_failure);
            routine.add(|_| Err::<(), _>("disk full")).unwrap();
        });
        root.wait_done(PATIENCE).unwrap();
        let failed = capture.only("routine failed");
        assert_eq!(failed.level, Level::ERROR);
        assert_eq!(failed.field("name"), "fails");
        assert_eq!(failed.field("error"), "disk full");
        assert_eq!(failed.field("while_quitting"), "false");
        assert!(failed.within[0].starts_with("routine fails"));
        assert!(capture.all("routine returned").is_empty());
    }
}

#[test]
fn a_guard_has_a_span_and_tells_of_its_end() {
    let capture = Capture::new();
    let root = Quitter::root("main");
    with_default(capture.clone(), || drop(root.guard("import").unwrap()));
    for text in ["routine started", "routine returned"] {
        let event = capture.only(text);
        assert!(
            event.within[0].starts_with("routine import of main "),
            "{event}"
        );
    }
}

#[test]
fn a_quitter_that_was_told_to_quit_says_why_and_those_below_say_nothing() {
    let capture = Capture::new();
    let root = Quitter::root("main");
    let child = root.child("store").unwrap();
    let grandchild = child.child("index").unwrap();
    with_default(capture.clone(), || child.send_quit());
    assert!(grandchild.has_to_quit());
    let told = capture.only("told to quit");
    assert_eq!(told.level, Level::INFO);
    assert_eq!(told.field("path"), "main/store");
    assert!(told.field("cause").starts_with("send_quit at "), "{told}");
    // A second quit causes no event.
    with_default(capture.clone(), || child.send_quit());
    assert_eq!(capture.events().len(), 1);
}

#[test]
fn the_quit_of_a_whole_tree_waits_for_no_subscriber() {
    let (let_go, hold) = crossbeam_channel::bounded::<()>(0);
    let capture = Capture::telling(move |_| {
        let _ = hold.recv();
    });
    let root = Quitter::root("main");
    with_default(capture.clone(), || root.send_quit());
    assert!(root.has_to_quit());
    drop(let_go);
    let until = Instant::now() + PATIENCE;
    while capture.all("told to quit").is_empty() {
        assert!(Instant::now() < until);
        std::thread::yield_now();
    }
    assert_eq!(capture.only("told to quit").field("path"), "main");
}

/// A subscriber that panics in every call.
struct Panics;

impl Subscriber for Panics {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        panic!("new_span")
    }

    fn record(&self, _: &Id, _: &Record<'_>) {
        panic!("record")
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {
        panic!("record_follows_from")
    }

    fn event(&self, _: &Event<'_>) {
        panic!("event")
    }

    fn enter(&self, _: &Id) {
        panic!("enter")
    }

    fn exit(&self, _: &Id) {
        panic!("exit")
    }
}

/// Like [`Panics`], but it makes spans, so that they are entered and closed.
struct PanicsInSpans;

impl Subscriber for PanicsInSpans {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, _: &Event<'_>) {}

    fn enter(&self, _: &Id) {
        panic!("enter")
    }

    fn exit(&self, _: &Id) {
        panic!("exit")
    }

    fn try_close(&self, _: Id) -> bool {
        panic!("try_close")
    }
}

fn goes_on_under(subscriber: impl Subscriber + Send + Sync) {
    let root = Quitter::root("main");
    let (done, is_done) = crossbeam_channel::bounded(1);
    let failing = with_default(subscriber, || {
        let child = root.child("store").unwrap();
        let works = child.routine("works");
        works.add(move |_| done.send(()).unwrap()).unwrap();
        let fails = child.routine("fails").on_failure(OnFailure::FailAtExit);
        let failing = fails.add(|_| Err::<(), _>("of its own")).unwrap();
        drop(child.guard("guard").unwrap());
        root.wait_done(PATIENCE).unwrap();
        child.send_quit();
        assert!(child.has_to_quit());
        failing
    });
    is_done.recv_timeout(PATIENCE).unwrap();
    assert!(failing.is_finished());
    let failures = root.failures();
    assert_eq!(failures.len(), 1, "{failures:?}");
    assert_eq!(failures[0].name, "fails");
}

#[test]
fn a_subscriber_that_panics_changes_nothing() {
    goes_on_under(Panics);
    goes_on_under(PanicsInSpans);
}

#[test]
fn a_task_runs_in_its_span_whoever_polls_it() {
    let capture = Capture::new();
    let root = Quitter::root("main");
    let task = with_default(capture.clone(), || {
        let routine = root.routine("flusher");
        routine
            .task(|_| async { tracing::info!("flushed") })
            .unwrap()
    });
    // This thread has no subscriber.
    let mut context = Context::from_waker(Waker::noop());
    assert!(pin!(task).poll(&mut context).is_ready());
    for text in ["routine started", "flushed", "routine returned"] {
        let event = capture.only(text);
        assert!(
            event.within[0].starts_with("routine flusher of main "),
            "{event}"
        );
    }
}
