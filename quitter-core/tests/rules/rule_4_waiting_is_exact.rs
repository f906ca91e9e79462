use super::*;

#[test]
fn timeout_zero_is_one_honest_look() {
    let root = Quitter::root("root");
    root.wait_done(Duration::ZERO).unwrap();
    let guard = root.guard("guard").unwrap();
    assert_eq!(
        ids(&root.wait_done(Duration::ZERO).unwrap_err()),
        [guard.id()]
    );
    drop(guard);
    root.wait_done(Duration::ZERO).unwrap();
}

#[test]
fn a_wait_ends_when_the_last_routine_returns() {
    let root = Quitter::root("root");
    let (_, end) = deaf(&root.child("child").unwrap(), "deaf");
    let waiter = asleep_in(move || root.wait_done(6 * PATIENCE));
    end.set();
    in_time(move || waiter.join().unwrap()).unwrap();
}

#[test]
fn a_wait_without_a_quit_quits_nothing() {
    let root = Quitter::root("root");
    let _guard = root.guard("guard").unwrap();
    assert!(root.wait_done(SHORT).is_err());
    assert!(!root.has_to_quit());
    assert_eq!(root.deadline(), None);
}

/// Waits with a zero timeout, again and again, while a guard is always live somewhere: `hop` makes each guard
/// before the previous one is dropped. No wait may find nothing.
fn every_look_sees_the_guard(
    root: &Quitter,
    mut hop: impl FnMut() -> RoutineGuard + Send + 'static,
) {
    let over = Arc::new(AtomicBool::new(false));
    let mut guard = hop();
    let runner = {
        let over = Arc::clone(&over);
        thread::spawn(move || {
            while !over.load(Ordering::SeqCst) {
                drop(std::mem::replace(&mut guard, hop()));
            }
        })
    };
    // On a busy machine, the two threads seldom run at once, so the test also runs for some time.
    let until = Instant::now() + Duration::from_millis(800);
    let mut looks = 0;
    while looks < 1_000 || Instant::now() < until {
        assert!(
            root.wait_done(Duration::ZERO).is_err(),
            "look {looks} saw nothing"
        );
        looks += 1;
    }
    over.store(true, Ordering::SeqCst);
    runner.join().unwrap();
    root.wait_done(Duration::ZERO).unwrap();
}

/// Makes so many quitters that the guard moves several times while a wait walks over them.
fn homes(root: &Quitter) -> Vec<Quitter> {
    (0..100).map(|_| root.child("home").unwrap()).collect()
}

#[test]
fn a_look_sees_work_that_moves_from_quitter_to_quitter() {
    let root = Quitter::root("root");
    let (homes, mut rng) = (homes(&root), fastrand::Rng::with_seed(7));
    every_look_sees_the_guard(&root, move || {
        homes[rng.usize(..homes.len())].guard("work").unwrap()
    });
}

#[test]
fn a_look_sees_work_that_moves_through_children_that_come_and_go() {
    let root = Quitter::root("root");
    let (homes, mut rng) = (homes(&root), fastrand::Rng::with_seed(7));
    every_look_sees_the_guard(&root, move || {
        let passing = homes[rng.usize(..homes.len())].child("passing").unwrap();
        passing.guard("work").unwrap()
    });
}

/// Each routine starts the next one elsewhere in the tree, and returns.
#[test]
fn a_wait_is_not_over_while_routines_fork_their_successors_elsewhere() {
    fn relay(to: Arc<[Quitter; 3]>, left: usize, over: Arc<AtomicBool>) {
        let next = to[left % 3].clone();
        next.add_routine(move |_| match left {
            0 => over.store(true, Ordering::SeqCst),
            _ => relay(to, left - 1, over),
        })
        .unwrap();
    }
    let root = Quitter::root("root");
    let homes = ["a", "b", "c"].map(|name| root.child(name).unwrap());
    let over = Arc::new(AtomicBool::new(false));
    relay(Arc::new(homes), 500, Arc::clone(&over));
    let waiters = [0, 1, 2].map(|_| {
        let (root, over) = (root.clone(), Arc::clone(&over));
        thread::spawn(move || {
            root.wait_done(PATIENCE).unwrap();
            assert!(over.load(Ordering::SeqCst));
        })
    });
    for waiter in waiters {
        waiter.join().unwrap();
    }
}

/// The guard is dropped at about the deadline. Whichever answer comes, it must be true.
#[test]
fn at_the_deadline_the_answer_is_done_or_the_routine_that_was_live() {
    for _ in 0..300 {
        let root = Quitter::root("root");
        let guard = root.guard("guard").unwrap();
        let id = guard.id();
        let going = Arc::new(AtomicBool::new(false));
        let until = Instant::now() + Duration::from_micros(200);
        let dropper = {
            let going = Arc::clone(&going);
            thread::spawn(move || {
                while Instant::now() < until {
                    std::hint::spin_loop();
                }
                going.store(true, Ordering::SeqCst);
                drop(guard);
            })
        };
        match root.wait_done(until.saturating_duration_since(Instant::now())) {
            Ok(()) => assert!(going.load(Ordering::SeqCst)),
            Err(timeouts) => assert_eq!(ids(&timeouts), [id]),
        }
        dropper.join().unwrap();
    }
}

#[test]
fn done_wins_over_a_deadline_that_is_long_past() {
    let root = Quitter::root("root");
    let guard = root.guard("guard").unwrap();
    assert!(root.quit_and_wait(Duration::ZERO).is_err());
    drop(guard);
    for _ in 0..1000 {
        root.quit_and_wait(Duration::ZERO).unwrap();
        root.wait_done(Duration::ZERO).unwrap();
    }
}

#[test]
fn an_idle_quitter_gets_new_routines_and_is_waited_for_again() {
    let root = Quitter::root("root");
    for _ in 0..3 {
        root.wait_done(PATIENCE).unwrap();
        let (handle, end) = deaf(&root, "deaf");
        assert_eq!(ids(&root.wait_done(SHORT).unwrap_err()), [handle.id()]);
        end.set();
        root.wait_done(PATIENCE).unwrap();
        assert!(handle.is_finished());
    }
}

#[test]
fn a_wait_called_by_a_routine_leaves_it_out() {
    let root = Quitter::root("root");
    let whole = root.clone();
    let (send, waited) = mpsc::channel();
    root.child("child")
        .unwrap()
        .add_routine(move |_| {
            let alone = whole.wait_done(Duration::ZERO);
            let other = whole.guard("other").unwrap();
            let with_other = whole.wait_done(Duration::ZERO);
            send.send((alone, with_other, other.id())).unwrap();
        })
        .unwrap();
    let (alone, with_other, other) = waited.recv_timeout(PATIENCE).unwrap();
    alone.unwrap();
    assert_eq!(ids(&with_other.unwrap_err()), [other]);
}

#[test]
fn a_wait_by_a_routine_ends_when_all_others_have_returned() {
    let root = Quitter::root("root");
    let ends: Vec<_> = (0..3).map(|_| deaf(&root, "deaf").1).collect();
    let whole = root.clone();
    let (send, waited) = mpsc::channel();
    let (begin, begins) = mpsc::channel();
    root.add_routine(move |_| {
        begin.send(Waiter::this_thread()).unwrap();
        send.send(whole.wait_done(6 * PATIENCE)).unwrap();
    })
    .unwrap();
    begins.recv_timeout(PATIENCE).unwrap().until_asleep();
    for end in ends {
        end.set();
    }
    waited.recv_timeout(PATIENCE).unwrap().unwrap();
}

#[test]
fn a_routine_may_quit_the_whole_tree_and_wait_for_the_others() {
    let root = Quitter::root("root");
    root.routine("other").add(|q| q.wait_quit()).unwrap();
    let whole = root.clone();
    let supervisor = root
        .routine("supervisor")
        .add(move |_| whole.quit_and_wait(PATIENCE))
        .unwrap();
    supervisor.wait(PATIENCE).unwrap();
    root.wait_done(PATIENCE).unwrap();
    assert!(root.failures().is_empty());
}

#[test]
fn two_routines_that_wait_for_each_other_time_out_and_are_listed() {
    let root = Quitter::root("root");
    let (send, waited) = mpsc::channel();
    let (both, done) = (Arc::new(Barrier::new(2)), Event::new());
    let handles = ["a", "b"].map(|name| {
        let (whole, both) = (root.clone(), Arc::clone(&both));
        let (send, done) = (send.clone(), done.clone());
        root.routine(name)
            .add(move |q: &RoutineQuitter| {
                both.wait();
                send.send((q.id(), whole.wait_done(SHORT))).unwrap();
                done.wait();
            })
            .unwrap()
    });
    for _ in &handles {
        let (id, timeouts) = waited.recv_timeout(PATIENCE).unwrap();
        let other = handles.iter().find(|handle| handle.id() != id).unwrap();
        assert_eq!(ids(&timeouts.unwrap_err()), [other.id()]);
    }
    let all = root.wait_done(Duration::ZERO).unwrap_err();
    assert_eq!(names(&all), ["a", "b"]);
    done.set();
    root.wait_done(PATIENCE).unwrap();
}

#[test]
fn a_guard_is_waited_for_even_on_its_own_thread() {
    let root = Quitter::root("root");
    let whole = root.clone();
    let handle = root
        .routine("with guard")
        .add(move |q: &RoutineQuitter| {
            let _guard = q.guard("guard").unwrap();
            whole.wait_done(SHORT)
        })
        .unwrap();
    handle.wait(PATIENCE).unwrap();
    let FailureKind::Error { message, .. } = &root.failures()[0].kind else {
        panic!("{:?}", root.failures());
    };
    assert!(
        message.contains("guard") && !message.contains("with guard"),
        "{message}"
    );
}

#[test]
fn twins_of_one_function_are_told_apart_by_id() {
    fn worker(end: Event) -> impl FnOnce(&RoutineQuitter) + Send + 'static {
        move |_| end.wait()
    }
    let root = Quitter::root("root");
    let ends = [Event::new(), Event::new(), Event::new()];
    let handles = ends
        .clone()
        .map(|end| root.add_routine(worker(end)).unwrap());
    let all = root.wait_done(Duration::ZERO).unwrap_err();
    assert_eq!(ids(&all), handles.each_ref().map(|handle| handle.id()));
    assert_eq!(names(&all), ["closure in worker"; 3]);

    ends[0].set();
    ends[2].set();
    handles[0].wait(PATIENCE).unwrap();
    handles[2].wait(PATIENCE).unwrap();
    assert_eq!(
        ids(&root.wait_done(Duration::ZERO).unwrap_err()),
        [handles[1].id()]
    );
    ends[1].set();
    root.wait_done(PATIENCE).unwrap();
}

#[test]
fn children_of_one_name_are_listed_apart() {
    let root = Quitter::root("main");
    let twins = ["main", "main"].map(|name| root.child(name).unwrap());
    let guards = twins.each_ref().map(|twin| twin.guard("guard").unwrap());
    let timeouts = root.wait_done(Duration::ZERO).unwrap_err();
    assert_eq!(paths(&timeouts), ["main/main", "main/main"]);
    assert_eq!(ids(&timeouts), guards.each_ref().map(|guard| guard.id()));
    assert!(twins[0].wait_done(Duration::ZERO).unwrap_err().len() == 1);
}

#[test]
fn a_wait_covers_the_subtree_and_nothing_else() {
    let root = Quitter::root("root");
    let [a, b] = ["a", "b"].map(|name| root.child(name).unwrap());
    let below = a.child("below").unwrap().guard("guard").unwrap();
    b.wait_done(Duration::ZERO).unwrap();
    assert_eq!(ids(&a.wait_done(Duration::ZERO).unwrap_err()), [below.id()]);
}

#[test]
fn a_list_begins_with_the_quitters_below_and_keeps_the_order_of_making() {
    let root = Quitter::root("root");
    let first = root.guard("of root").unwrap();
    let a = root.child("a").unwrap();
    let b = root.child("b").unwrap();
    let below = a.child("below").unwrap();
    let guards = [&below, &a, &a, &b].map(|quitter| quitter.guard("guard").unwrap());
    let timeouts = root.wait_done(Duration::ZERO).unwrap_err();
    assert_eq!(
        paths(&timeouts),
        ["root/a/below", "root/a", "root/b", "root"]
    );
    let [of_below, of_a, of_a_2, of_b] = guards.each_ref().map(|guard| guard.id());
    assert_eq!(ids(&timeouts), [of_below, of_a, of_a_2, of_b, first.id()]);
}

#[test]
fn a_routine_is_done_only_when_what_it_captured_is_dropped() {
    struct Slow(Event, Arc<AtomicBool>);
    impl Drop for Slow {
        fn drop(&mut self) {
            self.0.wait();
            self.1.store(true, Ordering::SeqCst);
        }
    }
    let root = Quitter::root("root");
    let (returned, go, dropped) = (Event::new(), Event::new(), Arc::default());
    let slow = Slow(go.clone(), Arc::clone(&dropped));
    let returns = returned.clone();
    let handle = root
        .add_routine(move |_| {
            let _captured = &slow;
            returns.set();
        })
        .unwrap();
    returned.wait();
    assert!(!handle.is_finished());
    assert_eq!(ids(&root.wait_done(SHORT).unwrap_err()), [handle.id()]);
    go.set();
    root.wait_done(PATIENCE).unwrap();
    assert!(dropped.load(Ordering::SeqCst));
}

#[test]
fn waits_from_many_threads_at_once_all_end() {
    let root = Quitter::root("root");
    let child = root.child("child").unwrap();
    let ends: Vec<_> = [&root, &child].map(|q| deaf(q, "deaf").1).into();
    let waiters: Vec<_> = (0..20)
        .map(|at| {
            if at % 2 == 0 {
                root.clone()
            } else {
                child.clone()
            }
        })
        .map(|quitter| asleep_in(move || quitter.wait_done(6 * PATIENCE)))
        .collect();
    for end in ends {
        end.set();
    }
    in_time(|| {
        waiters
            .into_iter()
            .for_each(|waiter| waiter.join().unwrap().unwrap())
    });
}

#[test]
fn a_wait_is_woken_once_however_much_comes_and_goes_beside_work_that_stays() {
    let root = Quitter::root("root");
    let child = root.child("child").unwrap();
    let stays = root.guard("stays").unwrap();
    let wakes = Arc::new(Wakes::default());
    let waker = Arc::clone(&wakes).into();
    let mut context = std::task::Context::from_waker(&waker);
    let mut done = std::pin::pin!(root.done());
    assert!(done.as_mut().poll(&mut context).is_pending());
    for _ in 0..1000 {
        drop(root.guard("comes and goes").unwrap());
        drop(child.guard("comes and goes").unwrap());
        drop(
            root.child("child")
                .unwrap()
                .guard("comes and goes")
                .unwrap(),
        );
    }
    assert_eq!(wakes.count(), 0);
    drop(stays);
    assert_eq!(wakes.count(), 1);
    assert!(done.as_mut().poll(&mut context).is_ready());
}
