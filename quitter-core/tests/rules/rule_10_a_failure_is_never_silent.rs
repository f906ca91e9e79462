use super::*;

/// Runs `f` as the only routine of a tree. Returns the tree's failures and the root's quit cause.
fn failures_of<R>(
    f: impl FnOnce(&RoutineQuitter) -> R + Send + 'static,
) -> (Vec<quitter_core::RoutineFailure>, Option<QuitCause>)
where
    R: quitter_core::RoutineOutcome,
{
    let root = Quitter::root("root");
    let child = root.child("child").unwrap();
    child.routine("routine").add(f).unwrap();
    root.wait_done(PATIENCE).unwrap();
    (root.failures(), root.quit_cause())
}

#[track_caller]
fn counts_as_returned<R>(f: impl FnOnce(&RoutineQuitter) -> R + Send + 'static)
where
    R: quitter_core::RoutineOutcome,
{
    let (failures, cause) = failures_of(f);
    assert!(failures.is_empty(), "{failures:?}");
    assert_eq!(cause, None);
}

#[test]
fn a_panic_is_recorded_with_its_message_and_place() {
    let line = line!() + 1;
    let (failures, cause) = failures_of(|_| panic!("the disk is {}", "full"));
    let [failure] = &failures[..] else {
        panic!("{failures:?}");
    };
    assert_eq!(
        (&failure.path[..], &failure.name[..]),
        ("root/child", "routine")
    );
    assert_eq!(failure.spawned_at.file(), file!());
    assert!(!failure.while_quitting);
    let FailureKind::Panic { message, place } = &failure.kind else {
        panic!("{failure:?}");
    };
    assert_eq!(message, "the disk is full");
    let place = place.as_deref().unwrap();
    assert!(
        place.starts_with(&format!("{}:{line}:", file!())),
        "{place}"
    );
    assert_eq!(
        cause.unwrap().to_string(),
        "routine 'routine' of root/child, which failed"
    );
}

#[test]
fn an_error_is_recorded_with_its_sources() {
    let (failures, cause) = failures_of(|_| {
        let inner = Wrapped("no space left", std::fmt::Error);
        Err::<(), _>(Wrapped("cannot flush", inner))
    });
    let sources = vec!["no space left".to_owned(), std::fmt::Error.to_string()];
    let message = "cannot flush".to_owned();
    assert_eq!(failures.len(), 1);
    assert_eq!(failures[0].kind, FailureKind::Error { message, sources });
    assert!(cause.is_some());
}

#[test]
fn a_failure_carries_the_number_and_place_of_its_routine() {
    let root = Quitter::root("root");
    let line = line!() + 1;
    let handle = root.add_routine(|_| Err::<(), _>("error")).unwrap();
    handle.wait(PATIENCE).unwrap();
    let failure = &root.failures()[0];
    assert_eq!((failure.id, failure.spawned_at.line()), (handle.id(), line));
}

#[test]
fn a_failure_during_the_quit_says_so() {
    let root = Quitter::root("root");
    root.add_routine(|q: &RoutineQuitter| {
        q.wait_quit();
        Err::<(), _>("flush failed")
    })
    .unwrap();
    root.quit_and_wait(PATIENCE).unwrap();
    assert!(root.failures()[0].while_quitting);
    assert!(matches!(
        root.quit_cause(),
        Some(QuitCause::SendQuit { .. })
    ));
}

#[test]
fn a_failure_is_there_when_the_wait_is_over() {
    for _ in 0..300 {
        let root = Quitter::root("root");
        let handle = root.add_routine(|_| Err::<(), _>("error")).unwrap();
        handle.wait(PATIENCE).unwrap();
        assert_eq!(root.failures().len(), 1);
        assert!(root.has_to_quit());
    }
}

#[test]
fn a_failure_quits_the_root_by_default() {
    let root = Quitter::root("root");
    let [a, b] = ["a", "b"].map(|name| root.child(name).unwrap());
    a.add_routine(|_| Err::<(), _>("error")).unwrap();
    root.wait_done(PATIENCE).unwrap();
    assert!(root.has_to_quit() && a.has_to_quit() && b.has_to_quit());
}

#[test]
fn a_failure_quits_its_own_quitter_where_asked() {
    let root = Quitter::root("root");
    let [a, b] = ["a", "b"].map(|name| root.child(name).unwrap());
    let below = a.child("below").unwrap();
    let panics = a.routine("fails").on_failure(OnFailure::QuitOwn);
    panics.add(|_| panic!("fails")).unwrap();
    root.wait_done(PATIENCE).unwrap();
    assert!(a.has_to_quit() && below.has_to_quit());
    assert!(!root.has_to_quit() && !b.has_to_quit());
    let Some(QuitCause::RoutineFailed { path, name, id }) = below.quit_cause() else {
        panic!("{below:?}");
    };
    assert_eq!((&path[..], &name[..]), ("root/a", "fails"));
    assert_eq!(root.failures().len(), 1);
    assert_eq!(root.failures()[0].id, id);
}

#[test]
fn a_failure_is_only_recorded_where_asked() {
    let root = Quitter::root("root");
    let child = root.child("child").unwrap();
    let fails = child.routine("fails").on_failure(OnFailure::FailAtExit);
    fails.add(|_| Err::<(), _>("error")).unwrap();
    root.wait_done(PATIENCE).unwrap();
    assert!(!child.has_to_quit());
    assert_eq!(
        root.failures()[0].to_string(),
        "routine 'fails' of root/child failed: error"
    );
}

#[test]
fn a_failure_that_is_reported_at_once_changes_nothing_else() {
    let root = Quitter::root("root");
    let child = root.child("child").unwrap();
    let fails = child.routine("fails").on_failure(OnFailure::Report);
    fails.add(|_| Err::<(), _>("connection reset")).unwrap();
    root.wait_done(PATIENCE).unwrap();
    assert!(!root.has_to_quit() && !child.has_to_quit());
    assert!(root.failures().is_empty(), "{:?}", root.failures());
}

#[test]
fn a_quitter_says_what_failures_do_here_and_below() {
    let root = Quitter::root("root");
    let server = root.child("server").unwrap();
    server.on_failure(OnFailure::QuitOwn);
    let below = server.child("a").unwrap().child("b").unwrap();
    let fail = |quitter: &Quitter| {
        let fails = quitter.add_routine(|_| Err::<(), _>("error")).unwrap();
        fails.wait(PATIENCE).unwrap();
    };
    fail(&below);
    assert!(below.has_to_quit() && !server.has_to_quit());
    fail(&server);
    assert!(server.has_to_quit() && !root.has_to_quit());
    fail(&root);
    assert!(root.has_to_quit());
}

#[test]
fn a_child_created_before_takes_over_what_failures_do() {
    let root = Quitter::root("root");
    let child = root.child("child").unwrap();
    root.on_failure(OnFailure::FailAtExit);
    child.add_routine(|_| Err::<(), _>("error")).unwrap();
    root.wait_done(PATIENCE).unwrap();
    assert!(!root.has_to_quit());
}

#[test]
fn what_a_routine_says_of_its_failure_takes_precedence() {
    let root = Quitter::root("root");
    root.on_failure(OnFailure::QuitMain);
    let child = root.child("child").unwrap();
    child.on_failure(OnFailure::QuitOwn);
    let fails = child.routine("fails").on_failure(OnFailure::FailAtExit);
    fails.add(|_| Err::<(), _>("error")).unwrap();
    root.wait_done(PATIENCE).unwrap();
    assert!(!root.has_to_quit() && !child.has_to_quit());
}

#[test]
fn threads_that_share_a_quitter_share_what_failures_do() {
    let root = Quitter::root("root");
    let child = root.child("child").unwrap();
    child.on_failure(OnFailure::FailAtExit);
    thread::scope(|threads| {
        for _ in 0..4 {
            threads.spawn(|| {
                for _ in 0..100 {
                    let below = child.child("below").unwrap();
                    let panicked = catch_unwind(AssertUnwindSafe(|| {
                        let _guards = [child.guard("here"), below.guard("below")];
                        std::panic::resume_unwind(Box::new("panic"));
                    }));
                    assert!(panicked.is_err());
                }
            });
        }
    });
    assert!(!root.has_to_quit() && !child.has_to_quit());
    assert_eq!(root.failures().len(), 800);
}

#[test]
fn failures_are_the_whole_trees_in_their_order() {
    let root = Quitter::root("root");
    let child = root.child("child").unwrap();
    for name in ["a", "b", "c"] {
        let fails = child.routine(name).on_failure(OnFailure::FailAtExit);
        fails
            .add(|_| Err::<(), _>("error"))
            .unwrap()
            .wait(PATIENCE)
            .unwrap();
    }
    let names: Vec<_> = child
        .failures()
        .into_iter()
        .map(|failure| failure.name)
        .collect();
    assert_eq!(names, ["a", "b", "c"]);
    assert_eq!(root.failures().len(), 3);
}

#[test]
fn returning_is_no_failure() {
    counts_as_returned(|_| {});
    counts_as_returned(|_| Ok::<_, String>(()));
    counts_as_returned(|_| Ok::<_, Quitting>(()));
}

#[test]
fn quitting_is_no_failure_bare() {
    counts_as_returned(|_| Err::<(), _>(Quitting));
}

#[test]
fn quitting_is_no_failure_after_a_real_quit() {
    fn flusher(q: &RoutineQuitter) -> Result<(), Quitting> {
        loop {
            q.sleep(Duration::MAX)?;
        }
    }
    let root = Quitter::root("root");
    root.add_routine(flusher).unwrap();
    root.quit_and_wait(PATIENCE).unwrap();
    assert!(root.failures().is_empty(), "{:?}", root.failures());
}

#[test]
fn quitting_is_no_failure_as_a_source() {
    counts_as_returned(|_| Err::<(), _>(Wrapped("outer", Wrapped("inner", Quitting))));
}

#[test]
fn quitting_is_no_failure_inside_an_io_error() {
    counts_as_returned(|_| Err::<(), _>(std::io::Error::other(Quitting)));
    let inner = || std::io::Error::new(std::io::ErrorKind::Interrupted, Quitting);
    counts_as_returned(move |_| Err::<(), _>(Wrapped("outer", inner())));
}

#[test]
fn quitting_is_no_failure_inside_anyhow() {
    use anyhow::Context;
    counts_as_returned(|_| Err::<(), _>(anyhow::Error::new(Quitting)));
    counts_as_returned(|_| {
        Err::<(), _>(Quitting)
            .context("flushing")
            .context("at the end")
    });
}

#[test]
fn quitting_is_no_failure_boxed() {
    use std::error::Error;
    counts_as_returned(|_| Err::<(), _>(Box::<dyn Error + Send + Sync>::from(Quitting)));
    let boxed = || -> Box<dyn Error + Send + Sync> { Wrapped("outer", Quitting).into() };
    counts_as_returned(move |_| Err::<(), _>(boxed()));
}

#[test]
fn being_refused_because_of_the_quit_is_no_failure() {
    counts_as_returned(|_| Err::<(), _>(AddRoutineError::Quitting));
    counts_as_returned(|_| Err::<(), _>(Wrapped("outer", AddRoutineError::Quitting)));
    let root = Quitter::root("root");
    root.add_routine(|q: &RoutineQuitter| {
        q.wait_quit();
        q.add_routine(|_| {}).map(drop)
    })
    .unwrap();
    root.quit_and_wait(PATIENCE).unwrap();
    assert!(root.failures().is_empty(), "{:?}", root.failures());
}

#[test]
fn an_error_that_only_sounds_like_quitting_is_a_failure() {
    let (failures, _) = failures_of(|_| Err::<(), _>(Quitting.to_string()));
    assert_eq!(failures.len(), 1);
}

#[test]
fn closures_and_functions_that_never_return_are_routines() {
    fn forever(q: &RoutineQuitter) -> ! {
        q.wait_quit();
        panic!("had to quit")
    }
    let root = Quitter::root("root");
    let never = root.add_routine(forever).unwrap();
    root.routine("never")
        .add(|q: &RoutineQuitter| -> ! {
            q.wait_quit();
            panic!("closure had to quit")
        })
        .unwrap();
    assert_eq!(never.name(), "forever");
    root.quit_and_wait(PATIENCE).unwrap();
    let mut texts: Vec<_> = root.failures().into_iter().map(|f| f.name).collect();
    texts.sort();
    assert_eq!(texts, ["forever", "never"]);
}

#[test]
fn a_panic_in_the_drop_of_a_captured_value_is_recorded() {
    let bomb = Bomb("captured");
    let (failures, _) = failures_of(move |_| {
        let _captured = &bomb;
    });
    let FailureKind::Panic { message, place } = &failures[0].kind else {
        panic!("{failures:?}");
    };
    assert_eq!((&message[..], place.is_some()), ("captured", true));
}

#[test]
fn a_panic_in_the_drop_of_a_panics_payload_does_not_hide_the_first_panic() {
    let (failures, cause) = failures_of(|_| std::panic::panic_any(Bomb("payload")));
    let FailureKind::Panic { message, .. } = &failures[0].kind else {
        panic!("{failures:?}");
    };
    assert_eq!(message, "a value that is not a string");
    assert!(cause.is_some());
}

#[test]
fn a_panic_in_the_drop_of_a_panics_payload_leaves_the_first_place() {
    let line = line!() + 1;
    let (failures, _) = failures_of(|_| std::panic::panic_any(Bomb("payload")));
    let FailureKind::Panic { place, .. } = &failures[0].kind else {
        panic!("{failures:?}");
    };
    let place = place.as_deref().expect("the hook was told the place");
    assert!(
        place.starts_with(&format!("{}:{line}:", file!())),
        "{place}"
    );
}

#[test]
fn a_panic_in_the_text_or_drop_of_an_error_is_recorded() {
    #[derive(Debug)]
    struct Unspeakable;
    impl std::fmt::Display for Unspeakable {
        fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            panic!("unspeakable")
        }
    }
    impl std::error::Error for Unspeakable {}
    let (failures, _) = failures_of(|_| Err::<(), _>(Unspeakable));
    assert!(
        failures[0].to_string().contains("unspeakable"),
        "{failures:?}"
    );
}

#[test]
fn a_panic_that_passes_the_hook_by_has_its_message_and_no_place() {
    let (failures, _) = failures_of(|_| {
        assert!(catch_unwind(|| panic!("caught inside")).is_err());
        std::panic::resume_unwind(Box::new("resumed"))
    });
    let (message, place) = ("resumed".to_owned(), None);
    assert_eq!(failures[0].kind, FailureKind::Panic { message, place });
}

#[test]
fn a_resumed_panic_of_another_type_does_not_take_an_earlier_place() {
    let (failures, _) = failures_of(|_| {
        assert!(catch_unwind(|| std::panic::panic_any(1_u8)).is_err());
        std::panic::resume_unwind(Box::new(2_u16))
    });
    assert!(
        matches!(&failures[0].kind, FailureKind::Panic { place: None, .. }),
        "{failures:?}"
    );
}

#[test]
fn a_resumed_panic_with_the_text_of_an_earlier_one_does_not_take_its_place() {
    let (failures, _) = failures_of(|_| {
        let text = "twice".to_owned();
        let caught = catch_unwind(|| panic!("{text}"));
        assert!(caught.is_err());
        std::panic::resume_unwind(Box::new(text))
    });
    let (message, place) = ("twice".to_owned(), None);
    assert_eq!(failures[0].kind, FailureKind::Panic { message, place });
}

#[test]
fn a_caught_panic_that_is_resumed_keeps_its_place() {
    let line = line!() + 3;
    let (failures, _) = failures_of(|_| {
        let text = "resumed";
        let caught = catch_unwind(|| panic!("{text}"));
        std::panic::resume_unwind(caught.unwrap_err());
    });
    let FailureKind::Panic { place, .. } = &failures[0].kind else {
        panic!("{failures:?}");
    };
    let place = place
        .as_deref()
        .expect("the panic is the one that the hook saw");
    assert!(place.contains(&format!(":{line}:")), "{place}");
}

#[test]
fn a_guard_that_sleeps_after_a_caught_panic_does_not_tell_of_it() {
    let root = Quitter::root("root");
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        let guard = root.guard("guard").unwrap();
        assert!(catch_unwind(|| panic!("long over")).is_err());
        guard.sleep(Duration::ZERO).unwrap();
        std::panic::resume_unwind(Box::new("another"));
    }));
    assert!(panicked.is_err());
    let failure = root.failures()[0].to_string();
    assert!(!failure.contains("long over"), "{failure}");
}

#[test]
fn a_guard_dropped_by_a_panic_records_it() {
    let root = Quitter::root("root");
    let line = line!() + 3;
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        let _guard = root.guard("request").unwrap();
        panic!("in the request");
    }));
    assert!(panicked.is_err());
    root.wait_done(Duration::ZERO).unwrap();
    assert!(root.has_to_quit());
    let failure = &root.failures()[0];
    let FailureKind::Panic { message, place } = &failure.kind else {
        panic!("{failure:?}");
    };
    assert_eq!(
        (&failure.name[..], &message[..]),
        ("request", "in the request")
    );
    let place = place.as_deref().unwrap();
    assert!(
        place.starts_with(&format!("{}:{line}:", file!())),
        "{place}"
    );
}

/// Asserts that these are two panics with this message, each with its place.
#[track_caller]
fn two_panics(failures: &[quitter_core::RoutineFailure], wanted: &str) {
    assert_eq!(failures.len(), 2);
    for failure in failures {
        let FailureKind::Panic { message, place } = &failure.kind else {
            panic!("{failure:?}");
        };
        assert_eq!(message, wanted, "{failure}");
        assert!(place.is_some(), "{failure}");
    }
}

#[test]
fn every_guard_that_a_panic_drops_records_message_and_place() {
    let root = Quitter::root("root");
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        let guard = |name| {
            let guarded = root.routine(name).on_failure(OnFailure::FailAtExit);
            guarded.guard().unwrap()
        };
        let _guards = [guard("outer"), guard("inner")];
        panic!("in the request");
    }));
    assert!(panicked.is_err());
    two_panics(&root.failures(), "in the request");
}

#[test]
fn a_routine_that_panics_while_it_holds_a_guard_keeps_the_place_too() {
    let (failures, _) = failures_of(|q: &RoutineQuitter| {
        let _guard = q.guard("guard").unwrap();
        panic!("both fail");
    });
    two_panics(&failures, "both fail");
}

#[test]
fn a_guard_does_not_tell_of_a_panic_that_was_over_before_it_was_made() {
    let root = Quitter::root("root");
    let panicked = thread::spawn({
        let root = root.clone();
        move || {
            assert!(catch_unwind(|| panic!("long over")).is_err());
            let _guard = root.guard("guard").unwrap();
            std::panic::resume_unwind(Box::new("from another thread"));
        }
    });
    assert!(panicked.join().is_err());
    let failure = root.failures()[0].to_string();
    assert!(!failure.contains("long over"), "{failure}");
}

#[test]
fn a_guard_that_is_dropped_in_peace_records_nothing() {
    let root = Quitter::root("root");
    drop(root.guard("guard").unwrap());
    assert!(root.failures().is_empty());
    assert!(!root.has_to_quit());
}

#[test]
fn a_guard_made_during_an_unwinding_records_the_panic_of_a_thread_that_it_is_moved_to() {
    struct Cleanup(Quitter);
    impl Drop for Cleanup {
        fn drop(&mut self) {
            let guard = self.0.guard("moved").unwrap();
            let panics = thread::spawn(move || {
                let _guard = guard;
                panic!("on the other thread");
            });
            assert!(panics.join().is_err());
        }
    }
    let root = Quitter::root("root");
    let cleanup = Cleanup(root.clone());
    let panicked = catch_unwind(AssertUnwindSafe(move || {
        let _cleanup = cleanup;
        panic!("elsewhere");
    }));
    assert!(panicked.is_err());
    let failures = root.failures();
    assert_eq!(failures.len(), 1, "{failures:?}");
    assert!(
        failures[0].to_string().contains("on the other thread"),
        "{failures:?}"
    );
}

#[test]
fn a_guard_made_and_dropped_during_an_unwinding_records_nothing() {
    struct Cleanup(Quitter);
    impl Drop for Cleanup {
        fn drop(&mut self) {
            let _guard = self.0.guard("cleanup").unwrap();
        }
    }
    let root = Quitter::root("root");
    let cleanup = Cleanup(root.clone());
    let panicked = catch_unwind(AssertUnwindSafe(move || {
        let _cleanup = cleanup;
        panic!("elsewhere");
    }));
    assert!(panicked.is_err());
    assert!(root.failures().is_empty(), "{:?}", root.failures());
}

#[test]
fn a_guard_made_during_an_unwinding_does_not_hide_the_panic_from_those_that_it_drops() {
    struct Cleanup(Quitter);
    impl Drop for Cleanup {
        fn drop(&mut self) {
            let _guard = self.0.guard("cleanup").unwrap();
        }
    }
    let root = Quitter::root("root");
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        let _guard = root.guard("request").unwrap();
        let _cleanup = Cleanup(root.clone());
        panic!("in the request");
    }));
    assert!(panicked.is_err());
    let failures = root.failures();
    assert_eq!(failures.len(), 1, "{failures:?}");
    let FailureKind::Panic { message, place } = &failures[0].kind else {
        panic!("{failures:?}");
    };
    assert_eq!((&message[..], place.is_some()), ("in the request", true));
}
