use super::*;

#[test]
fn parent_and_siblings_go_on_and_accept_work() {
    let root = Quitter::root("root");
    let [a, b] = ["a", "b"].map(|name| root.child(name).unwrap());
    let routine = b.guard("guard").unwrap();
    a.quit_and_wait(PATIENCE).unwrap();
    assert!(a.has_to_quit());
    for quitter in [&root, &b] {
        assert!(!quitter.has_to_quit());
        assert_eq!(quitter.quit_cause(), None);
        assert_eq!(quitter.deadline(), None);
        quitter.child("more").unwrap();
        quitter.add_routine(|_| {}).unwrap();
    }
    assert!(!routine.has_to_quit());
}

#[test]
fn a_parent_waits_for_a_child_that_quits() {
    let root = Quitter::root("root");
    let child = root.child("child").unwrap();
    let guard = child.guard("guard").unwrap();
    child.send_quit();
    assert_eq!(
        ids(&root.wait_done(Duration::ZERO).unwrap_err()),
        [guard.id()]
    );
}

#[test]
fn dropping_every_handle_quits_nothing() {
    let root = Quitter::root("root");
    let child = root.child("child").unwrap();
    let (dropped, seen) = (Event::new(), Event::new());
    let (send, quits) = mpsc::channel();
    let handle = {
        let (dropped, seen) = (dropped.clone(), seen.clone());
        child
            .add_routine(move |q: &RoutineQuitter| {
                dropped.wait();
                send.send((q.has_to_quit(), q.child("still").is_ok()))
                    .unwrap();
                seen.wait();
            })
            .unwrap()
    };
    drop((root, child));
    dropped.set();
    assert_eq!(quits.recv_timeout(PATIENCE), Ok((false, true)));
    assert!(!handle.is_finished());
    seen.set();
    handle.wait(PATIENCE).unwrap();
}
