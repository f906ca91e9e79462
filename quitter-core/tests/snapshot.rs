//! A snapshot lists what is live in a tree, whatever happens meanwhile. Its text is for people.

mod common;

use std::collections::HashSet;
use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use common::waits::eventually;
use common::{PATIENCE, deaf, within};
use quitter_core::{
    FailureKind, OnFailure, QuitCause, Quitter, RoutineKind, RoutineState, Snapshot,
};

fn paths(snapshot: &Snapshot) -> Vec<String> {
    let quitters = snapshot.quitters.iter();
    quitters.map(|quitter| quitter.path.to_string()).collect()
}

fn names(snapshot: &Snapshot) -> Vec<&str> {
    snapshot.routines().map(|r| r.name.as_str()).collect()
}

#[test]
fn quitters_with_nothing_in_them_are_left_out_and_those_above_others_are_not() {
    let root = Quitter::root("main");
    let _idle = root.child("idle").unwrap();
    let net = root.child("net").unwrap();
    let _net_idle = net.child("idle").unwrap();
    let http = net.child("http").unwrap();
    let db = root.child("db").unwrap();
    let _guards = [http.guard("connection"), db.guard("flusher")].map(Result::unwrap);
    let snapshot = root.snapshot();
    assert_eq!(
        paths(&snapshot),
        ["main", "main/net", "main/net/http", "main/db"]
    );
    let parents: Vec<_> = snapshot.quitters.iter().map(|at| at.parent).collect();
    assert_eq!(parents, [None, Some(0), Some(1), Some(0)]);
    assert_eq!(names(&snapshot), ["connection", "flusher"]);
    assert_eq!(paths(&net.snapshot()), ["main/net", "main/net/http"]);
}

#[test]
fn an_idle_quitter_is_alone_in_its_snapshot() {
    let root = Quitter::root("main");
    let child = root.child("child").unwrap();
    let snapshot = child.snapshot();
    assert_eq!(paths(&snapshot), ["main/child"]);
    assert_eq!(snapshot.to_string(), "child");
    assert_eq!(root.snapshot().to_string(), "main");
}

#[test]
fn a_routine_is_listed_with_all_that_is_known_of_it() {
    let root = Quitter::root("main");
    let (handle, end) = deaf(&root, "deaf");
    let guard = root.guard("import").unwrap();
    guard.set_status("17 of 20");
    let running = || root.snapshot().quitters[0].routines[0].state == RoutineState::Running;
    eventually(running);
    let snapshot = root.snapshot();
    let [deaf, import] = &snapshot.quitters[0].routines[..] else {
        panic!("{snapshot}");
    };
    assert_eq!((deaf.id, &deaf.name[..]), (handle.id(), "deaf"));
    assert!(matches!(deaf.kind, RoutineKind::Thread { os_id } if os_id > 0));
    assert!(deaf.last_seen.is_none() && deaf.status.is_none());
    assert_eq!(import.kind, RoutineKind::Guard);
    assert_eq!(import.spawned_at.file(), file!());
    assert_eq!(
        import.last_seen.unwrap().line(),
        import.spawned_at.line() + 1
    );
    assert_eq!(import.status.as_deref(), Some("17 of 20"));
    end.set();
}

#[test]
fn a_routine_that_waits_for_others_says_so_until_its_wait_is_over() {
    let root = Quitter::root("main");
    let (_handle, end) = deaf(&root, "deaf");
    let child = root.child("child").unwrap();
    let (told, quits) = (common::Event::new(), common::Event::new());
    let (waits, over, below) = (quits.clone(), told.clone(), root.clone());
    child
        .routine("supervisor")
        .add(move |_| {
            below.wait_done(PATIENCE).unwrap();
            over.set();
            waits.wait();
        })
        .unwrap();
    let state = || child.snapshot().routines().next().unwrap().state;
    eventually(|| state() == RoutineState::Waiting);
    let text = root.snapshot().to_string();
    assert!(text.contains("waits for others,"), "{text}");
    // The supervisor is one of the waiters.
    assert!(root.snapshot().quitters[0].waiting >= 1);
    end.set();
    told.wait();
    eventually(|| state() == RoutineState::Running);
    quits.set();
}

#[test]
fn a_routine_that_has_failed_and_does_not_return_says_so() {
    struct SlowToDrop(common::Event);
    impl Drop for SlowToDrop {
        fn drop(&mut self) {
            self.0.wait();
        }
    }
    impl std::fmt::Debug for SlowToDrop {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("disk full")
        }
    }
    impl std::fmt::Display for SlowToDrop {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("disk full")
        }
    }
    impl std::error::Error for SlowToDrop {}

    let root = Quitter::root("main");
    let end = common::Event::new();
    let error = SlowToDrop(end.clone());
    let routine = root.routine("flusher").on_failure(OnFailure::FailAtExit);
    routine.add(move |_| Err::<(), _>(error)).unwrap();
    eventually(|| root.snapshot().quitters[0].routines[0].state == RoutineState::Failed);
    let snapshot = root.snapshot();
    let [failure] = &snapshot.failures[..] else {
        panic!("{snapshot}");
    };
    assert!(matches!(&failure.kind, FailureKind::Error { message, .. } if message == "disk full"));
    let text = snapshot.to_string();
    assert!(text.contains("has failed"), "{text}");
    assert!(
        text.ends_with("\n1 routine failed:\n  routine 'flusher' of main failed: disk full"),
        "{text}"
    );
    end.set();
    root.wait_done(PATIENCE).unwrap();
}

#[test]
fn a_quitting_child_says_since_when_why_and_how_long_it_has() {
    let root = Quitter::root("main");
    let db = root.child("db").unwrap();
    let store = db.child("store").unwrap();
    let (_handle, end) = deaf(&store, "deaf");
    let _ = db.quit_and_wait(Duration::ZERO);
    let snapshot = root.snapshot();
    let [main, db, store] = &snapshot.quitters[..] else {
        panic!("{snapshot}");
    };
    assert!(main.quit.is_none());
    let quit = db.quit.as_ref().unwrap();
    assert!(matches!(&*quit.cause, QuitCause::SendQuit { at } if at.file() == file!()));
    assert_eq!(quit.time_left, Some(Duration::ZERO));
    let below = store.quit.as_ref().unwrap();
    assert!(Arc::ptr_eq(&below.cause, &quit.cause));
    assert_eq!(below.time_left, Some(Duration::ZERO));
    let text = snapshot.to_string();
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines[0], "main");
    assert!(
        lines[1].starts_with("└─ db  quitting for ") && lines[1].contains(" s, its time is up,"),
        "{text}"
    );
    assert!(text.contains("received quit from send_quit at "), "{text}");
    assert!(
        text.contains("\n   └─ store  quitting\n      └─ deaf  running"),
        "{text}"
    );
    end.set();
}

#[test]
fn a_quit_below_a_quit_keeps_its_own_cause_and_the_earlier_deadline() {
    let root = Quitter::root("main");
    let db = root.child("db").unwrap();
    let _guard = db.guard("flusher").unwrap();
    db.send_quit();
    root.request_quit("enough");
    let _ = root.quit_and_wait(Duration::from_millis(1));
    let snapshot = root.snapshot();
    let quits: Vec<_> = snapshot
        .quitters
        .iter()
        .map(|at| at.quit.as_ref().unwrap())
        .collect();
    assert!(matches!(&*quits[0].cause, QuitCause::Requested { reason, .. } if reason == "enough"));
    assert!(matches!(&*quits[1].cause, QuitCause::SendQuit { .. }));
    assert_eq!(quits[1].time_left, Some(Duration::ZERO));
    // A snapshot that is taken further down says the same.
    let below = db.snapshot();
    let quit = below.quitters[0].quit.as_ref().unwrap();
    assert!(matches!(&*quit.cause, QuitCause::SendQuit { .. }));
    assert_eq!(quit.time_left, Some(Duration::ZERO));
}

#[test]
fn a_quitter_that_was_told_to_quit_is_listed_though_it_is_empty() {
    let root = Quitter::root("main");
    let [told, _idle] = ["told", "idle"].map(|name| root.child(name).unwrap());
    let below = told.child("below").unwrap();
    told.send_quit();
    assert_eq!(paths(&root.snapshot()), ["main", "main/told"]);
    drop((below, told));
    assert_eq!(paths(&root.snapshot()), ["main"]);
}

#[test]
fn a_quitter_at_which_a_thread_waits_is_listed() {
    let root = Quitter::root("main");
    let child = root.child("child").unwrap();
    let waits = child.clone();
    let thread = thread::spawn(move || waits.wait_quit());
    eventually(|| root.snapshot().quitters.len() == 2);
    let snapshot = root.snapshot();
    assert_eq!(snapshot.quitters[1].waiting, 1);
    let text = "main\n└─ child  a thread or future waits for its quit or its routines";
    assert_eq!(snapshot.to_string(), text);
    root.send_quit();
    thread.join().unwrap();
}

#[test]
fn a_routine_takes_a_snapshot_of_its_own_quitter_in_which_it_is() {
    let root = Quitter::root("main");
    let child = root.child("child").unwrap();
    let routine = child.routine("watches").add(|q| {
        let snapshot = q.snapshot();
        assert_eq!(paths(&snapshot), ["main/child"]);
        let own = snapshot.routines().find(|r| r.id == q.id()).unwrap();
        assert_eq!(own.last_seen.unwrap().line(), line!() - 3);
    });
    routine.unwrap().wait(PATIENCE).unwrap();
    assert!(root.failures().is_empty());
}

/// Several threads use a quitter so often that it gets shards.
#[test]
fn each_routine_that_lives_on_is_listed_once_beside_threads_that_start_and_end_others() {
    const STEADY: usize = 20_000;
    const THREADS: usize = 3;
    const SNAPSHOTS: usize = 4;
    within(6 * PATIENCE, || {
        let root = Quitter::root("main");
        let pools: Vec<_> = (0..10).map(|_| root.child("pool").unwrap()).collect();
        let guards: Vec<_> = (0..STEADY)
            .map(|i| pools[i % pools.len()].guard("steady").unwrap())
            .collect();
        let steady: HashSet<u64> = guards.iter().map(|guard| guard.id()).collect();
        let stop = AtomicBool::new(false);
        thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| {
                    while !stop.load(Ordering::Relaxed) {
                        for pool in &pools {
                            let child = pool.child("short").unwrap();
                            let _guards = [pool, &child].map(|at| at.guard("short").unwrap());
                        }
                    }
                });
            }
            for _ in 0..SNAPSHOTS {
                let snapshot = root.snapshot();
                let mut ids = HashSet::new();
                assert!(snapshot.routines().all(|routine| ids.insert(routine.id)));
                assert!(steady.is_subset(&ids));
                let text = snapshot.to_string();
                assert!(text.lines().count() < 400, "{text}");
            }
            stop.store(true, Ordering::Relaxed);
        });
        drop(guards);
        assert_eq!(root.snapshot().routines().count(), 0);
    });
}

#[test]
fn more_than_a_hundred_rows_are_counted_and_no_quitter_hides_the_others() {
    let root = Quitter::root("main");
    let crowd = root.child("crowd").unwrap();
    let guards = |of: usize| (0..of).map(|i| crowd.guard(format!("job {i}")).unwrap());
    let _guards: Vec<_> = guards(1000).collect();
    let other = root.child("other").unwrap();
    let _other = other.guard("flusher").unwrap();
    let text = root.snapshot().to_string();
    let lines: Vec<_> = text
        .lines()
        .map(|line| line.split("  run").next().unwrap())
        .collect();
    let rows: Vec<_> = lines.iter().filter(|line| line.contains("─ ")).collect();
    assert_eq!(rows.len(), 14, "{text}");
    assert_eq!(*rows[11], "│  └─ and 990 more routines");
    assert_eq!(rows[12..], [&"└─ other", &"   └─ flusher"]);
}

#[test]
fn of_very_many_quitters_the_first_are_shown_and_the_others_counted() {
    let root = Quitter::root("main");
    let children: Vec<_> = (0..10_000)
        .map(|i| root.child(format!("child {i}")).unwrap())
        .collect();
    let _guards: Vec<_> = children
        .iter()
        .map(|child| child.guard("guard").unwrap())
        .collect();
    let text = root.snapshot().to_string();
    assert!(
        text.ends_with("\nand 9951 more routines and 9950 more quitters"),
        "{text}"
    );
    assert_eq!(text.matches("─ ").count(), 99, "{text}");
}

#[test]
fn routines_that_differ_in_their_times_only_share_a_row() {
    let root = Quitter::root("main");
    let _workers: Vec<_> = (0..997).map(|_| root.guard("worker").unwrap()).collect();
    let text = root.snapshot().to_string();
    assert!(text.starts_with("main\n└─ worker ×997  running "), "{text}");
}

#[test]
fn a_chain_of_quitters_with_nothing_else_in_them_is_one_row() {
    let root = Quitter::root("main");
    let http = ["net", "http", "connections"]
        .into_iter()
        .fold(root.clone(), |at, name| at.child(name).unwrap());
    let _guard = http.guard("client").unwrap();
    let text = root.snapshot().to_string();
    assert!(
        text.starts_with("main\n└─ net/http/connections\n   └─ client  running"),
        "{text}"
    );
}

#[test]
fn a_chain_of_a_million_quitters_is_listed_shown_and_dropped() {
    const LEVELS: usize = 1_000_000;
    let on_a_small_stack = thread::Builder::new().stack_size(2 << 20).spawn(|| {
        let root = Quitter::root("n");
        let leaf = (1..LEVELS).fold(root.clone(), |at, _| at.child("n").unwrap());
        let _guard = leaf.guard("stuck").unwrap();
        root.send_quit();
        let snapshot = root.snapshot();
        assert_eq!(snapshot.quitters.len(), LEVELS);
        assert!(snapshot.quitters.iter().all(|at| at.quit.is_some()));
        assert_eq!(snapshot.quitters[LEVELS - 1].path.len(), 2 * LEVELS - 1);
        let text = snapshot.to_string();
        assert!(
            text.contains("\n└─ n/…/n  quitting\n   └─ stuck  running"),
            "{text}"
        );
    });
    on_a_small_stack.unwrap().join().unwrap();
}

#[test]
fn a_snapshot_that_the_program_has_cut_down_is_shown_all_the_same() {
    let root = Quitter::root("main");
    let leaf = (0..5).fold(root.clone(), |at, _| at.child("level").unwrap());
    let other = root.child("other").unwrap();
    let _guards = [&leaf, &other].map(|at| at.guard("guard").unwrap());
    let all = root.snapshot();
    let shown = |snapshot: &Snapshot| {
        let diagrams = [snapshot.to_mermaid(), snapshot.to_dot()].concat();
        snapshot.to_string() + &diagrams
    };
    for kept in 0..1 << all.quitters.len() {
        let mut some = all.clone();
        let mut bits = (0..).map(|bit| kept >> bit & 1 == 1);
        some.quitters.retain(|_| bits.next().unwrap());
        shown(&some);
        some.quitters.reverse();
        shown(&some);
    }
}

#[test]
fn a_deep_tree_is_indented_up_to_some_levels_and_shows_paths_below() {
    let root = Quitter::root("main");
    let mut at = root.clone();
    let mut guards = Vec::new();
    for level in 1..30 {
        at = at.child(format!("level{level}")).unwrap();
        guards.push(at.guard("guard").unwrap());
    }
    let text = root.snapshot().to_string();
    assert!(
        text.lines().all(|line| line.chars().count() <= 100),
        "{text}"
    );
    assert!(
        text.contains("─ main/…/level26/level27/level28/level29\n"),
        "{text}"
    );
}

/// Names that would end a line, move the cursor, or end a string in a diagram if they were not escaped.
fn hostile_names() -> Vec<String> {
    let mut names: Vec<String> = [
        "a\nmain\n└─ forged  running 0.0 s",
        "\u{1b}[2J\u{1b}[31m\r",
        "\"]; n9[\"forged\"]",
        "\\\" ]; forged -> n0; \\",
        "`**bold**` <img src=x onerror=alert(1)> <b>&lt; #quot; #35; style:x#1;",
        "classDef quitter fill:#f00; end ::: %% comment",
        "ﬂ°°34¶ß \\N \\G \\l {a|b} <f0>",
        "\u{202e}\u{2066}\0",
        "&lt;b&gt; &amp;",
        "",
    ]
    .map(String::from)
    .into();
    names.push("x\"]\n".repeat(16 * 1024));
    names
}

/// A tree in which every name and status is hostile.
fn hostile_tree() -> (Quitter, Vec<Box<dyn Send>>) {
    let root = Quitter::root(hostile_names()[0].clone());
    let mut held: Vec<Box<dyn Send>> = Vec::new();
    for name in hostile_names() {
        let child = root.child(name.clone()).unwrap();
        let guard = child.guard(name.clone()).unwrap();
        guard.set_status(name.clone());
        held.push(Box::new(guard));
        let told = child.child(name.clone()).unwrap();
        let failing = told.routine(name.clone()).on_failure(OnFailure::QuitOwn);
        let failing = failing.add(move |_| Err::<(), _>(name)).unwrap();
        failing.wait(PATIENCE).unwrap();
        held.push(Box::new(told));
    }
    (root, held)
}

#[test]
fn no_name_can_forge_a_line_or_control_the_terminal() {
    let (root, _held) = hostile_tree();
    let text = root.snapshot().to_string();
    for line in text.lines() {
        assert!(!line.chars().any(char::is_control), "{line:?}");
        assert!(
            !line.starts_with("main") && line.chars().count() < 500,
            "{line:?}"
        );
    }
    assert!(text.len() < 40_000, "{} bytes", text.len());
    assert!(!text.contains("\n└─ forged"));
}

/// Whether a label has only characters that are allowed in the chart: see `to_mermaid`.
fn is_mermaid_label(label: &str) -> bool {
    let mut rest = label.replace("<br/>", "");
    while let Some((before, after)) = rest.split_once('#') {
        let Some((number, after)) = after.split_once(';') else {
            return false;
        };
        if number.is_empty() || !number.bytes().all(|b| b.is_ascii_digit()) {
            return false;
        }
        rest = format!("{before}{after}");
    }
    let plain = |c: char| !c.is_ascii() || c.is_ascii_alphanumeric() || " _.,-/".contains(c);
    rest.chars().all(|c| plain(c) && !"ﬂ¶".contains(c))
}

/// Asserts that a chart is a tree of well-formed lines, and returns its labels.
fn mermaid_labels(chart: &str) -> Vec<&str> {
    let mut lines = chart.lines();
    assert_eq!(lines.next(), Some("flowchart LR"));
    let mut labels = Vec::new();
    let mut edges = 0;
    for line in lines.by_ref() {
        let line = line.strip_prefix("    ").unwrap();
        let number = |text: &str| text.strip_prefix('n').unwrap().parse::<usize>().unwrap();
        if line.starts_with("classDef ") {
            assert!(!line.contains(['"', ';']));
        } else if let Some((above, below)) = line.split_once(" --> ") {
            assert!(number(above) < number(below) && number(below) == labels.len() - 1);
            edges += 1;
        } else {
            let (head, class) = line.rsplit_once(":::").unwrap();
            assert!(
                ["quitter", "routine", "stuck", "more"].contains(&class),
                "{line}"
            );
            let (id, label) = head.split_once(['[', '(']).unwrap();
            assert_eq!(number(id), labels.len());
            let label = label.strip_prefix('"').unwrap();
            let label = label
                .strip_suffix("\"]")
                .or(label.strip_suffix("\")"))
                .unwrap();
            assert!(!label.is_empty() && is_mermaid_label(label), "{label}");
            labels.push(label);
        }
    }
    assert_eq!(edges, labels.len() - 1);
    labels
}

#[test]
fn a_chart_for_mermaid_has_the_tree_with_states_and_statuses() {
    let root = Quitter::root("main");
    let _workers: Vec<_> = (0..3).map(|_| root.guard("worker").unwrap()).collect();
    let db = root.child("db").unwrap();
    let flusher = db.guard("flusher").unwrap();
    flusher.set_status("flushing 3/10: \"x\"");
    let _ = db.quit_and_wait(Duration::ZERO);
    // The times depend on the machine.
    let chart = root.snapshot().to_mermaid();
    let lines = chart.lines().map(|line| match line.split_once("running ") {
        Some((before, rest)) => format!("{before}running{}", rest.split_once(" s").unwrap().1),
        None => line.to_owned(),
    });
    assert_eq!(
        lines.collect::<Vec<_>>().join("\n"),
        "\
flowchart LR
    n0[\"main\"]:::quitter
    n1(\"worker ×3<br/>running\"):::routine
    n0 --> n1
    n2[\"db<br/>quitting, its time is up\"]:::quitter
    n0 --> n2
    n3(\"flusher<br/>running<br/>flushing 3/10#58; #34;x#34;\"):::stuck
    n2 --> n3
    classDef quitter fill:#1f4e79,color:#ffffff,stroke:#0b2a45
    classDef routine fill:#e9a23b,color:#1b1b1b,stroke:#8a5a10
    classDef stuck fill:#c0392b,color:#ffffff,stroke:#7b241c
    classDef more fill:#ffffff,color:#1b1b1b,stroke:#8a8a8a"
    );
}

#[test]
fn no_name_can_break_a_chart_for_mermaid() {
    let (root, _held) = hostile_tree();
    let chart = root.snapshot().to_mermaid();
    let labels = mermaid_labels(&chart);
    assert_eq!(labels.len(), 1 + 3 * hostile_names().len());
    // Mermaid refuses longer charts.
    assert!(chart.len() < 50_000, "{} bytes", chart.len());
}

#[test]
fn of_a_crowd_a_diagram_counts_those_that_it_does_not_draw() {
    let root = Quitter::root("main");
    let children: Vec<_> = (0..500)
        .map(|i| root.child(format!("\"{i}\"")).unwrap())
        .collect();
    let _guards: Vec<_> = children
        .iter()
        .map(|child| child.guard("\"guard\"").unwrap())
        .collect();
    let snapshot = root.snapshot();
    let chart = snapshot.to_mermaid();
    let labels = mermaid_labels(&chart);
    assert_eq!(labels.len(), 101);
    assert_eq!(labels[100], "and 451 more routines and 450 more quitters");
    let graph = snapshot.to_dot();
    assert!(graph.contains("n100 [label=\"and 451 more routines and 450 more quitters\""));
    assert!(graph.contains("n0 -> n100;"));
}

/// Draws a graph if Graphviz is installed, and returns the picture.
fn drawn(graph: &str) -> Option<String> {
    let dot = Command::new("dot")
        .arg("-Tsvg")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut dot = dot.ok()?;
    dot.stdin
        .take()
        .unwrap()
        .write_all(graph.as_bytes())
        .unwrap();
    let output = dot.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}\n{graph}");
    assert!(
        !said.contains("syntax") && !said.contains("unknown"),
        "{said}"
    );
    Some(String::from_utf8(output.stdout).unwrap())
}

#[test]
fn graphviz_draws_every_node_whatever_the_names_are() {
    let (root, _held) = hostile_tree();
    let graph = root.snapshot().to_dot();
    let nodes = graph.matches(" [label=").count();
    assert_eq!(nodes, 1 + 3 * hostile_names().len());
    let Some(picture) = drawn(&graph) else {
        return; // Graphviz is not installed.
    };
    assert_eq!(picture.matches("class=\"node\"").count(), nodes);
    assert_eq!(picture.matches("class=\"edge\"").count(), nodes - 1);
    // Names are shown unchanged, though shortened. The picture has XML's escapes.
    assert!(
        picture.contains("&quot;]; n9[&quot;forged&quot;]"),
        "{picture}"
    );
    assert!(
        picture.contains(">&amp;lt;b&amp;gt; &amp;amp;<"),
        "{picture}"
    );
    assert!(!picture.contains("<title>forged"));
}
