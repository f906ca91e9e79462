use super::*;

#[test]
fn a_clone_that_outlives_its_routine_keeps_nothing_live() {
    let root = Quitter::root("root");
    let child = root.child("child").unwrap();
    let (send, clones) = mpsc::channel();
    child
        .add_routine(move |q: &RoutineQuitter| send.send(q.clone()).unwrap())
        .unwrap();
    let clone = clones.recv_timeout(PATIENCE).unwrap();
    root.wait_done(PATIENCE).unwrap();
    // The clone still works as a handle.
    assert!(!clone.has_to_quit());
    clone.set_status("after the end");
    root.wait_done(Duration::ZERO).unwrap();
    root.quit_and_wait(Duration::ZERO).unwrap();
    assert!(clone.has_to_quit());
    assert_eq!(clone.sleep(Duration::MAX), Err(Quitting));
}

#[test]
fn a_guards_clone_keeps_nothing_live() {
    let root = Quitter::root("root");
    let guard = root.guard("guard").unwrap();
    let clone = (*guard).clone();
    drop(guard);
    root.wait_done(Duration::ZERO).unwrap();
    assert_eq!(clone.name(), "guard");
}

#[test]
fn a_handle_keeps_nothing_live() {
    let root = Quitter::root("root");
    let handle = root.child("child").unwrap().add_routine(|_| {}).unwrap();
    root.wait_done(PATIENCE).unwrap();
    assert!(handle.is_finished());
    handle.wait(Duration::ZERO).unwrap();
}

#[test]
fn what_a_routine_captured_is_dropped_when_it_is_done() {
    let root = Quitter::root("root");
    let captured = Arc::new(());
    let inside = Arc::clone(&captured);
    let handle = root
        .add_routine(move |_| drop(Arc::clone(&inside)))
        .unwrap();
    handle.wait(PATIENCE).unwrap();
    assert_eq!(Arc::strong_count(&captured), 1);
}
