//! The signal for a dump writes a dump, and the program runs on.

#![cfg(unix)]

#[allow(dead_code, reason = "each test binary uses a part of it")]
mod common;

use std::io::Read;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use nix::libc;
use nix::sys::signal::Signal::{SIGTERM, SIGUSR1, SIGUSR2};
use nix::sys::signal::kill;
use quitter::QuitSource;
use quitter::{ExitReport, MainQuitter, MainQuitterBuilder, MainQuitterError, Notice, Output};

use common::{PATIENCE, Process, alone, command_for, hang};

fn builder() -> MainQuitterBuilder {
    MainQuitter::builder()
        .timeout(PATIENCE)
        .dump_on(libc::SIGUSR1)
}

/// Whether dumps show stacks in this build.
#[cfg(target_os = "linux")]
const STACKS: bool = cfg!(all(
    feature = "stacks",
    target_os = "linux",
    target_pointer_width = "64",
    any(target_arch = "x86_64", target_arch = "aarch64"),
    not(target_env = "musl")
));

/// A program with a routine below a child. The routine prints when it runs, and ends at the quit.
fn works(builder: MainQuitterBuilder) -> ExitReport {
    builder.run(|main| {
        let store = main.child("store")?;
        store.routine("flusher").add(|q| {
            q.set_status("flushing 3/10");
            println!("listening");
            q.wait_quit();
        })?;
        Ok::<_, quitter::AddRoutineError>(())
    })
}

fn started(mut program: Process) -> Process {
    program.wait_for("listening");
    program
}

/// Ends the program, and returns what it wrote.
fn end(program: Process) -> common::Ended {
    program.send(SIGTERM);
    program.end().with_code(0)
}

#[test]
fn a_dump_shows_the_live_tree_and_the_program_runs_on() {
    let mut program = started(alone(|| works(builder())));
    for _ in 0..3 {
        program.send(SIGUSR1);
        program.wait_for("Dump on SIGUSR1:");
        program.wait_for("main");
        program.wait_for("store");
        let flusher = program.wait_for("flusher");
        assert!(flusher.contains("running "), "{flusher}");
    }
    let ended = end(program).saying(&["status \"flushing 3/10\""]);
    // The signal for a dump does not count as a signal of the quit either.
    ended.saying(&[
        "Received quit from 'OS interrupt/termination signal': SIGTERM",
        "Quit: all",
    ]);
}

/// Requests dumps until one lists the workers outside the tree as `is_right` demands, and neither routines nor
/// quitter's own threads among them.
///
/// One dump may not be enough: a thread that has just started is not attributed yet, and a waiting thread may
/// be in a page fault.
#[cfg(target_os = "linux")]
fn dump_until_outside(program: &mut Process, is_right: impl Fn(&str) -> bool) {
    let until = Instant::now() + PATIENCE;
    loop {
        program.send(SIGUSR1);
        program.wait_for("outside the tree: ");
        let threads = program.wait_for("worker");
        if is_right(&threads) && !threads.contains("flusher") && !threads.contains("quitter") {
            break;
        }
        assert!(Instant::now() < until, "{threads}");
    }
}

#[test]
#[cfg(target_os = "linux")]
fn a_dump_counts_the_threads_outside_the_tree_by_name_and_state() {
    let story = || {
        for n in 0..8 {
            let worker = thread::Builder::new().name(format!("worker-{n}"));
            worker.spawn(|| hang()).unwrap();
        }
        #[cfg(feature = "process")]
        let _with_threads_for_it = {
            let cat = quitter::Quitter::root("other");
            let cat = cat.routine("cat").output(quitter::ProcessOutput::Prefixed);
            let mut command = std::process::Command::new("cat");
            command.stdin(std::process::Stdio::piped());
            cat.process(command).unwrap()
        };
        works(builder())
    };
    let mut program = started(alone(story));
    dump_until_outside(&mut program, |threads| {
        threads.contains("worker ×8 waiting")
    });
    end(program);
}

/// A process without a file descriptor is waited for on a thread.
#[test]
#[cfg(all(target_os = "linux", feature = "process"))]
fn threads_that_wait_for_a_process_each_are_not_outside_the_tree() {
    const MANY: usize = 30;
    let story = || {
        let other = quitter::Quitter::root("other");
        let sleep = || {
            let mut command = std::process::Command::new("sleep");
            command.arg("1000");
            other.add_process(command).unwrap()
        };
        // Makes quitter start its threads for processes.
        let _first = sleep();
        let mut files = Vec::new();
        while let Ok(file) = std::fs::File::open("/dev/null") {
            files.push(file);
        }
        let _processes: Vec<_> = (0..MANY).map(|_| sleep()).collect();
        drop(files);
        let worker = thread::Builder::new().name("worker".to_owned());
        worker.spawn(|| hang()).unwrap();
        let comms = || {
            let tasks = std::fs::read_dir("/proc/self/task").unwrap();
            let comms =
                tasks.map(|task| std::fs::read_to_string(task.unwrap().path().join("comm")));
            comms.filter(|comm| comm.as_ref().is_ok_and(|comm| comm == "quitter wait\n"))
        };
        let until = Instant::now() + PATIENCE;
        while comms().count() < MANY {
            assert!(Instant::now() < until, "each is waited for on a thread");
            thread::yield_now();
        }
        works(builder())
    };
    let limited = &mut common::after_shell("ulimit -n 100", &command_for(story));
    let mut program = started(Process::start(limited));
    dump_until_outside(&mut program, |threads| threads.contains("worker waiting"));
    end(program);
}

#[cfg(target_os = "linux")]
#[inline(never)]
fn waits_for_the_quit(q: &quitter::RoutineQuitter) {
    q.wait_quit();
    std::hint::black_box(());
}

#[test]
#[cfg(target_os = "linux")]
fn a_dump_says_what_each_thread_stands_on_and_with_the_feature_where() {
    let story = || {
        builder().run(|main| {
            main.routine("waiter").add(waits_for_the_quit)?;
            main.routine("tells").add(|q| {
                let waits = || q.snapshot().to_string().contains("blocked in futex");
                while !waits() && !q.has_to_quit() {
                    thread::yield_now();
                }
                println!("listening");
            })?;
            Ok::<_, quitter::AddRoutineError>(())
        })
    };
    let mut program = started(alone(story));
    // In a build without optimization, looking up the first names may take longer than a dump allows, and a
    // waiting thread may be in a page fault.
    let until = Instant::now() + PATIENCE;
    let (mut stands, mut is_named) = (false, !STACKS);
    while !stands || !is_named {
        program.send(SIGUSR1);
        program.wait_for("Dump on SIGUSR1:");
        let waiter = program.wait_for("waiter");
        stands |= waiter.contains(" s, blocked in futex (a lock or condition)");
        let mut dump = waiter;
        while !dump.contains("outside the tree: ") {
            dump = program.wait_for("");
            is_named |= dump.contains("waits_for_the_quit");
        }
        assert!(Instant::now() < until, "{:?}", end(program));
    }
    let ended = end(program);
    let names = ended.count("waits_for_the_quit");
    assert_eq!(names > 0, STACKS, "{}", ended.stderr);
}

#[test]
fn a_dump_works_while_the_program_quits() {
    let story = || {
        builder().timeout(Duration::MAX).run(|main| {
            main.routine("deaf")
                .add(|_| {
                    println!("listening");
                    hang()
                })
                .unwrap();
        })
    };
    let mut program = started(alone(story));
    program.send(SIGTERM);
    program.wait_for("Received quit from");
    program.send(SIGUSR1);
    program.wait_for("Dump on SIGUSR1:");
    let root = program.wait_for("main");
    assert!(root.contains("quit"), "{root}");
    program.wait_for("deaf");
    program.send_later(SIGTERM);
    program.end().with_code(130);
}

/// Once dumps have begun, nobody reads stderr until the program has ended.
#[test]
fn dumps_that_cannot_be_written_neither_pile_up_nor_hold_anything_up() {
    let story = || {
        let builder = builder().timeout(Duration::from_secs(2));
        builder.run(|main| {
            let _full = fill(main);
            println!("listening");
            main.wait_quit();
        })
    };
    let (mut stderr, to_stderr) = std::io::pipe().unwrap();
    let mut command = command_for(story);
    let mut program = Process::start_into(&mut command, Stdio::piped(), to_stderr);
    command.stderr(Stdio::null());
    program.wait_for("listening");
    // The first stacks take a while, so this waits until the first dump begins.
    program.send(SIGUSR1);
    let mut start = [0; 16];
    stderr.read_exact(&mut start).unwrap();
    assert_eq!(&start, b"Dump on SIGUSR1:");
    // More dumps than fit into a pipe.
    for _ in 0..500 {
        program.send(SIGUSR1);
        thread::sleep(Duration::from_millis(1));
    }
    program.send(SIGTERM);
    let ended = program.end();
    assert!(ended.code.is_some(), "{ended:?}");
    let mut text = String::new();
    stderr.read_to_string(&mut text).unwrap();
    assert!(text.contains("\nDump on SIGUSR1:"), "{text}");
    assert!(text.len() < 200_000, "{}", text.len());
}

/// Makes a tree whose dumps soon fill a pipe.
fn fill(main: &quitter::Quitter) -> Vec<quitter::RoutineGuard> {
    let guards = (0..400).map(|n| {
        let guard = main.guard(format!("{n} {}", "x".repeat(100))).unwrap();
        guard.set_status("y".repeat(1000));
        guard
    });
    guards.collect()
}

#[test]
fn a_quiet_program_dumps_all_the_same() {
    let mut program = started(alone(|| works(builder().output(Output::Quiet))));
    program.send(SIGUSR1);
    program.wait_for("Dump on SIGUSR1:");
    let ended = end(program);
    assert_eq!(ended.count("Received quit"), 0, "{}", ended.stderr);
}

#[test]
fn a_function_for_notices_gets_a_dump_as_data() {
    let story = || {
        let notices = |notice: &Notice| {
            if let Notice::Dump(dump) = notice {
                let names: Vec<_> = dump.snapshot.routines().map(|one| &one.name).collect();
                println!("dump on {}: {names:?}", dump.signal.name);
            }
        };
        works(builder().notices(notices))
    };
    let mut program = started(alone(story));
    program.send(SIGUSR1);
    program.wait_for("dump on SIGUSR1: [\"flusher\"]");
    end(program);
}

/// Requests dumps until one has none of quitter's own threads outside the tree: a thread that has just
/// started is not attributed yet.
#[test]
#[cfg(target_os = "linux")]
fn threads_that_wait_for_a_function_of_the_program_to_be_called_are_not_outside_the_tree() {
    let story = || {
        let notices = |notice: &Notice| {
            if let Notice::Dump(dump) = notice {
                let outside = dump.outside.iter().flatten();
                let names = outside.map(|thread| &thread.name[..]);
                let own: Vec<_> = names.filter(|name| name.starts_with("quitter")).collect();
                println!("own: {own:?}");
            }
        };
        works(builder().notices(notices).before_report(|| {}))
    };
    let mut program = started(alone(story));
    let until = Instant::now() + PATIENCE;
    loop {
        program.send(SIGUSR1);
        let own = program.wait_for("own: ");
        if own.contains("[]") {
            break;
        }
        assert!(Instant::now() < until, "{own}");
    }
    end(program);
}

/// Requests dumps until ten in a row say this about the main quitter. In the first ones, the threads that
/// will wait may not wait yet.
fn main_line_is(mut program: Process, says: &str) {
    const IN_A_ROW: usize = 10;
    let until = Instant::now() + PATIENCE;
    let mut right = 0;
    while right < IN_A_ROW {
        program.send(SIGUSR1);
        program.wait_for("Dump on SIGUSR1:");
        let line = program.wait_for("main");
        right = if line.trim_end() == says {
            right + 1
        } else {
            0
        };
        assert!(Instant::now() < until, "{line}");
    }
    end(program);
}

#[test]
fn the_exit_that_waits_for_routines_is_not_counted_among_those_that_wait_at_the_main_quitter() {
    main_line_is(started(alone(|| works(builder()))), "main");
}

#[test]
fn the_exit_that_waits_for_the_quit_is_not_counted_either() {
    let nothing_runs = || {
        builder().run(|main| {
            let main = main.clone();
            thread::spawn(move || main.wait_quit());
            println!("listening");
        })
    };
    let mut idle = started(alone(nothing_runs));
    idle.wait_for("no routine is running");
    let one = "main  a thread or future waits for its quit or its routines";
    main_line_is(idle, one);
}

#[test]
fn without_any_other_signal_a_dump_works_too() {
    let story = || {
        let builder = builder()
            .signals(false)
            .source(QuitSource::signal(libc::SIGUSR2));
        works(builder)
    };
    let mut program = started(alone(story));
    program.send(SIGUSR1);
    program.wait_for("Dump on SIGUSR1:");
    program.send(SIGUSR2);
    program.end().with_code(0);
}

#[test]
fn a_signal_that_is_a_quit_source_cannot_ask_for_dumps() {
    let story = || {
        let refused = |builder: MainQuitterBuilder, says: &str| {
            let refused = builder.try_build().unwrap_err();
            assert!(
                matches!(refused, MainQuitterError::UnusableSignal { .. }),
                "{refused:?}"
            );
            assert_eq!(refused.to_string(), says);
        };
        let of = MainQuitter::builder;
        refused(
            of().dump_on(libc::SIGTERM),
            "cannot listen to SIGTERM: it is a quit source, and asks for dumps",
        );
        refused(
            of().dump_on(libc::SIGKILL),
            "cannot listen to SIGKILL: no program can handle it",
        );
        works(builder())
    };
    end(started(alone(story)));
}

#[test]
fn a_signal_that_asks_for_dumps_cannot_become_a_quit_source() {
    let story = || {
        let main = builder().dump_on(libc::SIGUSR1).build();
        main.add_source(QuitSource::signal(libc::SIGUSR1));
    };
    let refused = alone(story).end().with_code(101);
    refused.saying(&["cannot listen to SIGUSR1: it is a quit source, and asks for dumps"]);
}

/// After this many turns, the 200 threads are known to work.
const TURNS: u64 = 5000;

/// A program with 200 threads that work in short turns. It prints when they have taken [`TURNS`].
fn works_on_200_threads(builder: MainQuitterBuilder) -> ExitReport {
    builder.run(|main| {
        let longest = Arc::new(AtomicU64::new(0));
        let beats = Arc::new(AtomicU64::new(0));
        let parts: Vec<_> = (0..10)
            .map(|n| main.child(format!("part {n}")).unwrap())
            .collect();
        for part in parts.iter().cycle().take(200) {
            let (longest, beats) = (Arc::clone(&longest), Arc::clone(&beats));
            part.routine("worker")
                .add(move |q| {
                    let mut last = Instant::now();
                    while q.sleep(Duration::from_millis(10)).is_ok() {
                        // The work also starts and ends routines.
                        drop(q.guard("job"));
                        let took = last.elapsed();
                        longest.fetch_max(took.as_millis() as u64, Ordering::Relaxed);
                        if beats.fetch_add(1, Ordering::Relaxed) + 1 == TURNS {
                            println!("at work");
                        }
                        last = Instant::now();
                    }
                })
                .unwrap();
        }
        common::says("listening");
        main.wait_quit();
        println!("beats {beats:?}, the longest {longest:?} ms");
    })
}

#[test]
fn dumps_without_a_pause_leave_200_threads_at_work_and_each_other_whole() {
    let mut program = alone(|| works_on_200_threads(builder()));
    let pid = common::pid_in(&program.wait_for("listening"));
    let over = Arc::new(AtomicBool::new(false));
    let is_over = Arc::clone(&over);
    let asks = thread::spawn(move || {
        let from = Instant::now();
        let least = Duration::from_secs(2);
        while from.elapsed() < least || !is_over.load(Ordering::Relaxed) {
            // Two requests at once.
            let asked = kill(pid, SIGUSR1).and(kill(pid, SIGUSR1));
            if asked.is_err() {
                return;
            }
            thread::sleep(Duration::from_millis(5));
        }
    });
    for _ in 0..2 {
        program.wait_for("Dump on SIGUSR1:");
    }
    program.wait_for("at work");
    over.store(true, Ordering::Relaxed);
    asks.join().unwrap();
    let ended = end(program);
    for dump in ended.stderr.split("Dump on SIGUSR1:\n").skip(1) {
        assert!(dump.starts_with("main"), "{dump}");
        let parts = dump.matches("─ part ").count();
        assert_eq!(parts, 10, "{dump}");
    }
}

/// To compare the numbers, `QUITTER_DUMPS=0` requests no dumps, and `QUITTER_SECONDS` sets the duration.
#[test]
#[ignore = "takes a minute"]
fn a_dump_per_100_ms_for_a_minute_leaves_200_threads_at_work() {
    let program = started(alone(|| works_on_200_threads(builder())));
    let asks = std::env::var("QUITTER_DUMPS").as_deref() != Ok("0");
    let from = Instant::now();
    let seconds = std::env::var("QUITTER_SECONDS").map_or(60, |text| text.parse().unwrap());
    while from.elapsed() < Duration::from_secs(seconds) {
        if asks {
            program.send(SIGUSR1);
        }
        thread::sleep(Duration::from_millis(100));
    }
    let ended = end(program);
    println!("{}{} dumps", ended.stdout, ended.count("Dump on SIGUSR1:"));
    let outside = ended.stderr.lines().find(|line| line.contains("quitter"));
    println!("{outside:?}");
    assert!(!asks || ended.count("Dump on SIGUSR1:") as u64 > 5 * seconds);
}
