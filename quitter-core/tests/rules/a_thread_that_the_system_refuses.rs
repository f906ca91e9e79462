use std::sync::Once;
use std::thread;

use super::*;

/// The size of a stack that takes half of the address space, in whole pages: more than any system grants. Only
/// with 32-bit addresses may there be room for one. That one is taken for good, since there is no room for two.
fn too_much() -> usize {
    const HALF: usize = isize::MAX as usize & !0xffff;
    static TAKEN: Once = Once::new();
    TAKEN.call_once(|| {
        let first = thread::Builder::new().stack_size(HALF);
        let _ = first.spawn(|| {
            loop {
                thread::park();
            }
        });
    });
    HALF
}

#[test]
fn is_an_error_with_the_routines_name_and_what_the_system_said() {
    let root = Quitter::root("root");
    let refused = root
        .routine("huge")
        .stack_size(too_much())
        .add(|_| {})
        .unwrap_err();
    let AddRoutineError::Thread { name, .. } = &refused else {
        panic!("{refused:?}");
    };
    assert_eq!(name, "huge");
    assert!(!refused.is_quitting());
    let source = std::error::Error::source(&refused).unwrap();
    assert!(source.is::<std::io::Error>());
}

#[test]
fn leaves_the_tree_unchanged_and_drops_the_closure() {
    let root = Quitter::root("root");
    let told = Told(Event::new());
    let dropped = told.0.clone();
    let huge = root.routine("huge").stack_size(too_much());
    assert!(huge.add(move |_| drop(told)).is_err());
    dropped.wait();
    root.wait_done(Duration::ZERO).unwrap();
    assert!(!root.has_to_quit());
    assert!(root.failures().is_empty());
    root.add_routine(|_| {}).unwrap();
}

#[test]
fn is_a_failure_of_the_routine_that_returns_it() {
    let root = Quitter::root("root");
    root.add_routine(|q: &RoutineQuitter| {
        q.routine("huge")
            .stack_size(too_much())
            .add(|_| {})
            .map(drop)
    })
    .unwrap();
    root.wait_done(PATIENCE).unwrap();
    assert!(root.failures()[0].to_string().contains("'huge'"));
}

#[test]
fn is_an_error_even_for_the_largest_number() {
    let root = Quitter::root("root");
    too_much();
    let huge = root.routine("huge").stack_size(usize::MAX);
    assert!(matches!(
        huge.add(|_| {}),
        Err(AddRoutineError::Thread { .. })
    ));
    root.wait_done(Duration::ZERO).unwrap();
}

#[test]
fn is_not_the_case_for_a_small_stack() {
    let root = Quitter::root("root");
    let small = root.routine("small").stack_size(1).add(|_| {}).unwrap();
    small.wait(PATIENCE).unwrap();
}

#[test]
fn is_not_the_case_for_a_large_one_that_is_used() {
    fn eat(bytes: usize) -> u8 {
        let frame = std::hint::black_box([0_u8; 1 << 16]);
        match bytes.checked_sub(1 << 16) {
            Some(left) => eat(left) | frame[7],
            None => frame[7],
        }
    }
    let root = Quitter::root("root");
    let large = root.routine("large").stack_size(64 << 20);
    large.add(|_| assert_eq!(eat(8 << 20), 0)).unwrap();
    root.wait_done(PATIENCE).unwrap();
    assert!(root.failures().is_empty());
}
