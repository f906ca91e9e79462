use super::*;

#[test]
fn a_handle_tells_number_name_and_end() {
    let root = Quitter::root("root");
    let (handle, end) = deaf(&root, "deaf");
    assert_eq!(handle.name(), "deaf");
    assert!(!handle.is_finished());
    assert_eq!(
        ids(&root.wait_done(Duration::ZERO).unwrap_err()),
        [handle.id()]
    );
    end.set();
    handle.wait(PATIENCE).unwrap();
    assert!(handle.is_finished());
}

#[test]
fn a_handles_wait_lists_its_routine_alone() {
    let root = Quitter::root("root");
    let child = root.child("child").unwrap();
    let (handle, end) = deaf(&child, "deaf");
    let _other = child.guard("other").unwrap();
    for timeout in [Duration::ZERO, SHORT] {
        let timeouts = handle.wait(timeout).unwrap_err();
        assert_eq!(paths(&timeouts), ["root/child"]);
        assert_eq!(ids(&timeouts), [handle.id()]);
        assert!(timeouts.after() >= timeout);
    }
    end.set();
    handle.wait(PATIENCE).unwrap();
    assert!(!child.has_to_quit());
}

#[test]
fn a_handles_wait_does_not_wait_for_others() {
    let root = Quitter::root("root");
    let _others = [0, 1, 2].map(|_| root.guard("other").unwrap());
    let handle = root.add_routine(|_| {}).unwrap();
    handle.wait(PATIENCE).unwrap();
    handle.wait(Duration::ZERO).unwrap();
}

#[test]
fn dropping_a_handle_detaches_its_routine() {
    let root = Quitter::root("root");
    let (handle, end) = deaf(&root, "deaf");
    let id = handle.id();
    drop(handle);
    assert_eq!(ids(&root.wait_done(SHORT).unwrap_err()), [id]);
    end.set();
    root.wait_done(PATIENCE).unwrap();
}

#[test]
fn a_parked_routine_is_woken_by_its_handle() {
    let root = Quitter::root("root");
    let ready = Arc::new(AtomicBool::new(false));
    let is_ready = Arc::clone(&ready);
    let parked = root
        .add_routine(move |_| {
            while !is_ready.load(Ordering::SeqCst) {
                thread::park();
            }
        })
        .unwrap();
    ready.store(true, Ordering::SeqCst);
    parked.unpark();
    parked.wait(PATIENCE).unwrap();
    parked.unpark();
}

#[test]
fn a_sleep_is_not_ended_by_an_unpark() {
    let root = Quitter::root("root");
    let sleeps = root.add_routine(|q| q.sleep(Duration::MAX)).unwrap();
    for _ in 0..100 {
        sleeps.unpark();
    }
    assert!(sleeps.wait(Duration::from_millis(20)).is_err());
    root.quit_and_wait(PATIENCE).unwrap();
}

#[test]
fn a_panicked_routine_is_finished() {
    let root = Quitter::root("root");
    let handle = root.add_routine(|_| panic!("over")).unwrap();
    handle.wait(PATIENCE).unwrap();
    assert!(handle.is_finished());
}

#[test]
fn numbers_are_unique_over_all_trees() {
    let ids: Vec<_> = (0..100)
        .map(|_| Quitter::root("root").guard("guard").unwrap().id())
        .collect();
    let mut unique = ids.clone();
    unique.sort_unstable();
    unique.dedup();
    assert_eq!(unique, ids);
}

#[test]
fn a_guard_is_what_a_routine_sees_of_its_quitter() {
    let root = Quitter::root("root");
    let guard = root.guard("guard").unwrap();
    let as_routine: &RoutineQuitter = &guard;
    assert_eq!(
        (as_routine.name(), guard.path()),
        ("guard", "root".to_owned())
    );
    assert!(!guard.has_to_quit());
    let beside = guard.guard("beside").unwrap();
    assert_ne!(guard.id(), beside.id());
    assert_eq!(guard.child("child").unwrap().path(), "root/child");
    let (send, forked) = mpsc::channel();
    guard
        .add_routine(move |q: &RoutineQuitter| send.send(q.path()).unwrap())
        .unwrap();
    assert_eq!(forked.recv_timeout(PATIENCE).unwrap(), "root");
    root.send_quit();
    assert!(guard.has_to_quit());
    assert_eq!(guard.guard("late").unwrap_err(), Quitting);
    assert_eq!(guard.child("late").unwrap_err(), Quitting);
    assert!(guard.add_routine(|_| {}).unwrap_err().is_quitting());
}

/// This lets a report show where the job hangs.
#[test]
fn a_guard_that_runs_a_job_is_the_thread_that_does_it() {
    let root = Quitter::root("root");
    let kind = |root: &Quitter| root.snapshot().routines().next().unwrap().kind;
    let job = root.guard("job").unwrap();
    assert_eq!(kind(&root), RoutineKind::Guard);
    job.run(|_| {
        let runs = |os_id: u64| os_id != 0;
        assert!(matches!(kind(&root), RoutineKind::Thread { os_id } if runs(os_id)));
    });
    assert!(root.failures().is_empty());
}

#[test]
fn a_worker_waits_for_the_job_that_a_guard_runs_on_its_thread() {
    let root = Quitter::root("root");
    let (begun, end) = (Event::new(), Event::new());
    let (begins, ends) = (begun.clone(), end.clone());
    let (done, after) = (Event::new(), Event::new());
    let (is_done, goes_on) = (done.clone(), after.clone());
    root.routine("worker")
        .add(move |q| {
            let job = q.guard("job").unwrap();
            job.run(|_| {
                begins.set();
                ends.wait();
            });
            is_done.set();
            goes_on.wait();
        })
        .unwrap();
    let seen = || {
        let snapshot = root.snapshot();
        let seen = snapshot.routines().map(|routine| {
            let RoutineKind::Thread { os_id } = routine.kind else {
                panic!("{routine:?}");
            };
            (routine.name.clone(), routine.state, os_id != 0)
        });
        seen.collect::<Vec<_>>()
    };
    begun.wait();
    let worker = ("worker".to_owned(), RoutineState::Waiting, false);
    let job = ("job".to_owned(), RoutineState::Running, true);
    assert_eq!(seen(), [worker, job]);
    end.set();
    done.wait();
    let worker = ("worker".to_owned(), RoutineState::Running, true);
    assert_eq!(seen(), [worker]);
    after.set();
    root.wait_done(PATIENCE).unwrap();
}

#[test]
fn a_guard_may_end_on_another_thread() {
    let root = Quitter::root("root");
    let guard = root.guard("guard").unwrap();
    thread::spawn(move || drop(guard)).join().unwrap();
    root.wait_done(Duration::ZERO).unwrap();
}

#[test]
fn a_clone_of_a_quitter_is_the_same_quitter() {
    let root = Quitter::root("root");
    let clone = root.clone();
    let guard = clone.guard("guard").unwrap();
    assert_eq!(
        ids(&root.wait_done(Duration::ZERO).unwrap_err()),
        [guard.id()]
    );
    clone.send_quit();
    assert!(root.has_to_quit());
}

#[test]
fn debug_texts_tell_who_it_is() {
    let root = Quitter::root("root");
    let child = root.child("child").unwrap();
    let guard = child.guard("worker").unwrap();
    let text = format!("{child:?} {guard:?}");
    assert!(
        text.contains("root/child") && text.contains("worker"),
        "{text}"
    );
    assert!(text.contains("has_to_quit: false"), "{text}");
}
