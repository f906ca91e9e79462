use super::*;

/// Threads make guards until they are refused, while another thread quits and waits.
#[test]
fn a_guard_is_refused_or_seen_by_a_wait_that_starts_after_the_quit() {
    for _ in 0..200 {
        let root = Quitter::root("root");
        let child = root.child("child").unwrap();
        let start = Arc::new(Barrier::new(3));
        let adders = [root.clone(), child].map(|quitter| {
            let start = Arc::clone(&start);
            thread::spawn(move || {
                start.wait();
                let guards = std::iter::from_fn(|| quitter.guard("guard").ok());
                guards.take(FOR_EVER).collect::<Vec<_>>()
            })
        });
        start.wait();
        root.send_quit();
        let seen = root.wait_done(Duration::ZERO);
        let admitted: Vec<RoutineGuard> = adders
            .into_iter()
            .flat_map(|adder| adder.join().unwrap())
            .collect();
        let mut seen = seen.map_or_else(|timeouts| ids(&timeouts), |()| Vec::new());
        let mut admitted: Vec<u64> = admitted.iter().map(|guard| guard.id()).collect();
        seen.sort_unstable();
        admitted.sort_unstable();
        assert_eq!(seen, admitted);
    }
}

#[test]
fn an_accepted_routine_has_run_when_the_wait_is_over_and_a_refused_one_never_runs() {
    for _ in 0..200 {
        let root = Quitter::root("root");
        let ran = Arc::new(AtomicUsize::new(0));
        let start = Arc::new(Barrier::new(2));
        let adder = {
            let (root, ran, start) = (root.clone(), Arc::clone(&ran), Arc::clone(&start));
            thread::spawn(move || {
                start.wait();
                let add = || {
                    let ran = Arc::clone(&ran);
                    root.add_routine(move |_| {
                        ran.fetch_add(1, Ordering::SeqCst);
                    })
                };
                std::iter::from_fn(|| add().ok()).take(20).count()
            })
        };
        start.wait();
        root.quit_and_wait(PATIENCE).unwrap();
        let by_then = ran.load(Ordering::SeqCst);
        assert_eq!(by_then, adder.join().unwrap());
        assert_eq!(ran.load(Ordering::SeqCst), by_then);
    }
}

#[test]
fn a_refused_closure_is_dropped() {
    let root = Quitter::root("root");
    root.send_quit();
    let told = Told(Event::new());
    let dropped = told.0.clone();
    let refused = root.add_routine(move |_| drop(told)).unwrap_err();
    assert!(matches!(refused, AddRoutineError::Quitting));
    dropped.wait();
}
