use std::panic::Location;
use std::time::Duration;

use super::*;

use crate::report::timeouts::TimedOutQuitter;
use crate::routine::kind::RoutineKind;
use crate::stands::Stands;

const PLACE: &Location<'static> = Location::caller();

fn stuck(id: u64, name: impl Into<String>) -> StuckRoutine {
    StuckRoutine {
        id,
        name: name.into(),
        kind: RoutineKind::Task,
        state: RoutineState::Running,
        spawned_at: PLACE,
        running_for: Duration::from_secs(7),
        status: None,
        last_seen: None,
        stands: None,
        is_body: false,
        cancelled: false,
        returned_late: None,
        #[cfg(feature = "stacks")]
        stacks: Vec::new(),
        #[cfg(feature = "stacks")]
        task: None,
    }
}

fn timeouts(quitters: Vec<(&str, Vec<StuckRoutine>)>) -> Timeouts {
    let quitter = |(path, routines): (&str, _)| TimedOutQuitter {
        quitter: path.to_owned().into(),
        routines,
    };
    let mut timeouts = Timeouts::default();
    timeouts.quitters = quitters.into_iter().map(quitter).collect();
    timeouts.after = Duration::from_secs(2);
    timeouts
}

#[test]
fn a_report_names_quitter_routine_places_and_status() {
    let mut routine = stuck(1, "child_heartbeat_b");
    routine.status = Some("flushing 3/10".into());
    routine.last_seen = Some(LastSeen {
        at: PLACE,
        ago: Some(Duration::from_millis(2100)),
    });
    let here = Line(PLACE);
    assert_eq!(
        routine.to_string(),
        format!(
            "running 7.0 s, spawned at {here}, last seen 2.1 s ago at {here}, \
             status \"flushing 3/10\""
        )
    );
    let mut seen = routine.last_seen.unwrap();
    assert_eq!(seen.to_string(), format!("last seen 2.1 s ago at {here}"));
    seen.ago = None;
    assert_eq!(seen.to_string(), format!("last seen at {here}"));
}

#[test]
fn what_is_said_of_a_routine_follows_its_kind_and_its_state() {
    let text_with = |change: &dyn Fn(&mut StuckRoutine)| {
        let mut routine = stuck(1, "worker");
        change(&mut routine);
        let place = format!("spawned at {}", Line(PLACE));
        routine.to_string().replace(&place, "spawned")
    };
    let never = "running 7.0 s, spawned, never asked its quitter";
    assert_eq!(text_with(&|_| {}), never);
    let guard = text_with(&|routine| routine.kind = RoutineKind::Guard);
    assert_eq!(guard, "running 7.0 s, spawned");
    let body = text_with(&|routine| routine.is_body = true);
    assert_eq!(body, "running 7.0 s, spawned");
    let process = text_with(&|routine| {
        routine.kind = RoutineKind::Process { pid: 7 };
        routine.status = Some("sleep 100".into());
    });
    assert_eq!(
        process,
        "running 7.0 s, spawned, pid 7, command \"sleep 100\""
    );
    for (state, words) in [
        (RoutineState::Starting, "being started"),
        (RoutineState::Waiting, "waits for others"),
        (RoutineState::Failed, "has failed"),
    ] {
        let text = text_with(&|routine| routine.state = state);
        let expected = format!("running 7.0 s, {words}, spawned, never asked its quitter");
        assert_eq!(text, expected);
    }
    let ended = |cancelled, late: Option<u64>| {
        let text = text_with(&|routine| {
            routine.cancelled = cancelled;
            routine.returned_late = late.map(Duration::from_millis);
        });
        text[never.len()..].to_owned()
    };
    assert_eq!(ended(false, Some(5)), ", returned at most 5 ms late");
    assert_eq!(
        ended(true, Some(5)),
        ", dropped unfinished at most 5 ms late"
    );
    assert_eq!(
        ended(true, None),
        ", dropped unfinished, and its values are still being dropped"
    );
}

#[test]
fn routines_that_differ_in_what_is_said_of_them_have_lines_of_their_own() {
    fn seen(ago: Option<Duration>) -> Option<LastSeen> {
        Some(LastSeen { at: PLACE, ago })
    }
    let changes: [fn(&mut StuckRoutine); 9] = [
        |routine| routine.name.push('s'),
        |routine| routine.state = RoutineState::Failed,
        |routine| routine.spawned_at = Location::caller(),
        |routine| routine.last_seen = None,
        |routine| routine.last_seen = seen(Some(Duration::ZERO)),
        |routine| routine.status = Some("busy".into()),
        |routine| routine.cancelled = true,
        |routine| routine.returned_late = Some(Duration::ZERO),
        |routine| routine.kind = RoutineKind::Process { pid: 8 },
    ];
    let one = || {
        let mut routine = stuck(1, "worker");
        routine.last_seen = seen(None);
        routine
    };
    let lines = |other| Alike::of([&one(), &other], ROWS).len();
    assert_eq!(lines(one()), 1);
    for (at, change) in changes.iter().enumerate() {
        let mut other = one();
        change(&mut other);
        assert_eq!(lines(other), 2, "change {at}");
    }
    let process = |pid| {
        let mut routine = one();
        routine.kind = RoutineKind::Process { pid };
        routine
    };
    let processes = [process(1), process(2)];
    assert_eq!(Alike::of(&processes, ROWS).len(), 2);
}

#[test]
fn of_routines_that_share_a_line_the_least_and_the_most_time_since_a_call_is_shown() {
    let workers = [1000, 3000, 2000].map(|ago| {
        let mut worker = stuck(ago, "worker");
        let ago = Some(Duration::from_millis(ago));
        worker.last_seen = Some(LastSeen { at: PLACE, ago });
        worker
    });
    let text = timeouts(vec![("main", workers.into())]).to_string();
    assert!(text.contains("worker ×3"), "{text}");
    assert!(text.contains("last seen 1.0 to 3.0 s ago at "), "{text}");
}

#[test]
fn lines_break_behind_a_comma_and_names_are_in_a_column() {
    let mut long = stuck(1, "child_heartbeat_b");
    long.status = Some("flushing 3/10".into());
    let text = timeouts(vec![
        ("main/child", vec![long]),
        ("main", vec![stuck(2, "beat")]),
    ]);
    let here = Line(PLACE);
    assert_eq!(
        text.to_string(),
        format!(
            "2 routines had not returned after 2 s\n  \
             main/child\n    \
             child_heartbeat_b  running 7.0 s, spawned at {here},\n                       \
             never asked its quitter, status \"flushing 3/10\"\n  \
             main\n    \
             beat               running 7.0 s, spawned at {here},\n                       \
             never asked its quitter"
        )
    );
    assert!(
        text.to_string()
            .lines()
            .all(|line| line.chars().count() <= 100)
    );
}

fn blocked(call: &str, on: &str) -> Option<Stands> {
    let (call, on) = (call.to_owned(), Some(on.to_owned()));
    Some(Stands::Blocked { call, on })
}

#[test]
fn what_a_thread_stands_on_is_said_first_and_broken_where_it_does_not_fit() {
    let mut flusher = stuck(1, "a_name_of_thirty_columns_xxxxx");
    let shared =
        "a lock or condition, the same as 'a_name_of_20_columns' of main/…/store/with/a/tail";
    flusher.stands = blocked("futex", shared);
    let mut parser = stuck(2, "parser");
    parser.stands = Some(Stands::Running {
        cpu: Stands::MOMENT,
    });
    let text = timeouts(vec![("main/store", vec![flusher, parser])]).to_string();
    let indent = " ".repeat(36);
    let begins = format!(
        "2 routines had not returned after 2 s\n  main/store\n    \
         a_name_of_thirty_columns_xxxxx  running 7.0 s, blocked in futex (a lock or condition,\n\
         {indent}the same as 'a_name_of_20_columns' of main/…/store/with/a/tail),\n\
         {indent}spawned at "
    );
    assert!(text.starts_with(&begins), "{text}");
    let running = "running 7.0 s, using 100 % of a CPU,\n";
    assert!(text.contains(running), "{text}");
    assert!(
        text.lines().all(|line| line.chars().count() <= 100),
        "{text}"
    );
}

#[test]
fn routines_in_one_call_share_a_line_and_others_have_their_own() {
    let readers = (0..5).map(|i| {
        let mut reader = stuck(i, "reader");
        reader.stands = blocked("recvfrom", &format!("fd {i}, a socket"));
        reader
    });
    let mut other = stuck(9, "reader");
    other.stands = blocked("futex", "a lock or condition");
    let text = timeouts(vec![("main", readers.chain([other]).collect())]).to_string();
    let group = "reader ×5  running 7.0 s, blocked in recvfrom (different objects),";
    assert!(text.contains(group), "{text}");
    let other = "reader     running 7.0 s, blocked in futex (a lock or condition),";
    assert!(text.contains(other), "{text}");
}

#[test]
fn routines_that_were_not_looked_at_share_a_line_with_the_first_that_were() {
    let worker = |i: u64| {
        let mut worker = stuck(i, "worker");
        worker.stands = match i {
            1..=3 => blocked("futex", "a lock or condition"),
            4 => blocked("read", "fd 0, stdin"),
            _ => None,
        };
        worker
    };
    let text = timeouts(vec![("main", (0..10).map(worker).collect())]).to_string();
    let most = "worker ×9  running 7.0 s, 3 of them blocked in futex (a lock or condition),";
    assert!(text.contains(most), "{text}");
    assert!(
        text.contains("worker     running 7.0 s, blocked in read (fd 0, stdin),"),
        "{text}"
    );
    assert_eq!(text.matches("worker").count(), 2, "{text}");
    // The first one was looked at, too.
    let text = timeouts(vec![("main", (1..10).map(worker).collect())]).to_string();
    let most = "worker ×8  running 7.0 s, 3 of them blocked in futex (a lock or condition),";
    assert!(text.contains(most), "{text}");
}

#[test]
fn routines_that_differ_in_their_times_only_are_one_line_and_a_count() {
    let workers = (0..997).map(|i| {
        let mut worker = stuck(i, "worker");
        worker.running_for = Duration::from_millis(3000 + i);
        worker
    });
    let mut other = stuck(1000, "worker");
    other.status = Some("busy".into());
    let list = timeouts(vec![("main/pool", workers.chain([other]).collect())]);
    let text = list.to_string();
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines[0], "998 routines had not returned after 2 s");
    assert!(
        lines[2].starts_with("    worker ×997  running 3.0 to 4.0 s, "),
        "{text}"
    );
    assert!(
        text.contains("\n    worker       running 7.0 s, "),
        "{text}"
    );
    assert_eq!(list.routines().count(), 998);
}

#[test]
fn those_that_only_wait_for_others_come_last() {
    let waits = |i: u64| {
        let mut waits = stuck(i, format!("waits {i}"));
        waits.state = RoutineState::Waiting;
        waits
    };
    let of = |count: u64| {
        let mut clients: Vec<_> = (0..count).map(waits).collect();
        clients.push(stuck(count, "hangs too"));
        let list = timeouts(vec![
            ("main/supervisor", vec![waits(count + 2)]),
            ("main/clients", clients),
            ("main", vec![stuck(count + 1, "hangs")]),
        ]);
        let text = list.to_string();
        let begins = |line: &str| line.trim().split("  ").next().unwrap().to_owned();
        // Facts that go on on a further line are indented more than any name.
        let is_row = |line: &&str| !line.starts_with("     ");
        text.lines()
            .skip(1)
            .filter(is_row)
            .map(begins)
            .collect::<Vec<_>>()
    };
    let few = of(2);
    let listed = [
        "main/clients",
        "hangs too",
        "waits 0",
        "waits 1",
        "main",
        "hangs",
        "main/supervisor",
        "waits 4",
    ];
    assert_eq!(few, listed);
    let many = of(200);
    let first = [
        "main/clients",
        "hangs too",
        "main",
        "hangs",
        "main/supervisor",
        "waits 202",
        "main/clients",
        "waits 0",
    ];
    assert_eq!(many[..first.len()], first);
    assert_eq!(many.last().unwrap(), "and 107 more");
}

#[test]
fn those_that_hang_are_all_named_where_the_lines_of_the_quitters_leave_no_room_for_everybody() {
    let mut clients: Vec<_> = (0..60).map(|i| stuck(i, format!("waits {i}"))).collect();
    let waiting = clients.iter_mut();
    waiting.for_each(|client| client.state = RoutineState::Waiting);
    clients.push(stuck(60, "hangs too"));
    let hang = (61..100).map(|i| stuck(i, format!("hangs {i}"))).collect();
    let text = timeouts(vec![("main/clients", clients), ("main", hang)]).to_string();
    assert_eq!(text.matches("    hangs ").count(), 40, "{text}");
}

#[test]
fn a_quitter_is_not_listed_where_there_is_no_room_for_a_routine_of_it() {
    let names = |of: u64| (0..of).map(|i| stuck(i, format!("worker {i}"))).collect();
    let text = timeouts(vec![("main/a", names(98)), ("main/b", names(2))]).to_string();
    assert!(!text.contains("main/b"), "{text}");
    assert!(text.ends_with("\n  and 2 more"), "{text}");
}

#[test]
fn those_that_share_a_line_are_not_counted_again_after_the_last_one() {
    let mut workers: Vec<_> = (0..1000).map(|i| stuck(i, "worker")).collect();
    workers.extend((0..200).map(|i| stuck(i, format!("other {i}"))));
    let text = timeouts(vec![("main", workers)]).to_string();
    assert!(text.contains("worker ×1000"), "{text}");
    assert!(text.ends_with("\n  and 102 more"), "{text}");
}

#[test]
fn the_line_of_a_quitter_is_no_longer_than_the_others() {
    let path = format!("main/{}", "x".repeat(1000));
    let text = timeouts(vec![(&path, vec![stuck(1, "worker")])]).to_string();
    let quitter = text.lines().nth(1).unwrap();
    assert_eq!(quitter.chars().count(), width(), "{text}");
}

#[cfg(feature = "stacks")]
#[test]
fn the_stacks_of_a_hundred_lines_are_shown() {
    use crate::stacks::TaskState;

    struct Stacks(Timeouts);

    impl fmt::Display for Stacks {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write_stacks(f, &self.0)
        }
    }

    let task = |id| {
        let mut task = stuck(id, format!("worker {id}"));
        task.task = Some(TaskState::NeverPolled);
        task
    };
    let [child, main] = [0..75, 75..150].map(|ids| ids.map(task).collect());
    let all = timeouts(vec![("main/child", child), ("main", main)]);
    let text = Stacks(all).to_string();
    let lines = text.lines().filter(|line| line.starts_with("    worker"));
    assert_eq!(lines.count(), ROWS, "{text}");
}

#[test]
fn after_a_hundred_lines_the_others_are_counted() {
    let names = |of: u64| (0..of).map(|i| stuck(i, format!("worker {i}"))).collect();
    let list = timeouts(vec![("main/a", names(50)), ("main/b", names(100_000))]);
    let text = list.to_string();
    assert!(text.starts_with("100050 routines had not returned after 2 s\n"));
    assert!(text.ends_with("\n  and 99952 more"), "{text}");
    let names = |line: &&str| line.starts_with("    worker") || line.starts_with("  main");
    assert_eq!(text.lines().filter(names).count(), 100);
    assert_eq!(list.len(), 100_050);
}
