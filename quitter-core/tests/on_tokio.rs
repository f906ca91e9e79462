//! Tasks on tokio, and waits that tasks await.

#![cfg(all(feature = "tokio", not(loom)))]

#[macro_use]
mod common;

use std::cell::Cell;
use std::future::pending;
use std::pin::pin;
use std::process::{ExitCode, Termination};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

use futures_lite::future::poll_once;
use quitter_core::{
    AddRoutineError, End, ExitReport, MainQuitter, OnFailure, QuitSource, Quitter, Quitting,
    RoutineKind, RoutineQuitter, RoutineState,
};
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::oneshot;
use tokio::task::{LocalSet, coop};

use common::waits::eventually;
use common::{
    Event, PATIENCE, SHORT, deaf, in_own_process, in_time, is_own_process, names, only, telling,
    text,
};

fn several_threads() -> Runtime {
    Builder::new_multi_thread()
        .worker_threads(2)
        .enable_time()
        .build()
        .unwrap()
}

fn one_thread() -> Runtime {
    Builder::new_current_thread().enable_time().build().unwrap()
}

/// A runtime of each flavour.
fn runtimes() -> [Runtime; 2] {
    [several_threads(), one_thread()]
}

async fn heartbeat(q: RoutineQuitter) -> Result<(), Quitting> {
    loop {
        q.cancel_on_quit(tokio::time::sleep(Duration::from_millis(1)))
            .await?;
    }
}

// ── Tasks ───────────────────────────────────────────────────────────────────────────────────────

#[test]
fn a_task_is_named_after_its_function_listed_and_ends_at_the_quit() {
    for runtime in runtimes() {
        runtime.block_on(async {
            let root = Quitter::root("root");
            let here = line!() + 1;
            let beat = root.add_task(heartbeat).unwrap();
            assert_eq!(beat.name(), "heartbeat");
            let until = Instant::now() + PATIENCE;
            let timeouts = loop {
                let timeouts = root.wait_done_async(SHORT).await.unwrap_err();
                // The task is "last seen" once it was polled.
                if only(&timeouts).last_seen.is_some() {
                    break timeouts;
                }
                assert!(Instant::now() < until, "{timeouts}");
            };
            let listed = only(&timeouts);
            assert_eq!((listed.id, listed.kind), (beat.id(), RoutineKind::Task));
            assert_eq!(
                (listed.spawned_at.file(), listed.spawned_at.line()),
                (file!(), here)
            );
            assert_eq!(listed.last_seen.unwrap().file(), file!());
            root.quit_and_wait_async(PATIENCE).await.unwrap();
            assert!(beat.is_finished() && root.failures().is_empty());
        });
    }
}

#[test]
fn a_task_fails_as_a_thread_does() {
    for runtime in runtimes() {
        runtime.block_on(async {
            let root = Quitter::root("root");
            root.on_failure(OnFailure::FailAtExit);
            root.add_task(|_| async { Err::<(), _>("disk full") })
                .unwrap();
            root.wait_done_async(PATIENCE).await.unwrap();
            let panics = |_| async { panic!("out of range") };
            root.routine("panics")
                .on_failure(OnFailure::QuitMain)
                .add_task(panics)
                .unwrap();
            root.wait_done_async(PATIENCE).await.unwrap();
            let failures = root.failures();
            assert_eq!(failures[0].kind.to_string(), "failed: disk full");
            assert!(
                failures[1].kind.to_string().contains("on_tokio.rs"),
                "{}",
                failures[1]
            );
            assert!(root.has_to_quit());
        });
    }
}

#[test]
fn outside_of_a_runtime_the_error_says_what_to_write() {
    let root = Quitter::root("root");
    let error = root.routine("beat").add_task(heartbeat).unwrap_err();
    assert!(matches!(&error, AddRoutineError::NoRuntime { name } if name == "beat"));
    let text = error.to_string();
    let write = "quitter.routine(\"beat\").on(runtime.handle()).add_task(..)";
    assert!(text.contains(write), "{text}");
    assert!(!error.is_quitting());
    root.wait_done(Duration::ZERO).unwrap();
}

#[test]
fn a_task_may_be_started_on_a_named_runtime_from_any_thread_or_another_runtime() {
    let runtime = several_threads();
    let root = Quitter::root("root");
    root.routine("beat")
        .on(runtime.handle())
        .add_task(heartbeat)
        .unwrap();
    let other = one_thread();
    let on_which = other.block_on(async {
        let (send, receive) = oneshot::channel();
        let which = root.routine("which").on(runtime.handle());
        which
            .add_task(|_| async { _ = send.send(tokio::runtime::Handle::current().id()) })
            .unwrap();
        receive.await.unwrap()
    });
    assert_eq!(on_which, runtime.handle().id());
    root.quit_and_wait(PATIENCE).unwrap();
}

#[test]
fn a_runtime_that_is_shut_down_takes_no_task() {
    for runtime in runtimes() {
        let root = Quitter::root("root");
        let handle = runtime.handle().clone();
        drop(runtime);
        let error = root
            .routine("late")
            .on(&handle)
            .add_task(heartbeat)
            .unwrap_err();
        assert!(matches!(error, AddRoutineError::RuntimeShutDown { name } if name == "late"));
        root.wait_done(Duration::ZERO).unwrap();
        assert!(root.failures().is_empty());
    }
}

#[test]
fn a_quitter_that_quits_takes_no_task() {
    let runtime = one_thread();
    runtime.block_on(async {
        let root = Quitter::root("root");
        root.send_quit();
        let error = root.add_task(|_| async { unreachable!() }).unwrap_err();
        assert!(error.is_quitting());
    });
}

#[test]
fn tasks_that_tasks_fork_are_waited_for() {
    fn fork(q: &RoutineQuitter, depth: u32, ran: Arc<AtomicUsize>) {
        let add = q.add_task(move |q| async move {
            ran.fetch_add(1, Ordering::SeqCst);
            tokio::task::yield_now().await;
            for _ in 0..2 * u32::from(depth > 0) {
                fork(&q, depth - 1, Arc::clone(&ran));
            }
        });
        add.unwrap();
    }
    for runtime in runtimes() {
        let ran = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&ran);
        runtime.block_on(async {
            let root = Quitter::root("root");
            root.add_task(|q| async move { fork(&q, 8, count) })
                .unwrap();
            root.wait_done_async(PATIENCE).await.unwrap();
        });
        assert_eq!(ran.load(Ordering::SeqCst), (1 << 9) - 1);
    }
}

#[test]
fn tasks_of_a_local_set_are_routines_too() {
    let runtime = one_thread();
    let count = Rc::new(Cell::new(0));
    runtime.block_on(LocalSet::new().run_until(async {
        let root = Quitter::root("root");
        for _ in 0..10 {
            let count = Rc::clone(&count);
            let task = root.routine("local").task(|q| async move {
                q.quitting().await;
                count.set(count.get() + 1);
            });
            tokio::task::spawn_local(task.unwrap());
        }
        assert_eq!(root.wait_done_async(SHORT).await.unwrap_err().len(), 10);
        root.quit_and_wait_async(PATIENCE).await.unwrap();
    }));
    assert_eq!(count.get(), 10);
}

#[test]
fn a_local_set_that_is_dropped_cancels_its_tasks() {
    let runtime = one_thread();
    let root = Quitter::root("root");
    let set = LocalSet::new();
    set.spawn_local(root.routine("local").task(|_| pending::<()>()).unwrap());
    runtime.block_on(set.run_until(tokio::task::yield_now()));
    assert!(root.wait_done(Duration::ZERO).is_err());
    drop(set);
    root.wait_done(Duration::ZERO).unwrap();
    assert!(root.failures().is_empty());
}

#[test]
fn a_runtime_that_is_dropped_under_its_tasks_cancels_them() {
    for runtime in runtimes() {
        let root = Quitter::root("root");
        for _ in 0..10 {
            root.routine("task")
                .on(runtime.handle())
                .add_task(|_| pending::<()>())
                .unwrap();
        }
        runtime.block_on(tokio::task::yield_now());
        assert_eq!(root.wait_done(Duration::ZERO).unwrap_err().len(), 10);
        drop(runtime);
        root.wait_done(Duration::ZERO).unwrap();
        assert!(root.failures().is_empty() && !root.has_to_quit());
    }
}

/// A task on a runtime that nothing drives is live all the same.
#[test]
fn a_task_that_is_never_polled_is_listed() {
    let runtime = one_thread();
    let root = Quitter::root("root");
    root.routine("unpolled")
        .on(runtime.handle())
        .add_task(heartbeat)
        .unwrap();
    let timeouts = root.quit_and_wait(SHORT).unwrap_err();
    assert_eq!(only(&timeouts).last_seen, None);
    drop(runtime);
    root.wait_done(Duration::ZERO).unwrap();
}

#[test]
fn an_aborted_task_is_cancelled_and_has_not_failed() {
    for runtime in runtimes() {
        runtime.block_on(async {
            let root = Quitter::root("root");
            let task = root.add_task(|_| pending::<()>()).unwrap();
            tokio::task::yield_now().await;
            assert!(task.abort());
            task.wait_async(PATIENCE).await.unwrap();
            assert!(!task.abort());
            task.unpark();
            root.wait_done_async(Duration::ZERO).await.unwrap();
            assert!(root.failures().is_empty() && !root.has_to_quit());
        });
    }
}

#[test]
fn a_thread_cannot_be_aborted() {
    let root = Quitter::root("root");
    let (thread, end) = deaf(&root, "thread");
    assert!(!thread.abort());
    assert!(!thread.is_finished());
    end.set();
    thread.wait(PATIENCE).unwrap();
}

// ── Waits ───────────────────────────────────────────────────────────────────────────────────────

#[test]
fn an_awaited_wait_looks_once_waits_for_ever_and_stands_any_duration() {
    for runtime in runtimes() {
        runtime.block_on(async {
            let root = Quitter::root("root");
            root.wait_done_async(Duration::ZERO).await.unwrap();
            root.wait_done_async(Duration::MAX).await.unwrap();
            let years =
                [1, 2, 10, 1000, 1_000_000].map(|years| Duration::from_secs(years * 31_536_000));
            let (task, end) = deaf(&root, "thread");
            let begin = |timeout| {
                let (begin, begins) = oneshot::channel();
                let wait = telling(root.wait_done_async(timeout), || begin.send(()).unwrap());
                (begins, tokio::spawn(wait))
            };
            let longest = [Duration::MAX, Duration::MAX / 2];
            let waits: Vec<_> = years.into_iter().chain(longest).map(begin).collect();
            assert!(root.wait_done_async(Duration::ZERO).await.is_err());
            let mut waiting = Vec::new();
            for (begins, wait) in waits {
                begins.await.unwrap();
                waiting.push(wait);
            }
            end.set();
            for wait in waiting {
                let wait = tokio::time::timeout(PATIENCE, wait).await.unwrap();
                wait.unwrap().unwrap();
            }
            task.wait_async(PATIENCE).await.unwrap();
        });
    }
}

#[test]
fn an_awaited_wait_ends_in_time_with_a_list_and_leaves_the_task_out_that_awaits() {
    for runtime in runtimes() {
        let root = Quitter::root("root");
        let of_task = root.clone();
        let (thread, end) = deaf(&root, "thread");
        let id = thread.id();
        let supervisor = root.routine("supervisor").on(runtime.handle());
        let supervisor = supervisor.add_task(move |_| async move {
            let from = Instant::now();
            let timeouts = of_task.wait_done_async(SHORT).await.unwrap_err();
            assert!(from.elapsed() >= SHORT);
            assert_eq!(only(&timeouts).id, id);
            assert_eq!(only(&thread.wait_async(SHORT).await.unwrap_err()).id, id);
            end.set();
            of_task.wait_done_async(PATIENCE).await.unwrap();
        });
        runtime
            .block_on(supervisor.unwrap().wait_async(PATIENCE))
            .unwrap();
        assert!(root.failures().is_empty(), "{:?}", root.failures());
    }
}

#[test]
fn a_task_whose_awaited_wait_is_over_waits_for_others_no_more() {
    for runtime in runtimes() {
        let root = Quitter::root("root");
        let child = root.child("child").unwrap();
        let guard = child.guard("guard").unwrap();
        let (tell, told) = oneshot::channel();
        let task = root.routine("task").on(runtime.handle());
        let task = task.add_task(move |q| async move {
            assert!(child.wait_done_async(SHORT).await.is_err());
            tell.send(()).unwrap();
            q.quitting().await;
        });
        runtime.block_on(told).unwrap();
        let snapshot = root.snapshot();
        let listed = snapshot.routines().find(|routine| routine.name == "task");
        assert_eq!(listed.unwrap().state, RoutineState::Running);
        drop(guard);
        root.send_quit();
        runtime
            .block_on(task.unwrap().wait_async(PATIENCE))
            .unwrap();
    }
}

#[test]
fn the_deadline_of_a_quit_ends_an_awaited_wait_that_has_begun() {
    for runtime in runtimes() {
        let root = Quitter::root("root");
        let child = root.child("child").unwrap();
        let (_, end) = deaf(&child, "thread");
        let (begin, begins) = oneshot::channel();
        let wait = child.wait_done_async(Duration::MAX);
        let waiting = runtime.spawn(telling(wait, || begin.send(()).unwrap()));
        let quits = root.clone();
        let timeouts = runtime.block_on(async move {
            begins.await.unwrap();
            quits.quit_and_wait_async(SHORT).await.unwrap_err()
        });
        assert_eq!(names(&timeouts), ["thread"]);
        let waiting = runtime.block_on(async { tokio::time::timeout(PATIENCE, waiting).await });
        let timeouts = waiting.unwrap().unwrap().unwrap_err();
        assert_eq!(names(&timeouts), ["thread"]);
        assert!(timeouts.after() < Duration::MAX);
        end.set();
        root.wait_done(PATIENCE).unwrap();
    }
}

#[test]
fn a_wait_that_is_dropped_leaves_nothing_and_nobody_counts_as_waiting() {
    let runtime = several_threads();
    runtime.block_on(async {
        let root = Quitter::root("root");
        let (_, end) = deaf(&root, "thread");
        for _ in 0..1000 {
            let wait = root.wait_done_async(PATIENCE);
            assert!(tokio::time::timeout(Duration::ZERO, wait).await.is_err());
        }
        end.set();
        root.wait_done_async(PATIENCE).await.unwrap();
    });
}

#[test]
fn a_wait_without_time_needs_no_timers() {
    let runtime = Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let root = Quitter::root("root");
        let task = root.add_task(|_| pending::<()>()).unwrap();
        assert_eq!(
            root.wait_done_async(Duration::ZERO)
                .await
                .unwrap_err()
                .len(),
            1
        );
        assert!(task.wait_async(Duration::ZERO).await.is_err());
        let mut without_limit = pin!(root.wait_done_async(Duration::MAX));
        assert!(poll_once(without_limit.as_mut()).await.is_none());
        task.abort();
        without_limit.await.unwrap();
    });
}

/// Tests of programs on tokio pause the clock.
#[test]
fn a_wait_ends_by_tokios_clock_where_that_is_paused() {
    let runtime = Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    let from = Instant::now();
    runtime.block_on(async {
        let root = Quitter::root("root");
        root.add_task(|_| pending::<()>()).unwrap();
        let hours = Duration::from_secs(7200);
        let clock = tokio::time::Instant::now();
        assert_eq!(root.wait_done_async(hours).await.unwrap_err().len(), 1);
        assert!(clock.elapsed() >= hours);
        // Longer than the longest time for which quitter sets a timer.
        assert_eq!(
            root.quit_and_wait_async(100 * hours)
                .await
                .unwrap_err()
                .len(),
            1
        );
        assert!(clock.elapsed() >= 101 * hours);
    });
    assert!(from.elapsed() < PATIENCE);
}

#[test]
fn a_quit_makes_an_awaited_wait_end_earlier_that_would_have_ended_later() {
    const HOUR: Duration = Duration::from_secs(3600);
    let runtime = Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(async {
        let root = Quitter::root("root");
        root.add_task(|_| pending::<()>()).unwrap();
        let clock = tokio::time::Instant::now();
        let mut wait = pin!(root.wait_done_async(10 * HOUR));
        assert!(poll_once(wait.as_mut()).await.is_none());
        root.quit_and_wait_async(HOUR).await.unwrap_err();
        assert_eq!(wait.await.unwrap_err().len(), 1);
        assert!(clock.elapsed() < 2 * HOUR, "{:?}", clock.elapsed());
    });
}

#[test]
fn a_quit_may_be_awaited_from_many_tasks_at_once() {
    let runtime = several_threads();
    runtime.block_on(async {
        for _ in 0..50 {
            let root = Quitter::root("root");
            for _ in 0..10 {
                root.add_task(heartbeat).unwrap();
            }
            let waits: Vec<_> = (0..10)
                .map(|_| tokio::spawn(root.quit_and_wait_async(PATIENCE)))
                .collect();
            for wait in waits {
                wait.await.unwrap().unwrap();
            }
        }
    });
}

// ── The exit ────────────────────────────────────────────────────────────────────────────────────

const TIMEOUT: Duration = Duration::from_millis(300);

/// A main quitter that only the test tells to quit.
fn main_quitter(timeout: Duration, force: bool) -> MainQuitter {
    let (never, receiver) = crossbeam_channel::bounded::<()>(0);
    std::mem::forget(never);
    MainQuitter::builder()
        .signals(false)
        .source(QuitSource::channel("never", receiver))
        .timeout(timeout)
        .force_exit(force)
        .build()
}

fn outcome(report: &ExitReport) -> (u8, Vec<&str>) {
    (report.exit_code, names(&report.timeouts))
}

fn exit_is_awaited_on(runtime: Runtime) {
    runtime.block_on(async {
        let main = main_quitter(PATIENCE, false);
        for _ in 0..10 {
            main.add_task(heartbeat).unwrap();
        }
        main.add_routine(|q| q.wait_quit()).unwrap();
        let quits = main.clone();
        let (begin, begins) = oneshot::channel();
        tokio::spawn(async move {
            begins.await.unwrap();
            quits.request_quit("enough");
        });
        let report = telling(main.exit_async(), || begin.send(()).unwrap()).await;
        assert_eq!(outcome(&report), (0, vec![]), "{report}");
        assert!(
            report.cause.to_string().contains("enough"),
            "{}",
            report.cause
        );
    });
}

in_own_process!(the_exit_is_awaited_on_several_threads, exit_on_several, {
    exit_is_awaited_on(several_threads());
});

in_own_process!(the_exit_is_awaited_on_one_thread, exit_on_one, {
    exit_is_awaited_on(one_thread());
});

in_own_process!(the_exit_names_tasks_and_threads_that_hang, exit_names, {
    let runtime = several_threads();
    let main = main_quitter(TIMEOUT, false);
    let _enter = runtime.enter();
    main.routine("awaits forever")
        .add_task(|_| pending::<()>())
        .unwrap();
    let (_, end) = deaf(&main, "blocks");
    let of_task = main.clone();
    let waits = main.routine("waits for them");
    let waiting = Event::new();
    let begins = waiting.clone();
    waits
        .add_task(move |_| async move {
            telling(of_task.wait_done_async(Duration::MAX), || begins.set()).await
        })
        .unwrap();
    waiting.wait();
    main.send_quit();
    let from = Instant::now();
    let report = in_time(move || runtime.block_on(main.exit_async()));
    assert_eq!(
        outcome(&report),
        (1, vec!["awaits forever", "blocks"]),
        "{report}"
    );
    assert!(from.elapsed() < TIMEOUT + PATIENCE / 2);
    end.set();
});

in_own_process!(the_task_that_awaits_the_exit_is_left_out, exit_in_task, {
    let runtime = one_thread();
    let report = runtime.block_on(async {
        let main = main_quitter(PATIENCE, false);
        let (send, receive) = oneshot::channel();
        let (begin, begins) = oneshot::channel();
        let root = main.clone();
        let exits = root.routine("exits");
        exits
            .add_task(move |_| async move {
                let exit = telling(main.exit_async(), || begin.send(()).unwrap());
                let _ = send.send(exit.await);
            })
            .unwrap();
        begins.await.unwrap();
        root.send_quit();
        receive.await.unwrap()
    });
    assert_eq!(outcome(&report), (0, vec![]), "{report}");
});

in_own_process!(an_exit_that_is_dropped_quits, exit_dropped, {
    let runtime = one_thread();
    runtime.block_on(async {
        let main = main_quitter(PATIENCE, false);
        let root = main.clone();
        assert!(
            tokio::time::timeout(SHORT, main.exit_async())
                .await
                .is_err()
        );
        assert!(root.has_to_quit());
        let cause = root.quit_cause().unwrap();
        assert!(
            matches!(cause, quitter_core::QuitCause::MainDropped),
            "{cause}"
        );
    });
});

in_own_process!(
    a_task_that_is_dropped_with_its_runtime_after_the_deadline_is_in_the_report,
    dropped_with_runtime,
    {
        let main = main_quitter(TIMEOUT, false);
        let runtime = several_threads();
        let _guard_in_task = {
            let guard = main.guard("guard").unwrap();
            runtime.spawn(async move {
                let _guard = guard;
                pending::<()>().await;
            })
        };
        main.routine("task")
            .on(runtime.handle())
            .add_task(|_| pending::<()>())
            .unwrap();
        main.send_quit();
        thread::sleep(2 * TIMEOUT);
        drop(runtime);
        let report = main.exit();
        assert_eq!(outcome(&report), (1, vec!["guard", "task"]), "{report}");
    }
);

/// Runs a program on tokio in which a task holds up the end. The process must end all the same.
fn ends_by_force(name: &str, says: &[&str]) {
    let from = Instant::now();
    let output = in_own_process(name);
    let text = text(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    for said in says {
        assert!(text.contains(said), "{said}: {text}");
    }
    assert!(from.elapsed() < PATIENCE, "{text}");
}

#[test]
fn a_task_that_blocks_the_only_thread_is_named_and_the_process_ends() {
    ends_by_force(
        "blocks_the_only_thread",
        &["blocks", "1 routine had not returned after 0.3 s"],
    );
}

#[test]
#[ignore = "needs a process of its own"]
fn blocks_the_only_thread() {
    if is_own_process() {
        one_thread().block_on(async {
            let main = main_quitter(TIMEOUT, true);
            main.routine("blocks")
                .add_task(|q| async move {
                    q.quitting().await;
                    thread::sleep(10 * PATIENCE);
                })
                .unwrap();
            main.send_quit();
            let _never = main.exit_async().await;
        });
    }
}

#[test]
fn a_runtime_that_hangs_in_its_drop_does_not_hold_up_the_end() {
    ends_by_force(
        "hangs_in_the_drop_of_the_runtime",
        &["Ended by force: main has its exit report, but has not returned it"],
    );
}

#[test]
#[ignore = "needs a process of its own"]
fn hangs_in_the_drop_of_the_runtime() {
    if is_own_process() {
        let runtime = several_threads();
        let report = runtime.block_on(async {
            let main = main_quitter(TIMEOUT, true);
            tokio::task::spawn_blocking(|| thread::sleep(10 * PATIENCE));
            main.send_quit();
            main.exit_async().await
        });
        assert_eq!(report.exit_code, 0);
        drop(runtime);
    }
}

// ── Calls that block ────────────────────────────────────────────────────────────────────────────

/// Waits until all output is written, by printing the outcome, which comes last.
fn say_all() {
    let main = main_quitter(PATIENCE, false);
    main.send_quit();
    let _code = main.exit().report();
}

/// The lines in which the process says that a call blocks tasks.
fn said(name: &str) -> Vec<String> {
    let output = in_own_process(name);
    let text = text(&output);
    assert!(output.status.success(), "{text}");
    // Joins the lines that were wrapped.
    let text = text.replace("\n      ", " ");
    let lines = text
        .lines()
        .filter(|line| line.contains("tokio polls tasks"));
    lines.map(str::to_owned).collect()
}

#[test]
fn a_wait_that_blocks_tasks_is_said_once_with_its_place() {
    let said = said("blocks_tasks");
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said[0].contains("wait_done at "), "{said:?}");
    assert!(
        said[0].contains("on_tokio.rs:") && said[0].contains("Use wait_done_async"),
        "{said:?}"
    );
}

#[test]
#[ignore = "needs a process of its own"]
fn blocks_tasks() {
    if is_own_process() {
        let runtime = several_threads();
        let root = Quitter::root("root");
        let (_, end) = deaf(&root, "thread");
        for _ in 0..3 {
            let root = root.clone();
            let task =
                runtime.spawn(async move { root.wait_done(Duration::from_millis(1)).is_err() });
            assert!(runtime.block_on(task).unwrap());
        }
        end.set();
        root.wait_done(PATIENCE).unwrap();
        // The check leaves tokio's budget for the poll as it was.
        runtime.block_on(async {
            let _guard = root.guard("guard").unwrap();
            assert!(root.wait_done(Duration::from_millis(1)).is_err());
            assert!(tokio::task::coop::has_budget_remaining());
        });
        say_all();
    }
}

#[test]
fn calls_that_block_no_task_are_not_reproached() {
    assert_eq!(said("blocks_no_task"), [""; 0]);
}

#[test]
#[ignore = "needs a process of its own"]
fn blocks_no_task() {
    if is_own_process() {
        let several = several_threads();
        let root = Quitter::root("root");
        let guard = root.guard("guard").unwrap();
        let waits = root.clone();
        let wait = move || waits.wait_done(Duration::from_millis(1)).is_err();
        // On a thread for calls that block.
        assert!(
            several
                .block_on(several.spawn_blocking(wait.clone()))
                .unwrap()
        );
        let one = one_thread();
        assert!(one.block_on(one.spawn_blocking(wait.clone())).unwrap());
        // On a worker that has handed its tasks to another worker.
        let blocks = wait.clone();
        let in_place = several.spawn(async move { tokio::task::block_in_place(blocks) });
        assert!(several.block_on(in_place).unwrap());
        // In the main future, which does not run on a worker.
        several.block_on(async { assert!(wait()) });
        // Beside a runtime.
        let _enter = one.enter();
        assert!(wait());
        // Without having to wait.
        let looks = root.clone();
        let looks = several.spawn(async move {
            assert!(looks.wait_done(Duration::ZERO).is_err());
            // The look leaves tokio's budget of the task as it was.
            let mut cx = Context::from_waker(Waker::noop());
            let budget = [(); 10].map(|()| coop::poll_proceed(&mut cx));
            assert!(budget.iter().all(Poll::is_ready));
            looks.sleep(Duration::ZERO).unwrap();
        });
        several.block_on(looks).unwrap();
        drop(guard);
        let all = root.clone();
        several
            .block_on(several.spawn(async move { all.wait_done(PATIENCE) }))
            .unwrap()
            .unwrap();
        let alone = root.clone();
        let task = root.routine("alone").on(several.handle());
        let task = task.add_task(async move |_| alone.wait_done(PATIENCE));
        task.unwrap().wait(PATIENCE).unwrap();
        assert!(root.failures().is_empty());
        root.send_quit();
        let quits = several.spawn(async move {
            root.wait_quit();
            root.sleep(PATIENCE).unwrap_err();
        });
        several.block_on(quits).unwrap();
        say_all();
    }
}

#[test]
fn a_wait_in_the_main_future_of_a_runtime_of_one_thread_is_said() {
    let said = said("blocks_the_only_thread_of_a_runtime");
    assert_eq!(said.len(), 1, "{said:?}");
}

#[test]
#[ignore = "needs a process of its own"]
fn blocks_the_only_thread_of_a_runtime() {
    if is_own_process() {
        one_thread().block_on(async {
            let root = Quitter::root("root");
            let _guard = root.guard("guard").unwrap();
            assert!(root.wait_done(Duration::from_millis(1)).is_err());
        });
        say_all();
    }
}

#[test]
fn a_sleep_that_blocks_tasks_is_said() {
    let said = said("sleeps_in_a_task");
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(
        said[0].contains("Use cancel_on_quit(tokio::time::sleep(..)).await"),
        "{said:?}"
    );
}

#[test]
#[ignore = "needs a process of its own"]
fn sleeps_in_a_task() {
    if is_own_process() {
        one_thread().block_on(async {
            let root = Quitter::root("root");
            let task = root.add_task(|q| async move { q.sleep(Duration::from_millis(1)) });
            task.unwrap().wait_async(PATIENCE).await.unwrap();
        });
        say_all();
    }
}

#[test]
fn ticks_that_block_tasks_are_said_with_the_place_where_they_were_made() {
    let said = said("ticks_in_a_task");
    assert_eq!(said.len(), 1, "{said:?}");
    let place = ["ticks at ", "on_tokio.rs:"];
    assert!(place.iter().all(|part| said[0].contains(part)), "{said:?}");
    assert!(
        said[0].contains("Use cancel_on_quit(interval.tick()).await"),
        "{said:?}"
    );
}

#[test]
#[ignore = "needs a process of its own"]
fn ticks_in_a_task() {
    if is_own_process() {
        one_thread().block_on(async {
            let root = Quitter::root("root");
            let beat = |q: RoutineQuitter| q.ticks(Duration::from_millis(1)).take(3).count();
            let task = root.add_task(move |q| async move { _ = beat(q) });
            task.unwrap().wait_async(PATIENCE).await.unwrap();
        });
        say_all();
    }
}

#[test]
fn a_thread_and_tasks_on_two_runtimes_are_one_tree() {
    let [first, second] = runtimes();
    let root = Quitter::root("root");
    let on_second = second.handle().clone();
    let ended = Event::new();
    let ends = ended.clone();
    root.routine("thread")
        .add(move |q| {
            let task = q.routine("task").on(&on_second);
            task.add_task(|q| async move { q.quitting().await })
                .unwrap();
            q.wait_quit();
            ends.set();
        })
        .unwrap();
    let driving = thread::spawn({
        let root = root.clone();
        move || second.block_on(root.quitting())
    });
    root.routine("other")
        .on(first.handle())
        .add_task(heartbeat)
        .unwrap();
    eventually(|| root.wait_done(Duration::ZERO).unwrap_err().len() == 3);
    first
        .block_on(root.quit_and_wait_async(PATIENCE))
        .unwrap_or_else(|timeouts| {
            // The second runtime, and its task, are dropped with the thread.
            assert_eq!(names(&timeouts), ["task"]);
        });
    ended.wait();
    driving.join().unwrap();
    root.wait_done(PATIENCE).unwrap();
}

// ── child processes ─────────────────────────────────────────────────────────────────────────────

#[cfg(all(unix, feature = "process"))]
mod processes {
    use std::process::Command;

    use quitter_core::{EndedBy, ProcessHandle};

    use super::*;

    fn sleeps(root: &Quitter) -> ProcessHandle {
        let mut command = Command::new("sleep");
        command.arg("1000");
        root.routine("sleep").process(command).unwrap()
    }

    #[tokio::test]
    async fn a_process_is_awaited_until_it_has_ended_and_by_several_tasks() {
        let root = Quitter::root("main");
        let mut sh = Command::new("sh");
        sh.args(["-c", "exit 5"]);
        let builder = root.routine("sh");
        let builder = builder.failure_on(quitter_core::ProcessFailure::Never);
        let process = builder.process(sh).unwrap();
        let others = [(); 8].map(|()| tokio::spawn(process.wait_async(PATIENCE)));
        let end = process.wait_async(Duration::MAX).await.unwrap();
        assert_eq!(end.status.unwrap().code(), Some(5));
        for other in others {
            assert_eq!(other.await.unwrap().unwrap(), end);
        }
        // The process has ended, so checking once is enough.
        assert_eq!(process.wait_async(Duration::ZERO).await.unwrap(), end);
    }

    #[tokio::test]
    async fn a_process_that_goes_on_is_listed_when_the_time_is_up_and_can_be_awaited_again() {
        let root = Quitter::root("main");
        let sleep = sleeps(&root);
        for timeout in [Duration::ZERO, Duration::from_millis(20)] {
            let timeouts = sleep.wait_async(timeout).await.unwrap_err();
            let stuck: Vec<_> = timeouts.routines().collect();
            assert_eq!(stuck.len(), 1);
            assert_eq!(stuck[0].id, sleep.id());
        }
        drop(sleep.wait_async(Duration::MAX));
        root.send_quit();
        let end = sleep.wait_async(PATIENCE).await.unwrap();
        assert_eq!(end.by, EndedBy::StopSignal);
    }
}

#[test]
fn a_runtime_that_the_system_refuses_is_the_only_thing_said() {
    let output = in_own_process("has_no_runtime");
    let text = text(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    let said = "cannot make the tokio runtime: too many open files";
    assert!(text.contains(said), "{text}");
    for unsaid in ["Received quit", "Quit: ", "the body runs"] {
        assert!(!text.contains(unsaid), "{text}");
    }
}

#[test]
#[ignore = "needs a process of its own"]
fn has_no_runtime() {
    if is_own_process() {
        let refused = || Err(std::io::Error::other("too many open files"));
        let body = async |_: &MainQuitter| println!("the body runs");
        let report = MainQuitter::builder().run_async(refused, body);
        let code = report.exit_code;
        // Prints the outcome.
        let _ = std::process::Termination::report(report);
        std::process::exit(code.into());
    }
}

#[test]
fn an_async_program_chooses_its_options_when_it_runs() {
    let output = in_own_process("chooses_its_options");
    let text = text(&output);
    assert_eq!(output.status.code(), Some(7), "{text}");
    assert!(text.contains("on 3 workers as main"), "{text}");
}

#[test]
#[ignore = "needs a process of its own"]
fn chooses_its_options() {
    if is_own_process() {
        let runtime = || Builder::new_multi_thread().worker_threads(3).build();
        let builder = MainQuitter::builder().end(End::WithBody);
        let report = builder.run_async(runtime, async |main: &MainQuitter| {
            let workers = Handle::current().metrics().num_workers();
            let live = main.wait_done(Duration::ZERO);
            assert!(
                live.is_ok(),
                "a wait leaves out the routine that it is called on"
            );
            let task = main
                .add_task(|q| async move { q.quitting().await })
                .unwrap();
            println!("on {workers} workers as {}", main.name());
            assert!(!task.is_finished());
            ExitCode::from(7)
        });
        let code = report.exit_code;
        assert!(report.timeouts.is_empty());
        std::process::exit(code.into());
    }
}

#[test]
fn an_async_program_inside_a_runtime_does_not_start_and_says_what_to_write() {
    let runtime = Runtime::new().unwrap();
    let _entered = runtime.enter();
    let body = async |_: &MainQuitter| panic!("the body runs");
    let report = MainQuitter::builder().run_async(Runtime::new, body);
    assert_eq!(report.exit_code, 1);
    let text = report.to_string();
    assert!(text.starts_with("Failed to start: `run_async`"), "{text}");
    assert!(text.contains("no `#[tokio::main]`"), "{text}");
}
