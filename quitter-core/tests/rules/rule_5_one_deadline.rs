use super::*;

/// Far less than the longer timeouts in these tests, and far more than a busy machine adds.
const SOON: Duration = Duration::from_secs(5);

#[test]
fn a_wait_ends_at_its_timeout_and_not_before() {
    let root = Quitter::root("root");
    let _guard = root.guard("guard").unwrap();
    let from = Instant::now();
    assert!(root.wait_done(SHORT).is_err());
    assert!(from.elapsed() >= SHORT);
    assert!(from.elapsed() < SOON);
}

#[test]
fn routines_see_the_deadline_of_quit_and_wait() {
    let root = Quitter::root("root");
    let child = root.child("child").unwrap();
    let (send, seen) = mpsc::channel();
    child
        .add_routine(move |q: &RoutineQuitter| {
            send.send(q.deadline()).unwrap();
            q.wait_quit();
            send.send(q.deadline()).unwrap();
        })
        .unwrap();
    assert_eq!(seen.recv_timeout(PATIENCE), Ok(None));
    let from = Instant::now();
    root.quit_and_wait(PATIENCE).unwrap();
    let deadline = seen.recv().unwrap().unwrap();
    assert!(deadline >= from + PATIENCE && deadline <= Instant::now() + PATIENCE);
    assert_eq!(root.deadline(), Some(deadline));
    assert_eq!(child.deadline(), Some(deadline));
}

#[test]
fn send_quit_sets_no_deadline() {
    let root = Quitter::root("root");
    root.send_quit();
    assert_eq!(root.deadline(), None);
}

#[test]
fn the_earliest_deadline_counts_whichever_comes_first() {
    let hour = Duration::from_secs(3600);
    for timeouts in [[hour, 2 * hour], [2 * hour, hour]] {
        let root = Quitter::root("root");
        let child = root.child("child").unwrap();
        let from = Instant::now();
        for timeout in timeouts {
            root.quit_and_wait(timeout).unwrap();
        }
        for quitter in [&root, &child] {
            let deadline = quitter.deadline().unwrap();
            assert!(deadline >= from + hour && deadline < from + hour + SOON);
        }
    }
}

#[test]
fn a_childs_deadline_is_the_earlier_of_its_own_and_the_one_above() {
    let hour = Duration::from_secs(3600);
    for (of_child, of_root) in [(hour, 2 * hour), (2 * hour, hour)] {
        let root = Quitter::root("root");
        let child = root.child("child").unwrap();
        let guard = child.child("below").unwrap().guard("guard").unwrap();
        drop(thread::spawn(move || child.quit_and_wait(of_child)));
        in_time({
            let guard = (*guard).clone();
            move || guard.wait_quit()
        });
        drop(thread::spawn({
            let root = root.clone();
            move || root.quit_and_wait(of_root)
        }));
        in_time({
            let root = root.clone();
            move || root.wait_quit()
        });
        let in_an_hour = Instant::now() + hour;
        let deadline = guard.deadline().unwrap();
        assert!(deadline <= in_an_hour && deadline > in_an_hour - SOON);
    }
}

#[test]
fn a_wait_that_runs_ends_by_an_earlier_deadline_set_above() {
    let root = Quitter::root("root");
    let child = root.child("child").unwrap();
    let guard = child.child("below").unwrap().guard("guard").unwrap();
    let inner = thread::spawn(move || (child.quit_and_wait(6 * PATIENCE), Instant::now()));
    in_time({
        let guard = (*guard).clone();
        move || guard.wait_quit()
    });
    let from = Instant::now();
    assert!(root.quit_and_wait(SHORT).is_err());
    let (timeouts, at) = inner.join().unwrap();
    assert_eq!(ids(&timeouts.unwrap_err()), [guard.id()]);
    assert!(at >= from + SHORT && at < from + SOON);
}

#[test]
fn a_plain_wait_that_runs_ends_by_the_deadline_of_a_quit() {
    let root = Quitter::root("root");
    let (handle, end) = deaf(&root, "deaf");
    let waiter = {
        let root = root.clone();
        asleep_in(move || root.wait_done(6 * PATIENCE))
    };
    let from = Instant::now();
    assert!(root.quit_and_wait(SHORT).is_err());
    assert_eq!(ids(&waiter.join().unwrap().unwrap_err()), [handle.id()]);
    assert!(from.elapsed() < SOON);
    end.set();
}

#[test]
fn supervisors_at_every_level_share_the_deadline_of_the_top() {
    const LEVELS: usize = 20;
    let root = Quitter::root("root");
    let stuck = Event::new();
    let mut quitter = root.clone();
    for _ in 0..LEVELS {
        let child = quitter.child("child").unwrap();
        let below = child.clone();
        quitter
            .routine("supervisor")
            .on_failure(OnFailure::FailAtExit)
            .add(move |q: &RoutineQuitter| {
                q.wait_quit();
                below.quit_and_wait(6 * PATIENCE)
            })
            .unwrap();
        quitter = child;
    }
    let deaf = {
        let stuck = stuck.clone();
        quitter.routine("deaf").add(move |_| stuck.wait()).unwrap()
    };
    let from = Instant::now();
    let timeouts = root.quit_and_wait(SHORT).unwrap_err();
    assert!(from.elapsed() < SOON);
    assert_eq!(ids(&timeouts)[0], deaf.id());
    eventually(|| root.failures().len() == LEVELS);
    assert!(from.elapsed() < SOON);
    stuck.set();
}

#[test]
fn waits_from_many_threads_at_once_end_by_one_deadline() {
    let root = Quitter::root("root");
    let guard = root.child("child").unwrap().guard("guard").unwrap();
    let from = Instant::now();
    let waiters: Vec<_> = (0..20)
        .map(|_| root.clone())
        .map(|root| thread::spawn(move || root.quit_and_wait(2 * SHORT)))
        .collect();
    for waiter in waiters {
        assert_eq!(ids(&waiter.join().unwrap().unwrap_err()), [guard.id()]);
    }
    assert!(from.elapsed() < SOON);
}

#[test]
fn a_wait_over_ten_thousand_stuck_routines_ends_by_its_deadline_and_lists_them_all() {
    let root = Quitter::root("root");
    let guards: Vec<_> = (0..10_000)
        .map(|_| root.child("child").unwrap().guard("guard").unwrap())
        .collect();
    let from = Instant::now();
    let timeouts = root.quit_and_wait(SHORT).unwrap_err();
    assert!(from.elapsed() < SOON);
    let wanted: Vec<_> = guards.iter().map(|guard| guard.id()).collect();
    assert_eq!(ids(&timeouts), wanted);
}

/// As in a server with many idle connections and some short work now and then.
#[test]
fn a_wait_over_a_large_tree_in_which_work_comes_and_goes_ends_by_its_deadline() {
    let root = Quitter::root("root");
    let _idle: Vec<_> = (0..100_000).map(|_| root.child("idle").unwrap()).collect();
    let over = Arc::new(AtomicBool::new(false));
    let worker = {
        let (over, child) = (Arc::clone(&over), root.child("busy").unwrap());
        thread::spawn(move || {
            while !over.load(Ordering::Relaxed) {
                drop(child.guard("short").unwrap());
                thread::sleep(Duration::from_millis(1));
            }
        })
    };
    let (send, waited) = mpsc::channel();
    let from = Instant::now();
    drop(thread::spawn(move || send.send(root.wait_done(SHORT))));
    let in_time = waited.recv_timeout(SOON);
    over.store(true, Ordering::Relaxed);
    worker.join().unwrap();
    assert!(in_time.is_ok(), "still waiting after {:?}", from.elapsed());
}

#[test]
fn the_longest_durations_overflow_nothing() {
    for long in [Duration::MAX, Duration::MAX / 2, Duration::MAX / 4] {
        let root = Quitter::root("root");
        let start = Arc::new(Barrier::new(5));
        let sleepers: [fn(&RoutineQuitter, Duration); 4] = [
            |q, long| assert_eq!(q.sleep(long), Err(Quitting)),
            |q, long| assert_eq!(q.ticks(long).next(), None),
            |q, long| assert_eq!(q.ticks(long).count(), 0),
            |q, _| q.wait_quit(),
        ];
        for sleeper in sleepers {
            let start = Arc::clone(&start);
            root.add_routine(move |q: &RoutineQuitter| {
                start.wait();
                sleeper(q, long);
            })
            .unwrap();
        }
        let whole = root.clone();
        let waiter = thread::spawn(move || whole.wait_done(long));
        start.wait();
        let whole = root.clone();
        in_time(move || whole.quit_and_wait(long)).unwrap();
        waiter.join().unwrap().unwrap();
        let handle = in_time(move || {
            let root = Quitter::root("root");
            let handle = root.add_routine(|_| {}).unwrap();
            handle.wait(long).unwrap();
            handle
        });
        assert!(handle.is_finished());
        assert!(root.failures().is_empty(), "{:?}", root.failures());
    }
}

#[test]
fn after_a_wait_has_timed_out_one_can_wait_again() {
    let root = Quitter::root("root");
    let child = root.child("child").unwrap();
    let (release, released) = mpsc::channel::<()>();
    let handle = child
        .add_routine(move |_| {
            let _ = released.recv();
        })
        .unwrap();
    assert!(child.quit_and_wait(SHORT).is_err());
    assert!(root.quit_and_wait(SHORT).is_err());
    let waits = [
        thread::spawn({
            let root = root.clone();
            move || root.wait_done(PATIENCE)
        }),
        thread::spawn(move || child.wait_done(PATIENCE)),
        thread::spawn(move || handle.wait(PATIENCE)),
    ];
    // Each wait would have timed out by now if past deadlines counted.
    assert!(root.wait_done(SHORT).is_err());
    drop(release);
    for wait in waits {
        wait.join().unwrap().unwrap();
    }
}

#[test]
fn duration_max_is_no_deadline() {
    let root = Quitter::root("root");
    root.quit_and_wait(Duration::MAX).unwrap();
    assert_eq!(root.deadline(), None);
}
