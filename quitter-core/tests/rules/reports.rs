use super::*;

#[test]
fn a_timeout_lists_path_name_number_place_and_status() {
    let root = Quitter::root("main");
    let child = root.child("childQuitter").unwrap();
    let (line, guard) = (line!(), child.guard("flusher").unwrap());
    guard.set_status("flushing 3/10");
    guard.set_status(format!("flushing {}/10", 4));
    let timeouts = root.wait_done(Duration::ZERO).unwrap_err();
    assert_eq!(paths(&timeouts), ["main/childQuitter"]);
    let stuck = only(&timeouts);
    assert_eq!((stuck.id, &stuck.name[..]), (guard.id(), "flusher"));
    assert_eq!(
        (stuck.spawned_at.file(), stuck.spawned_at.line()),
        (file!(), line)
    );
    assert_eq!(stuck.status.as_deref(), Some("flushing 4/10"));
}

#[test]
fn a_timeout_that_main_returns_is_a_list_for_people() {
    let root = Quitter::root("main");
    let _guard = root.guard("flusher").unwrap();
    let timeouts = root.wait_done(Duration::ZERO).unwrap_err();
    assert_eq!(format!("{timeouts:?}"), timeouts.to_string());
}

#[test]
fn the_place_of_a_forked_routine_is_where_it_was_added() {
    let root = Quitter::root("root");
    let end = Event::new();
    let [a, b, c] = [0, 1, 2].map(|_| end.clone());
    let line = line!();
    root.add_routine(move |_| a.wait()).unwrap();
    root.routine("built").add(move |_| b.wait()).unwrap();
    let guard = root.guard("guard").unwrap();
    guard.add_routine(move |_| c.wait()).unwrap();
    let timeouts = root.wait_done(Duration::ZERO).unwrap_err();
    let places: Vec<_> = timeouts
        .routines()
        .map(|r| (r.spawned_at.file(), r.spawned_at.line() - line))
        .collect();
    assert_eq!(places, [1, 2, 3, 4].map(|below| (file!(), below)));
    end.set();
    drop(guard);
    root.wait_done(PATIENCE).unwrap();
}

#[test]
fn a_routine_that_never_asked_its_quitter_was_never_seen() {
    let root = Quitter::root("root");
    let (_, end) = deaf(&root, "deaf");
    let timeouts = root.wait_done(Duration::ZERO).unwrap_err();
    assert_eq!(only(&timeouts).last_seen, None);
    assert!(
        timeouts.to_string().contains("never asked its quitter"),
        "{timeouts}"
    );
    end.set();
    root.wait_done(PATIENCE).unwrap();
}

/// The guard may belong to a job that waits in a queue.
#[test]
fn a_guard_is_not_said_to_have_asked_nothing() {
    let root = Quitter::root("root");
    let _guard = root.guard("guard").unwrap();
    let timeouts = root.wait_done(Duration::ZERO).unwrap_err();
    assert!(!timeouts.to_string().contains("never"), "{timeouts}");
}

#[test]
fn the_last_call_is_seen_with_its_place_and_without_a_time() {
    let root = Quitter::root("root");
    let guard = root.guard("guard").unwrap();
    let calls: [fn(&RoutineQuitter) -> u32; 7] = [
        |q| (line!(), q.has_to_quit()).0,
        |q| (line!(), q.quit_chan()).0,
        |q| (line!(), q.deadline()).0,
        |q| (line!(), q.quit_cause()).0,
        |q| (line!(), q.set_status("status")).0,
        |q| (line!(), q.child("child").unwrap()).0,
        |q| (line!(), q.add_routine(|_| {}).unwrap()).0,
    ];
    for call in calls {
        let line = call(&guard);
        eventually(|| root.wait_done(Duration::ZERO).unwrap_err().len() == 1);
        let timeouts = root.wait_done(Duration::ZERO).unwrap_err();
        let seen = only(&timeouts).last_seen.unwrap();
        assert_eq!((seen.file(), seen.at.line()), (file!(), line));
        assert_eq!(seen.ago, None);
    }
}

#[test]
fn a_call_that_blocks_is_seen_with_the_time_since_it_began() {
    let root = Quitter::root("root");
    let (lines, line) = mpsc::channel();
    let calls: [fn(&RoutineQuitter, mpsc::Sender<u32>); 3] = [
        |q, line| (line.send(line!()).unwrap(), q.wait_quit()).1,
        |q, line| (line.send(line!()).unwrap(), q.sleep(Duration::MAX)).0,
        |q, line| (line.send(line!()).unwrap(), q.ticks(Duration::MAX).next()).0,
    ];
    for call in calls {
        let (child, lines) = (root.child("child").unwrap(), lines.clone());
        let from = Instant::now();
        child
            .add_routine(move |q: &RoutineQuitter| call(q, lines))
            .unwrap();
        let line = line.recv_timeout(PATIENCE).unwrap();
        let look = || {
            let timeouts = child.wait_done(Duration::ZERO).unwrap_err();
            only(&timeouts).last_seen
        };
        eventually(|| look().is_some());
        let seen = look().unwrap();
        assert_eq!((seen.file(), seen.at.line()), (file!(), line));
        let ago = seen.ago.unwrap();
        assert!(ago <= from.elapsed());
        eventually(|| look().unwrap().ago.unwrap() > ago + Duration::from_millis(5));
        child.quit_and_wait(PATIENCE).unwrap();
    }
}

#[test]
fn a_call_that_has_returned_is_seen_with_the_time_since_then() {
    const BLOCKED: Duration = Duration::from_millis(30);
    let root = Quitter::root("root");
    let calls: [fn(&RoutineQuitter); 2] = [
        |q| q.sleep(BLOCKED).unwrap(),
        |q| assert!(q.ticks(BLOCKED).next().is_some()),
    ];
    for call in calls {
        let guard = root.guard("guard").unwrap();
        let from = Instant::now();
        call(&guard);
        let timeouts = root.wait_done(Duration::ZERO).unwrap_err();
        let ago = only(&timeouts).last_seen.unwrap().ago.unwrap();
        assert!(ago + BLOCKED <= from.elapsed(), "{ago:?}");
    }
}

#[test]
fn calls_on_a_plain_quitter_leave_no_trace() {
    let root = Quitter::root("root");
    let _guard = root.guard("guard").unwrap();
    assert!(!root.has_to_quit());
    root.sleep(Duration::ZERO).unwrap();
    assert_eq!(
        only(&root.wait_done(Duration::ZERO).unwrap_err()).last_seen,
        None
    );
}

#[test]
fn a_list_reads_as_the_documentation_shows_it() {
    let root = Quitter::root("main");
    let child = root.child("childQuitter").unwrap();
    let a = child.guard("child_heartbeat_b").unwrap();
    let (_, end) = deaf(&root, "main_heartbeat");
    a.set_status("flushing 3/10");
    let text = root.wait_done(Duration::ZERO).unwrap_err().to_string();
    // Joins wrapped lines, which go on below the start of their text.
    let text = text.replace(&format!(",\n{:23}", ""), ", ");
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines.len(), 5, "{text}");
    assert!(
        lines[0].starts_with("2 routines had not returned after "),
        "{text}"
    );
    assert_eq!(lines[1], "  main/childQuitter");
    assert!(
        lines[2].starts_with("    child_heartbeat_b  running "),
        "{text}"
    );
    assert!(
        lines[2].contains(concat!(" s, spawned at ", file!(), ":")),
        "{text}"
    );
    assert!(
        lines[2].contains(concat!(", last seen at ", file!(), ":")),
        "{text}"
    );
    assert!(lines[2].ends_with(", status \"flushing 3/10\""), "{text}");
    assert_eq!(lines[3], "  main");
    assert!(
        lines[4].starts_with("    main_heartbeat     running "),
        "{text}"
    );
    assert!(lines[4].ends_with("never asked its quitter"), "{text}");
    end.set();
    drop(a);
    root.wait_done(PATIENCE).unwrap();
}

#[test]
fn a_very_long_name_neither_panics_nor_widens_the_list() {
    let root = Quitter::root("main");
    let _long = root.guard("long".repeat(65_536)).unwrap();
    let _short = root.guard("short").unwrap();
    let text = root.wait_done(Duration::ZERO).unwrap_err().to_string();
    let long = "    longlonglonglon…nglonglonglong  running ";
    assert!(text.contains(long), "{text}");
    assert!(
        text.contains(&format!("    {:30}  running ", "short")),
        "{text}"
    );
    assert!(text.len() < 1000);
}

#[test]
fn the_running_time_is_that_of_the_routine() {
    let root = Quitter::root("root");
    let from = Instant::now();
    let _guard = root.guard("guard").unwrap();
    let first = root.wait_done(Duration::ZERO).unwrap_err();
    let later = root.wait_done(SHORT).unwrap_err();
    // The system's coarse clock ticks at least 100 times a second.
    let tick = Duration::from_millis(10);
    assert!(only(&later).running_for <= from.elapsed() + tick);
    assert!(only(&later).running_for >= only(&first).running_for + SHORT);
    assert!(later.after() >= SHORT);
}

#[test]
fn a_list_can_be_walked_by_reference_and_by_value() {
    let root = Quitter::root("root");
    let _guards = ["a", "b"].map(|name| root.guard(name).unwrap());
    let timeouts = root.wait_done(Duration::ZERO).unwrap_err();
    assert_eq!((timeouts.len(), timeouts.is_empty()), (2, false));
    let mut by_reference = 0;
    for at in &timeouts {
        by_reference += at.routines.len();
    }
    assert_eq!(by_reference, 2);
    let by_value: Vec<_> = timeouts.into_iter().map(|at| at.quitter).collect();
    assert_eq!(by_value, ["root"]);
}
