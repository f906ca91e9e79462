use super::*;

/// Makes three levels of children, ten at each quitter, named after their indexes.
fn subtree(of: &Quitter) -> Vec<Quitter> {
    let mut all = vec![of.clone()];
    let mut from = 0;
    for _ in 0..3 {
        let to = all.len();
        for at in from..to {
            for _ in 0..10 {
                let child = all[at].child(all.len().to_string()).unwrap();
                all.push(child);
            }
        }
        from = to;
    }
    all
}

#[test]
fn when_send_quit_has_returned_all_below_say_quit_and_refuse_seen_from_another_thread() {
    let root = Quitter::root("root");
    let all = subtree(&root);
    let (quit, was_quit) = mpsc::channel::<()>();
    let seen = thread::spawn(move || {
        was_quit.recv().unwrap();
        for quitter in &all {
            assert!(quitter.has_to_quit());
            assert_eq!(quitter.child("late").unwrap_err(), Quitting);
            assert_eq!(quitter.guard("late").unwrap_err(), Quitting);
            assert!(quitter.add_routine(|_| {}).unwrap_err().is_quitting());
            assert!(
                quitter
                    .quit_chan()
                    .try_recv()
                    .unwrap_err()
                    .is_disconnected()
            );
        }
        all.len()
    });
    root.send_quit();
    quit.send(()).unwrap();
    assert_eq!(seen.join().unwrap(), 1111);
}

#[test]
fn before_the_quit_nobody_says_so() {
    let root = Quitter::root("root");
    for quitter in subtree(&root) {
        assert!(!quitter.has_to_quit());
        assert!(quitter.quit_chan().try_recv().unwrap_err().is_empty());
        assert!(quitter.quit_cause().is_none());
    }
}

#[test]
fn a_child_made_during_the_quit_is_refused_or_told() {
    for _ in 0..100 {
        let root = Quitter::root("root");
        let returned = Arc::new(AtomicBool::new(false));
        let start = Arc::new(Barrier::new(3));
        let makers = [0, 1].map(|_| {
            let (returned, start) = (Arc::clone(&returned), Arc::clone(&start));
            let mut newest = root.child("first").unwrap();
            thread::spawn(move || {
                let mut made = vec![newest.clone()];
                start.wait();
                for _ in 0..FOR_EVER {
                    let late = returned.load(Ordering::SeqCst);
                    match newest.child("child") {
                        Ok(child) => {
                            assert!(!late, "a child was made after the quit");
                            newest = child.clone();
                            made.push(child);
                        }
                        Err(Quitting) => break,
                    }
                }
                while !returned.load(Ordering::SeqCst) {
                    thread::yield_now();
                }
                assert!(made.iter().all(Quitter::has_to_quit));
            })
        });
        start.wait();
        root.send_quit();
        returned.store(true, Ordering::SeqCst);
        for maker in makers {
            maker.join().unwrap();
        }
    }
}

/// The second quit finds a tree that the first quit is still walking.
#[test]
fn each_of_several_quits_at_once_has_reached_everyone_when_it_returns() {
    for _ in 0..20 {
        let root = Quitter::root("root");
        let all = subtree(&root);
        let start = Arc::new(Barrier::new(3));
        // The root, one of its children, and a child of that child.
        let threads = [0, 1, 11].map(|top| {
            let prefix = format!("{}/", all[top].path());
            let below = all
                .iter()
                .filter(|quitter| quitter.path().starts_with(&prefix));
            let below: Vec<_> = below.cloned().collect();
            let (top, start) = (all[top].clone(), Arc::clone(&start));
            thread::spawn(move || {
                start.wait();
                top.send_quit();
                assert!(below.iter().all(Quitter::has_to_quit));
                below.len()
            })
        });
        let reached = threads.map(|thread| thread.join().unwrap());
        assert_eq!(reached, [1110, 110, 10]);
    }
}

#[test]
fn quitting_again_keeps_the_first_cause() {
    let root = Quitter::root("root");
    let child = root.child("child").unwrap();
    let line = line!() + 1;
    child.send_quit();
    root.send_quit();
    child.send_quit();
    let Some(QuitCause::SendQuit { at }) = child.quit_cause() else {
        panic!("{:?}", child.quit_cause());
    };
    assert_eq!((at.file(), at.line()), (file!(), line));
    let Some(QuitCause::SendQuit { at }) = root.quit_cause() else {
        panic!("{:?}", root.quit_cause());
    };
    assert_eq!(at.line(), line + 1);
}

#[test]
fn a_routine_reads_the_cause_of_the_quit_above_it() {
    let root = Quitter::root("root");
    let guard = root.child("child").unwrap().guard("guard").unwrap();
    assert_eq!(guard.quit_cause(), None);
    let line = line!() + 1;
    root.send_quit();
    let Some(QuitCause::SendQuit { at }) = guard.quit_cause() else {
        panic!("{:?}", guard.quit_cause());
    };
    assert_eq!((at.file(), at.line()), (file!(), line));
}

#[test]
fn a_quit_by_quit_and_wait_names_its_place_too() {
    let root = Quitter::root("root");
    let line = line!() + 1;
    root.quit_and_wait(Duration::ZERO).unwrap();
    let Some(QuitCause::SendQuit { at }) = root.quit_cause() else {
        panic!("{:?}", root.quit_cause());
    };
    assert_eq!((at.file(), at.line()), (file!(), line));
}

#[test]
fn a_quit_reaches_a_child_of_a_routines_quitter() {
    let root = Quitter::root("root");
    let (send, made) = mpsc::channel();
    root.add_routine(move |q: &RoutineQuitter| {
        send.send(q.child("of routine").unwrap()).unwrap();
    })
    .unwrap();
    let child = made.recv_timeout(PATIENCE).unwrap();
    assert_eq!(child.path(), "root/of routine");
    assert!(!child.has_to_quit());
    root.send_quit();
    assert!(child.has_to_quit());
}

#[test]
fn a_quit_reaches_a_child_whose_handles_are_gone_and_whose_routine_lives() {
    let root = Quitter::root("root");
    let guard = root
        .child("a")
        .unwrap()
        .child("b")
        .unwrap()
        .guard("guard")
        .unwrap();
    assert_eq!(guard.path(), "root/a/b");
    root.send_quit();
    assert!(guard.has_to_quit());
    assert_eq!(
        paths(&root.wait_done(Duration::ZERO).unwrap_err()),
        ["root/a/b"]
    );
}
