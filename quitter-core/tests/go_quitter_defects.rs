//! The defects of go-quitter. A test for each shows that quitter does not have it.
//!
//! The defects are numbered. These have no test:
//!
//! - 20, a source that is not a channel, which go-quitter notices only at shutdown: a type error in Rust.
//!   `QuitSource::channel` takes a `Receiver`, which is never nil.
//! - 21, a nil child after the quit: a type error in Rust. `child` returns a `Result`.
//! - 25, polls that take a mutex: a matter of speed, and so for the benchmarks.
//!
//! Tests that need a main quitter run in processes of their own, because a process has only one. Such a
//! process runs this binary with one of the ignored tests below.

mod common;

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use quitter_core::{
    FailureKind, MainQuitter, OnFailure, QuitCause, QuitSource, Quitter, Quitting, RoutineGuard,
    RoutineQuitter,
};

use common::{
    Event, PATIENCE, SHORT, deaf, ids, in_own_process, in_time, is_own_process, names, paths,
    succeeds_in_own_process, text,
};

#[test]
fn defect_01_a_second_wait_does_not_deadlock() {
    let root = Quitter::root("main");
    let child = root.child("child").unwrap();
    let grandchild = child.child("grandchild").unwrap();
    for quitter in [&root, &child, &grandchild] {
        quitter.routine("routine").add(|q| q.wait_quit()).unwrap();
    }
    let all = [root.clone(), child.clone(), grandchild];
    in_time(move || {
        for quitter in &all {
            assert!(quitter.wait_done(Duration::ZERO).is_err());
            assert!(quitter.wait_done(SHORT / 10).is_err());
        }
        // First a part of the tree, then all of it.
        for quitter in [&child, &child, &root, &root] {
            quitter.quit_and_wait(PATIENCE).unwrap();
        }
        for quitter in &all {
            quitter.wait_done(Duration::ZERO).unwrap();
            quitter.wait_done(PATIENCE).unwrap();
        }
    });
}

#[test]
fn defect_02_a_manual_quit_ends_the_exit() {
    succeeds_in_own_process("own_process_a_manual_quit_ends_the_exit");
}

#[test]
#[ignore = "in a process of its own"]
fn own_process_a_manual_quit_ends_the_exit() {
    if !is_own_process() {
        return;
    }
    let (_open, silent) = crossbeam_channel::bounded::<()>(1);
    let main = MainQuitter::new(PATIENCE, [QuitSource::channel("silent", silent)]);
    let whole = (*main).clone();
    main.routine("waits").add(|q| q.wait_quit()).unwrap();
    let (send, at) = mpsc::channel();
    let quits = thread::spawn(move || {
        send.send(line!() + 1).unwrap();
        whole.send_quit();
    });
    let report = main.exit();
    quits.join().unwrap();
    assert_eq!(report.exit_code, 0);
    let QuitCause::SendQuit { at: place } = report.cause else {
        panic!("{:?}", report.cause);
    };
    assert_eq!(place.line(), at.recv().unwrap());
}

#[test]
fn defect_02_everything_finished_ends_the_exit() {
    succeeds_in_own_process("own_process_everything_finished_ends_the_exit");
}

#[test]
#[ignore = "in a process of its own"]
fn own_process_everything_finished_ends_the_exit() {
    if !is_own_process() {
        return;
    }
    let (_open, silent) = crossbeam_channel::bounded::<()>(1);
    let sources = [
        QuitSource::channel("silent", silent),
        QuitSource::all_done(),
    ];
    let main = MainQuitter::new(PATIENCE, sources);
    let (_, end) = deaf(&main.child("child").unwrap(), "job");
    let ends = thread::spawn(move || end.set());
    let report = main.exit();
    ends.join().unwrap();
    assert_eq!(report.exit_code, 0);
    assert!(
        matches!(report.cause, QuitCause::Source { index: 1, .. }),
        "{:?}",
        report.cause
    );
}

#[test]
fn defect_03_children_made_throughout_the_exit_do_not_break_the_wait() {
    for _ in 0..50 {
        let root = Quitter::root("main");
        let start = Arc::new(Barrier::new(4));
        let makers = [0, 1, 2].map(|_| {
            let (root, start) = (root.clone(), Arc::clone(&start));
            thread::spawn(move || {
                start.wait();
                let mut kept = Vec::new();
                for _ in 0..200_000 {
                    match root.child("late") {
                        Ok(child) => kept.push(child),
                        Err(Quitting) => break,
                    }
                    if let Some(deeper) = kept.last().and_then(|child| child.child("deeper").ok()) {
                        kept.push(deeper);
                    }
                }
                // From now on, every child is refused.
                assert!((0..100).all(|_| root.child("later").is_err()));
                kept.len()
            })
        });
        start.wait();
        let whole = root.clone();
        in_time(move || whole.quit_and_wait(PATIENCE)).unwrap();
        for maker in makers {
            maker.join().unwrap();
        }
        root.wait_done(Duration::ZERO).unwrap();
    }
}

#[test]
fn defect_04_no_child_is_lost_when_many_threads_make_children() {
    const THREADS: usize = 4;
    const EACH: usize = 2_500;
    let root = Quitter::root("main");
    let start = Arc::new(Barrier::new(THREADS));
    let makers: Vec<_> = (0..THREADS)
        .map(|_| {
            let (root, start) = (root.clone(), Arc::clone(&start));
            thread::spawn(move || {
                start.wait();
                let guard = |_| root.child("child").unwrap().guard("guard").unwrap();
                (0..EACH).map(guard).collect::<Vec<RoutineGuard>>()
            })
        })
        .collect();
    let guards: Vec<_> = makers
        .into_iter()
        .flat_map(|maker| maker.join().unwrap())
        .collect();
    let mut listed = ids(&root.wait_done(Duration::ZERO).unwrap_err());
    listed.sort_unstable();
    let mut made: Vec<_> = guards.iter().map(|guard| guard.id()).collect();
    made.sort_unstable();
    assert_eq!(listed.len(), THREADS * EACH);
    assert_eq!(listed, made);
    root.send_quit();
    assert!(guards.iter().all(|guard| guard.has_to_quit()));
    drop(guards);
    root.wait_done(Duration::ZERO).unwrap();
}

#[test]
fn defect_05_three_routines_of_one_function_are_told_apart() {
    struct HeartBeat(Event);
    impl HeartBeat {
        fn run_child(&self, _: &RoutineQuitter) {
            self.0.wait();
        }
    }
    let root = Quitter::root("main");
    let ends = [Event::new(), Event::new(), Event::new()];
    let handles = ends.clone().map(|end| {
        let beat = HeartBeat(end);
        root.add_routine(move |q: &RoutineQuitter| beat.run_child(q))
            .unwrap()
    });
    ends[0].set();
    ends[1].set();
    handles[0].wait(PATIENCE).unwrap();
    handles[1].wait(PATIENCE).unwrap();

    let timeouts = root.quit_and_wait(SHORT).unwrap_err();
    assert_eq!(ids(&timeouts), [handles[2].id()]);
    assert_eq!(timeouts.len(), 1);
    let stuck = timeouts.routines().next().unwrap();
    assert!(stuck.name.starts_with("closure in "), "{}", stuck.name);
    ends[2].set();
    handles[2].wait(PATIENCE).unwrap();
    root.wait_done(Duration::ZERO).unwrap();
}

#[cfg(target_os = "linux")]
#[test]
fn defect_06_finished_children_leave_neither_threads_nor_memory() {
    succeeds_in_own_process("own_process_finished_children_leave_neither_threads_nor_memory");
}

/// This asks the operating system; `memory.rs` counts bytes.
#[cfg(target_os = "linux")]
#[test]
#[ignore = "in a process of its own"]
fn own_process_finished_children_leave_neither_threads_nor_memory() {
    if !is_own_process() {
        return;
    }
    let root = Quitter::root("main");
    let make = |count| {
        for _ in 0..count {
            let child = root.child("child").unwrap();
            drop(child.guard("guard").unwrap());
        }
    };
    make(1_000);
    let threads = common::os_threads();
    let memory = common::resident_kib();
    make(100_000);
    assert_eq!(common::os_threads(), threads);
    let grown = common::resident_kib().saturating_sub(memory);
    assert!(grown < 4 * 1024, "grown by {grown} KiB");
}

#[test]
fn defect_07_a_parent_becomes_idle_without_a_quit() {
    let root = Quitter::root("main");
    let parent = root.child("parent").unwrap();
    let idle = parent.child("idle").unwrap();
    let passing = parent.child("passing").unwrap();
    passing.add_routine(|_| {}).unwrap();
    drop(passing);
    parent.wait_done(PATIENCE).unwrap();
    root.wait_done(PATIENCE).unwrap();
    assert!(!idle.has_to_quit());
}

#[test]
fn defect_08_a_quit_has_spread_when_it_returns() {
    for _ in 0..100 {
        let root = Quitter::root("main");
        let mut all = vec![root.clone()];
        for _ in 0..50 {
            let deeper = all[all.len() - 1].child("child").unwrap();
            all.push(deeper);
        }
        let (quit, was_quit) = mpsc::channel::<()>();
        let observer = thread::spawn(move || {
            was_quit.recv().unwrap();
            for quitter in all.iter().rev() {
                assert!(quitter.has_to_quit());
                assert!(quitter.add_routine(|_| {}).is_err());
                assert!(quitter.child("late").is_err());
            }
        });
        root.send_quit();
        quit.send(()).unwrap();
        observer.join().unwrap();
    }
}

#[test]
fn defect_09_no_accepted_routine_runs_after_all_done() {
    for _ in 0..500 {
        let root = Quitter::root("main");
        let child = root.child("child").unwrap();
        let all_done = Arc::new(AtomicBool::new(false));
        let late = Arc::new(AtomicUsize::new(0));
        let start = Arc::new(Barrier::new(2));
        let adder = {
            let (all_done, late) = (Arc::clone(&all_done), Arc::clone(&late));
            let start = Arc::clone(&start);
            thread::spawn(move || {
                start.wait();
                for _ in 0..5 {
                    let (all_done, late) = (Arc::clone(&all_done), Arc::clone(&late));
                    let added = child.add_routine(move |_| {
                        if all_done.load(Ordering::SeqCst) {
                            late.fetch_add(1, Ordering::SeqCst);
                        }
                    });
                    // The handle can wait for the routine even if the tree has lost it.
                    if let Ok(handle) = added {
                        handle.wait(PATIENCE).unwrap();
                    }
                }
            })
        };
        start.wait();
        root.quit_and_wait(PATIENCE).unwrap();
        all_done.store(true, Ordering::SeqCst);
        adder.join().unwrap();
        assert_eq!(late.load(Ordering::SeqCst), 0);
    }
}

#[test]
fn defect_10_done_is_not_sticky() {
    let root = Quitter::root("main");
    root.add_routine(|_| {}).unwrap();
    root.wait_done(PATIENCE).unwrap();
    let (stuck, end) = deaf(&root, "stuck");
    assert_eq!(ids(&root.wait_done(SHORT).unwrap_err()), [stuck.id()]);
    assert_eq!(ids(&root.quit_and_wait(SHORT).unwrap_err()), [stuck.id()]);
    end.set();
    stuck.wait(PATIENCE).unwrap();
    root.wait_done(Duration::ZERO).unwrap();
}

#[test]
fn defect_11_a_finished_quitter_is_never_reported_and_a_live_one_always() {
    let root = Quitter::root("main");
    let child = root.child("child").unwrap();
    child.add_routine(|_| {}).unwrap().wait(PATIENCE).unwrap();
    for _ in 0..10_000 {
        root.wait_done(Duration::ZERO).unwrap();
    }
    let _guard = child.guard("guard").unwrap();
    for _ in 0..10_000 {
        assert_eq!(root.wait_done(Duration::ZERO).unwrap_err().len(), 1);
    }
}

#[test]
fn defect_12_a_report_holds_only_what_is_live_now() {
    let root = Quitter::root("main");
    let child = root.child("child").unwrap();
    let (slow, slow_ends) = deaf(&child, "slow");
    assert_eq!(ids(&child.quit_and_wait(SHORT).unwrap_err()), [slow.id()]);
    slow_ends.set();
    slow.wait(PATIENCE).unwrap();

    let (stuck, stuck_ends) = deaf(&root, "stuck");
    let timeouts = root.quit_and_wait(SHORT).unwrap_err();
    assert_eq!(ids(&timeouts), [stuck.id()]);
    assert_eq!(paths(&timeouts), ["main"]);
    stuck_ends.set();
    stuck.wait(PATIENCE).unwrap();
    root.wait_done(Duration::ZERO).unwrap();
}

#[test]
fn defect_12_a_report_has_a_stable_order() {
    let root = Quitter::root("main");
    let children: Vec<_> = (0..20)
        .map(|at| root.child(at.to_string()).unwrap())
        .collect();
    let guards: Vec<_> = (0..100)
        .map(|at| children[at * 7 % 20].guard(at.to_string()).unwrap())
        .collect();
    // Leaves holes in the lists, for later routines to fill.
    let guards: Vec<_> = guards
        .into_iter()
        .enumerate()
        .filter_map(|(at, guard)| (at % 3 > 0).then_some(guard))
        .collect();
    let more: Vec<_> = children
        .iter()
        .map(|child| child.guard("more").unwrap())
        .collect();
    let first = root.wait_done(Duration::ZERO).unwrap_err();
    let order: Vec<_> = children.iter().map(Quitter::path).collect();
    assert_eq!(paths(&first), order);
    for at in &first {
        assert!(
            at.routines.is_sorted_by_key(|routine| routine.id),
            "{first}"
        );
    }
    assert_eq!(first.len(), guards.len() + more.len());
    for _ in 0..20 {
        assert_eq!(
            ids(&root.wait_done(Duration::ZERO).unwrap_err()),
            ids(&first)
        );
    }
}

#[test]
fn defect_13_a_child_named_main_hands_its_timeouts_up() {
    let root = Quitter::root("main");
    let twins = ["main", "main"].map(|name| root.child(name).unwrap());
    let stuck = twins.each_ref().map(|twin| twin.guard("stuck").unwrap());
    let timeouts = root.quit_and_wait(SHORT).unwrap_err();
    assert_eq!(paths(&timeouts), ["main/main", "main/main"]);
    assert_eq!(ids(&timeouts), stuck.each_ref().map(|guard| guard.id()));
}

#[test]
fn defect_14_the_message_the_first_cause_and_the_later_ones_are_told() {
    succeeds_in_own_process("own_process_the_message_the_first_cause_and_the_later_ones_are_told");
}

#[test]
#[ignore = "in a process of its own"]
fn own_process_the_message_the_first_cause_and_the_later_ones_are_told() {
    if !is_own_process() {
        return;
    }
    let (_open, silent) = crossbeam_channel::bounded::<()>(1);
    let (admin, commands) = crossbeam_channel::bounded::<String>(1);
    let (dropped, closes) = crossbeam_channel::bounded::<String>(1);
    let sources = [
        QuitSource::channel("silent", silent),
        QuitSource::channel("admin says stop", commands),
        QuitSource::channel("closes", closes),
    ];
    let main = MainQuitter::new(PATIENCE, sources);
    admin.send("for the update".to_owned()).unwrap();
    main.wait_quit();
    drop(dropped);
    let report = main.exit();
    let source = |index, description: &str, message: Option<&str>, closed| QuitCause::Source {
        index,
        description: description.to_owned(),
        message: message.map(str::to_owned),
        closed,
    };
    assert_eq!(
        report.cause,
        source(1, "admin says stop", Some("for the update"), false)
    );
    assert_eq!(report.later_causes, [source(2, "closes", None, true)]);
    assert_eq!(report.exit_code, 0);
}

#[test]
fn defect_14_a_closed_channel_is_told_apart_from_a_message() {
    succeeds_in_own_process("own_process_a_closed_channel_is_told_apart_from_a_message");
}

#[test]
#[ignore = "in a process of its own"]
fn own_process_a_closed_channel_is_told_apart_from_a_message() {
    if !is_own_process() {
        return;
    }
    let (dropped, closes) = crossbeam_channel::bounded::<String>(1);
    let main = MainQuitter::new(PATIENCE, [QuitSource::channel("closes", closes)]);
    drop(dropped);
    let report = main.exit();
    let QuitCause::Source {
        closed, message, ..
    } = &report.cause
    else {
        panic!("{:?}", report.cause);
    };
    assert_eq!((*closed, message), (true, &None));
}

#[test]
fn defect_15_a_failed_source_shows_in_the_exit_code() {
    let output = in_own_process("own_process_a_failed_source_shows_in_the_exit_code");
    let text = text(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(
        text.contains("Received quit from 'HTTP server error': port in use"),
        "{text}"
    );
}

#[test]
#[ignore = "in a process of its own"]
fn own_process_a_failed_source_shows_in_the_exit_code() {
    if !is_own_process() {
        return;
    }
    let (failed, errors) = crossbeam_channel::bounded::<std::io::Error>(1);
    let source = QuitSource::channel("HTTP server error", errors).as_failure();
    let main = MainQuitter::new(PATIENCE, [source]);
    failed.send(std::io::Error::other("port in use")).unwrap();
    std::process::exit(main.exit().exit_code.into());
}

#[test]
fn defect_15_a_failed_routine_shows_in_the_exit_code() {
    let output = in_own_process("own_process_a_failed_routine_shows_in_the_exit_code");
    let text = text(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(
        text.contains("routine 'http server' of main failed: port in use"),
        "{text}"
    );
}

#[test]
#[ignore = "in a process of its own"]
fn own_process_a_failed_routine_shows_in_the_exit_code() {
    if !is_own_process() {
        return;
    }
    let (_open, silent) = crossbeam_channel::bounded::<()>(1);
    let main = MainQuitter::new(PATIENCE, [QuitSource::channel("silent", silent)]);
    main.routine("http server")
        .add(|_| Err::<(), _>("port in use"))
        .unwrap();
    let report = main.exit();
    eprintln!("{report}");
    std::process::exit(report.exit_code.into());
}

#[test]
fn defect_16_a_panic_in_a_routine_is_recorded_and_the_siblings_are_told() {
    let root = Quitter::root("main");
    let [a, b] = ["a", "b"].map(|name| root.child(name).unwrap());
    let sibling = b.routine("sibling").add(|q| q.wait_quit()).unwrap();
    let panics = a.routine("panics");
    let line = line!() + 1;
    panics.add(|_| panic!("out of cheese")).unwrap();
    sibling.wait(PATIENCE).unwrap();
    root.wait_done(PATIENCE).unwrap();
    let failure = &root.failures()[0];
    assert_eq!((&failure.path[..], &failure.name[..]), ("main/a", "panics"));
    let FailureKind::Panic { message, place } = &failure.kind else {
        panic!("{failure:?}");
    };
    assert_eq!(message, "out of cheese");
    let place = place.as_deref().unwrap();
    assert!(
        place.starts_with(&format!("{}:{line}:", file!())),
        "{place}"
    );
}

#[test]
fn defect_17_a_panic_in_main_is_reported_without_waiting_for_a_signal() {
    succeeds_in_own_process("own_process_a_panic_in_main_is_reported");
}

#[test]
#[ignore = "in a process of its own"]
fn own_process_a_panic_in_main_is_reported() {
    if !is_own_process() {
        return;
    }
    let report = MainQuitter::builder().timeout(PATIENCE).run(|main| {
        main.routine("waits").add(|q| q.wait_quit()).unwrap();
        panic!("no configuration");
    });
    assert_eq!(report.exit_code, 1);
    assert!(
        matches!(report.cause, QuitCause::MainFailed { .. }),
        "{:?}",
        report.cause
    );
    // The report may break a line between any two words.
    let text = report.to_string().replace("\n      ", " ");
    assert!(
        text.contains("no configuration") && text.contains(file!()),
        "{text}"
    );
}

#[test]
fn defect_17_an_early_error_in_main_is_reported_without_waiting_for_a_signal() {
    succeeds_in_own_process("own_process_an_early_error_in_main_is_reported");
}

#[test]
#[ignore = "in a process of its own"]
fn own_process_an_early_error_in_main_is_reported() {
    if !is_own_process() {
        return;
    }
    let report = MainQuitter::builder().timeout(PATIENCE).run(|_| {
        "seven".parse::<u8>()?;
        Ok::<_, std::num::ParseIntError>(())
    });
    assert_eq!(report.exit_code, 1);
    assert!(
        matches!(report.cause, QuitCause::MainFailed { .. }),
        "{:?}",
        report.cause
    );
    assert!(report.to_string().contains("InvalidDigit"), "{report}");
}

#[cfg(unix)]
fn raise(signal: nix::sys::signal::Signal) {
    nix::sys::signal::kill(nix::unistd::Pid::this(), signal).unwrap();
}

#[cfg(unix)]
#[test]
fn defect_18_a_signal_during_a_long_main_body_is_seen_by_routines_at_once() {
    succeeds_in_own_process("own_process_a_signal_during_a_long_main_body");
}

#[cfg(unix)]
#[test]
#[ignore = "in a process of its own"]
fn own_process_a_signal_during_a_long_main_body() {
    if !is_own_process() {
        return;
    }
    let main = MainQuitter::new(PATIENCE, [QuitSource::os_signal()]);
    let (send, seen) = mpsc::channel();
    main.child("child")
        .unwrap()
        .add_routine(move |q: &RoutineQuitter| {
            q.wait_quit();
            send.send(q.quit_cause()).unwrap();
        })
        .unwrap();
    raise(nix::sys::signal::SIGTERM);
    // Stands in for a long body, which calls `exit` only once the routine has seen the quit.
    let cause = seen.recv_timeout(PATIENCE).unwrap();
    let report = main.exit();
    assert_eq!(Some(&report.cause), cause.as_ref());
    let QuitCause::Source {
        index: 0, message, ..
    } = &report.cause
    else {
        panic!("{:?}", report.cause);
    };
    assert_eq!(message.as_deref(), Some("SIGTERM"));
    assert_eq!(report.exit_code, 0);
}

#[cfg(unix)]
#[test]
fn defect_19_a_second_signal_ends_the_process() {
    let from = Instant::now();
    let output = in_own_process("own_process_a_second_signal_ends_the_process");
    let text = text(&output);
    assert_eq!(output.status.code(), Some(130), "{text}");
    assert!(from.elapsed() < PATIENCE);
}

#[cfg(unix)]
#[test]
#[ignore = "in a process of its own"]
fn own_process_a_second_signal_ends_the_process() {
    if !is_own_process() {
        return;
    }
    let main = MainQuitter::new(6 * PATIENCE, [QuitSource::os_signal()]);
    let (_, _end) = deaf(&main, "deaf");
    // Not SIGINT, which is ignored if the tests run in the background of a shell.
    raise(nix::sys::signal::SIGTERM);
    main.wait_quit();
    // A signal that comes sooner would count as one of a pair.
    std::thread::sleep(Duration::from_millis(550));
    raise(nix::sys::signal::SIGTERM);
    let report = main.exit();
    panic!("the second signal was swallowed: {report}");
}

#[test]
fn defect_22_the_quit_channel_is_pending_before_and_ready_after_for_ever() {
    let root = Quitter::root("main");
    let child = root.child("child").unwrap();
    let token = child.quit_chan().clone();
    assert!(token.try_recv().unwrap_err().is_empty());
    assert!(token.recv_timeout(SHORT).unwrap_err().is_timeout());
    root.send_quit();
    for _ in 0..100 {
        assert!(token.try_recv().unwrap_err().is_disconnected());
    }
    // A channel that is first requested after the quit is closed, too.
    assert!(root.quit_chan().try_recv().unwrap_err().is_disconnected());
}

#[test]
fn defect_23_a_later_wait_has_a_timeout_of_its_own() {
    let root = Quitter::root("main");
    let below = root.child("child").unwrap().child("grandchild").unwrap();
    let (_, end) = deaf(&below, "slow");
    assert!(root.wait_done(Duration::ZERO).is_err());
    assert!(root.wait_done(SHORT).is_err());
    let from = Instant::now();
    assert!(root.wait_done(4 * SHORT).is_err());
    assert!(from.elapsed() >= 4 * SHORT);
    let waiter = thread::spawn(move || root.wait_done(PATIENCE));
    end.set();
    waiter.join().unwrap().unwrap();
}

#[cfg(target_os = "linux")]
#[test]
fn defect_23_a_wait_that_timed_out_leaves_no_waiter() {
    succeeds_in_own_process("own_process_a_wait_that_timed_out_leaves_no_waiter");
}

#[cfg(target_os = "linux")]
#[test]
#[ignore = "in a process of its own"]
fn own_process_a_wait_that_timed_out_leaves_no_waiter() {
    if !is_own_process() {
        return;
    }
    let root = Quitter::root("main");
    let _guard = root.child("child").unwrap().guard("stuck").unwrap();
    let threads = common::os_threads();
    for _ in 0..100 {
        assert!(root.wait_done(Duration::from_millis(1)).is_err());
    }
    assert_eq!(common::os_threads(), threads);
}

#[test]
fn defect_24_a_tree_has_as_many_lives_as_one_makes_roots() {
    for _ in 0..3 {
        let roots = ["main", "main"].map(Quitter::root);
        let (stuck, end) = deaf(&roots[0], "stuck");
        // The two trees are independent.
        roots[1].quit_and_wait(PATIENCE).unwrap();
        assert!(!roots[0].has_to_quit());
        assert_eq!(
            ids(&roots[0].quit_and_wait(SHORT).unwrap_err()),
            [stuck.id()]
        );
        end.set();
        stuck.wait(PATIENCE).unwrap();
        roots[0].wait_done(Duration::ZERO).unwrap();
    }
}

#[test]
fn defect_26_everything_public_has_a_name_and_a_routine_may_quit_and_wait() {
    /// A supervisor as users write it: they must be able to name each type.
    struct Supervisor {
        below: Quitter,
        seen: Arc<Mutex<Vec<String>>>,
    }
    impl Supervisor {
        fn run(&self, q: &RoutineQuitter) -> Result<(), quitter_core::Timeouts> {
            q.wait_quit();
            self.below.quit_and_wait(PATIENCE)?;
            self.seen.lock().unwrap().push(q.name().to_owned());
            Ok(())
        }
    }
    let root = Quitter::root("main");
    let seen = Arc::default();
    let below = root.child("below").unwrap();
    below.routine("worker").add(|q| q.wait_quit()).unwrap();
    let supervisor = Supervisor {
        below,
        seen: Arc::clone(&seen),
    };
    let builder: quitter_core::RoutineBuilder<'_> = root.routine("supervisor");
    let handle: quitter_core::RoutineHandle = builder
        .on_failure(OnFailure::QuitOwn)
        .add(move |q: &RoutineQuitter| supervisor.run(q))
        .unwrap();
    root.send_quit();
    handle.wait(PATIENCE).unwrap();
    assert_eq!(*seen.lock().unwrap(), ["supervisor"]);
}

#[test]
fn defect_26_a_routine_between_two_beats_quits_at_once() {
    let hour = Duration::from_secs(3600);
    let root = Quitter::root("main");
    let start = Arc::new(Barrier::new(3));
    let starts = [0, 1].map(|_| Arc::clone(&start));
    let [a, b] = starts;
    root.routine("ticks")
        .add(move |q: &RoutineQuitter| {
            a.wait();
            for _ in q.ticks(hour) {}
        })
        .unwrap();
    root.routine("sleeps")
        .add(move |q: &RoutineQuitter| {
            b.wait();
            q.sleep(hour)
        })
        .unwrap();
    start.wait();
    let live = root.wait_done(Duration::ZERO).unwrap_err();
    assert_eq!(names(&live), ["ticks", "sleeps"]);
    root.quit_and_wait(PATIENCE).unwrap();
    assert!(root.failures().is_empty());
}
