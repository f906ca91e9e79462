use super::*;

#[test]
fn a_failure_while_quitting_that_is_only_listed_makes_nothing_quit() {
    let root = Quitter::root("root");
    let child = root.child("child").unwrap();
    child.failures_while_quitting(FailuresWhileQuitting::ListOnly);
    let below = child.child("below").unwrap();
    let fails = |q: &RoutineQuitter| {
        q.wait_quit();
        Err::<(), _>("the receiver is gone")
    };
    below.add_routine(fails).unwrap();
    child.quit_and_wait(PATIENCE).unwrap();
    assert!(root.failures()[0].while_quitting);
    assert!(!root.has_to_quit());
}

#[test]
fn a_failure_while_only_its_own_quitter_quits_counts_by_default() {
    let root = Quitter::root("root");
    let child = root.child("child").unwrap();
    child
        .add_routine(|q| {
            q.wait_quit();
            Err::<(), _>("not flushed")
        })
        .unwrap();
    child.quit_and_wait(PATIENCE).unwrap();
    assert!(root.has_to_quit());
}

#[test]
fn a_routine_sets_what_failures_of_those_that_it_starts_do() {
    let root = Quitter::root("root");
    let accept = root.add_routine(|q| {
        let connections = q.child("connections").unwrap();
        connections.on_failure(OnFailure::Report);
        q.on_failure(OnFailure::FailAtExit);
        connections.add_routine(|_| Err::<(), _>("reset")).unwrap();
        q.add_routine(|_| Err::<(), _>("beside")).unwrap();
    });
    accept.unwrap().wait(PATIENCE).unwrap();
    root.wait_done(PATIENCE).unwrap();
    assert!(!root.has_to_quit());
    let names: Vec<_> = root.failures().iter().map(ToString::to_string).collect();
    assert_eq!(names.len(), 1, "{names:?}");
    assert!(names[0].ends_with("beside"), "{names:?}");
}

#[test]
fn a_job_that_a_guard_runs_fails_as_a_routine_does_and_its_thread_goes_on() {
    let root = Quitter::root("root");
    let job = |name: &'static str| {
        let job = root.routine(name).on_failure(OnFailure::FailAtExit);
        job.guard().unwrap()
    };
    job("fails").run(|q| {
        assert_eq!(q.name(), "fails");
        // The wait leaves out the routine that calls it.
        root.wait_done(PATIENCE).unwrap();
        Err::<(), _>("disk full")
    });
    job("panics").run(|_| panic!("no such frame"));
    job("quits").run(|_| Err::<(), _>(Quitting));
    job("returns").run(|_| ());
    root.wait_done(Duration::ZERO).unwrap();
    let failures: Vec<_> = root.failures().iter().map(ToString::to_string).collect();
    assert_eq!(failures.len(), 2, "{failures:?}");
    assert_eq!(failures[0], "routine 'fails' of root failed: disk full");
    assert!(failures[1].contains("'panics'") && failures[1].contains("no such frame"));
}

#[test]
fn work_under_a_guard_can_fail_like_a_routine_and_go_on() {
    let root = Quitter::root("root");
    let job = || {
        root.routine("job")
            .on_failure(OnFailure::FailAtExit)
            .guard()
    };
    let failed = job().unwrap();
    failed.fail("disk full");
    failed.fail("a consequence");
    assert!(root.wait_done(Duration::ZERO).is_err());
    drop(failed);
    let quits = job().unwrap();
    quits.fail(Quitting);
    drop(quits);
    let failures: Vec<_> = root.failures().iter().map(ToString::to_string).collect();
    assert_eq!(failures, ["routine 'job' of root failed: disk full"]);
    assert!(!root.has_to_quit());
    root.guard("job").unwrap().fail("disk full");
    assert!(root.has_to_quit());
}

#[test]
fn a_quit_requested_at_a_plain_quitter_names_the_routine_that_calls() {
    let root = Quitter::root("root");
    let child = root.child("child").unwrap();
    let plain = root.clone();
    let prompt = child.routine("prompt");
    prompt
        .add(move |_| plain.request_quit("exit was typed"))
        .unwrap();
    root.wait_done(PATIENCE).unwrap();
    let cause = root.quit_cause().unwrap().to_string();
    assert_eq!(cause, "routine 'prompt' of root/child: exit was typed");
}
