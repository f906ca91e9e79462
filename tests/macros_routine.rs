//! `#[quitter::routine]` leaves the function unchanged and adds a registration.

#![cfg(feature = "macros")]

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use quitter::{OnFailure, Quitter, RoutineQuitter};

static BEATS: AtomicUsize = AtomicUsize::new(0);

/// Beats, and shows the count as its status.
#[quitter::routine(name = "beat")]
#[must_use = "shows that attributes stay"]
pub fn heartbeat(q: &RoutineQuitter) -> Result<(), quitter::Quitting> {
    BEATS.fetch_add(1, Ordering::Relaxed);
    q.sleep(Duration::MAX)
}

#[quitter::routine(manual)]
fn by_hand(q: &RoutineQuitter) {
    q.wait_quit();
}

fn without_attribute(q: &RoutineQuitter) {
    q.wait_quit();
}

mod elsewhere {
    #[quitter::routine(manual)]
    pub(super) fn by_hand(q: &quitter::RoutineQuitter) {
        q.wait_quit();
    }
}

#[test]
fn a_routine_stays_a_function_that_can_be_called() {
    let root = Quitter::root("test");
    let guard = root.guard("call").unwrap();
    root.send_quit();

    let before = BEATS.load(Ordering::Relaxed);
    assert!(heartbeat(&guard).is_err());
    assert!(BEATS.load(Ordering::Relaxed) > before);
}

#[test]
fn a_routine_added_by_hand_has_its_registered_name() {
    let root = Quitter::root("test");
    let child = root.child("child").unwrap();

    let beat = child.add_routine(heartbeat).unwrap();
    let by_hand = child.add_routine(by_hand).unwrap();
    assert_eq!((beat.name(), by_hand.name()), ("beat", "by_hand"));

    root.quit_and_wait(Duration::MAX).unwrap();
}

#[quitter::routine(manual, name = "probe", on_failure = OnFailure::FailAtExit)]
fn fails(_: &RoutineQuitter) -> Result<(), &'static str> {
    Err("no such device")
}

#[test]
fn a_routine_added_by_hand_fails_as_its_attribute_says_unless_it_is_described_anew() {
    let root = Quitter::root("test");
    let child = root.child("child").unwrap();
    child.add_routine(fails).unwrap();
    child.wait_done(Duration::MAX).unwrap();
    assert!(!root.has_to_quit());
    let failures: Vec<_> = root.failures().iter().map(ToString::to_string).collect();
    assert_eq!(
        failures,
        ["routine 'probe' of test/child failed: no such device"]
    );

    let anew = child.routine("probe").on_failure(OnFailure::QuitOwn);
    anew.add(fails).unwrap();
    child.wait_done(Duration::MAX).unwrap();
    assert!(child.has_to_quit() && !root.has_to_quit());
}

#[test]
fn a_routine_is_named_the_same_with_and_without_the_attribute() {
    let root = Quitter::root("test");
    let routine = root.add_routine(without_attribute).unwrap();
    assert_eq!(routine.name(), "without_attribute");
    root.quit_and_wait(Duration::MAX).unwrap();
}

#[test]
fn functions_of_one_name_in_two_modules_are_two_routines() {
    let root = Quitter::root("test");
    let here = root.add_routine(by_hand).unwrap();
    let there = root.add_routine(elsewhere::by_hand).unwrap();
    assert_eq!((here.name(), there.name()), ("by_hand", "by_hand"));
    root.quit_and_wait(Duration::MAX).unwrap();
}
