//! Where threads hang, in the reports of whole processes.

#![cfg(all(
    feature = "stacks",
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64")
))]

#[allow(dead_code, reason = "each test binary uses a part of it")]
mod common;

use std::env;
use std::fs;
use std::hint;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{self, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal::{SIGTERM, SIGUSR1};
use quitter::{ExitReport, MainQuitter, QuitSource, Quitter, RoutineQuitter};

use common::{Ended, PATIENCE, Process, alone, command_for};

const QUIT_TIMEOUT: Duration = Duration::from_millis(300);

/// The tests are built without optimization, so each call has a line.
const HANGS: u32 = line!() + 3;
#[inline(never)]
fn hangs(_: &RoutineQuitter) {
    thread::sleep(Duration::from_secs(3600));
    hint::black_box(());
}

#[inline(never)]
fn spins() -> ! {
    loop {
        hint::spin_loop();
    }
}

/// The lines of the stack below the routine of this name.
fn below<'a>(report: &'a str, name: &str) -> Vec<&'a str> {
    let is_routine = |line: &str| {
        let rest = line
            .strip_prefix("    ")
            .and_then(|line| line.strip_prefix(name));
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
    };
    let lines = report.lines().skip_while(|line| !is_routine(line));
    let below = lines.skip(1).take_while(|line| line.starts_with("      "));
    let is_fact = |line: &&str| line.starts_with("         ");
    below.skip_while(is_fact).map(str::trim_start).collect()
}

#[track_caller]
fn shows_where_it_hangs(ended: &Ended, name: &str) {
    let calls = below(&ended.stderr, name);
    assert_eq!(calls.len(), 2, "{calls:?}\n{}", ended.stderr);
    assert_eq!(calls[0], "std::thread::sleep", "{}", ended.stderr);
    let place = format!("process_stacks::hangs  {}:{HANGS}", file!());
    assert_eq!(calls[1], place, "{}", ended.stderr);
    assert_eq!(ended.count(WITHOUT_LINES), 0, "{}", ended.stderr);
}

const WITHOUT_LINES: &str =
    "For the files and lines of these calls, build with debug = \"limited\" in the profile";

/// Waits until this many routines hang in their calls, and the names of the calls are known. Looking up names
/// for the first time may take longer than a report allows.
fn until_they_hang(main: &Quitter, routines: usize) {
    let until = Instant::now() + PATIENCE;
    let is_there = |stack: &quitter::Stack| {
        let mut functions = stack.frames.iter().map(|frame| &frame.function[..]);
        functions.next() == Some("std::thread::sleep")
            && functions.next() == Some("process_stacks::hangs")
    };
    let is_asleep = |routine: &&quitter::StuckRoutine| {
        let stands = routine.stands.as_ref().map(ToString::to_string);
        stands.is_some_and(|stands| stands.starts_with("blocked in clock_nanosleep"))
    };
    loop {
        let asleep = main.snapshot().routines().filter(is_asleep).count();
        let snapshot = main.snapshot_with_stacks();
        let mut stacks = snapshot.routines().flat_map(|routine| &routine.stacks);
        if asleep == routines && stacks.any(is_there) {
            return;
        }
        assert!(Instant::now() < until, "{snapshot}");
    }
}

fn main_quitter() -> MainQuitter {
    let builder = MainQuitter::builder().timeout(QUIT_TIMEOUT).signals(false);
    builder.source(QuitSource::all_done()).build()
}

#[test]
fn the_exit_report_shows_where_a_thread_hangs_as_text_and_as_data() {
    let program = alone(|| -> ExitReport {
        let main = main_quitter();
        main.routine("flusher").add(hangs).unwrap();
        until_they_hang(&main, 1);
        main.send_quit();
        let report = main.exit();
        let routine = report.timeouts.routines().next().unwrap();
        let [stack] = &routine.stacks[..] else {
            panic!("{:?}", routine.stacks);
        };
        assert_eq!(stack.frames[1].function, "process_stacks::hangs");
        assert_eq!(stack.frames[1].line, Some(HANGS));
        assert_eq!(
            stack.frames[1].to_string(),
            format!("process_stacks::hangs at {}:{HANGS}", file!())
        );
        report
    });
    let ended = program.end().with_code(1);
    shows_where_it_hangs(&ended, "flusher");
    assert_eq!(ended.count("Failed to quit"), 1, "{}", ended.stderr);
}

/// A copy of this program whose debug information cannot be found, as in a release build.
fn without_debug_information() -> PathBuf {
    let mut file = fs::read(env::current_exe().unwrap()).unwrap();
    let number = |at: usize, length: usize| {
        let bytes = file[at..at + length].iter().rev();
        bytes.fold(0, |number, byte| number << 8 | usize::from(*byte))
    };
    // Changes only the section names, and so not the names that this program's own reader looks for.
    let names = number(0x28, 8) + number(0x3a, 2) * number(0x3e, 2);
    let (start, length) = (number(names + 0x18, 8), number(names + 0x20, 8));
    for at in start..start + length {
        if file[at..].starts_with(b".debug_") {
            file[at..at + 7].copy_from_slice(b".other_");
        }
    }
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("without_debug_information");
    // Another process writes the copy: a file that any process has open for writing cannot be executed, and
    // other tests fork.
    let mut copy = Command::new("sh");
    copy.args(["-c", "cat > \"$0\" && chmod +x \"$0\""])
        .arg(&path);
    let mut copy = copy.stdin(Stdio::piped()).spawn().unwrap();
    copy.stdin.take().unwrap().write_all(&file).unwrap();
    assert!(copy.wait().unwrap().success());
    path
}

#[test]
fn a_program_without_line_tables_says_how_to_get_them_once() {
    let story = command_for(|| -> ExitReport {
        let main = main_quitter();
        main.routine("flusher").add(hangs).unwrap();
        until_they_hang(&main, 1);
        main.send_quit();
        main.exit()
    });
    let program = without_debug_information();
    let mut copy = Command::new(&program);
    copy.args(story.get_args());
    let set = |(name, value)| Some((name, value?));
    copy.envs(story.get_envs().filter_map(set));
    let ended = Process::start(&mut copy).end().with_code(1);
    let _ = fs::remove_file(program);
    let calls = ["std::thread::sleep", "process_stacks::hangs"];
    assert_eq!(below(&ended.stderr, "flusher"), calls, "{}", ended.stderr);
    assert_eq!(ended.count(WITHOUT_LINES), 1, "{}", ended.stderr);
}

#[test]
fn threads_that_hang_at_the_same_place_share_their_stack() {
    let program = alone(|| -> ExitReport {
        let main = main_quitter();
        for _ in 0..100 {
            main.routine("flusher").add(hangs).unwrap();
        }
        until_they_hang(&main, 100);
        main.send_quit();
        main.exit()
    });
    let ended = program.end().with_code(1);
    let calls = below(&ended.stderr, "flusher ×100");
    assert_eq!(calls[0], "×64", "{}", ended.stderr);
    assert_eq!(calls.len(), 3, "{}", ended.stderr);
    let note = "No stacks of 36 threads: beyond the first 64";
    assert_eq!(ended.count(note), 1, "{}", ended.stderr);
}

#[test]
fn a_stack_is_shown_once_and_then_referred_to() {
    let program = alone(|| -> ExitReport {
        let main = main_quitter();
        main.routine("first").add(hangs).unwrap();
        main.routine("second").add(hangs).unwrap();
        until_they_hang(&main, 2);
        main.send_quit();
        main.exit()
    });
    let ended = program.end().with_code(1);
    shows_where_it_hangs(&ended, "first");
    assert_eq!(
        below(&ended.stderr, "second"),
        ["at the same place as 'first'"]
    );
}

/// A log on a disk that hangs must not hide what hangs.
#[test]
fn the_stacks_of_an_end_by_force_go_to_stderr_when_the_function_for_notices_hangs() {
    let program = alone(|| -> ExitReport {
        let builder = MainQuitter::builder().timeout(QUIT_TIMEOUT).signals(false);
        let builder = builder.notices(|_| {
            loop {
                thread::park();
            }
        });
        builder.sources([QuitSource::all_done()]).run(|main| -> () {
            main.send_quit();
            spins();
        })
    });
    let ended = program.end().with_code(1);
    ended.saying(&[
        "Failed to quit",
        "Where they hang:\n",
        "process_stacks::spins",
    ]);
}

#[test]
fn an_end_by_force_says_the_report_and_then_where_the_body_and_the_routines_hang() {
    let program = alone(|| -> ExitReport {
        let builder = MainQuitter::builder().timeout(QUIT_TIMEOUT).signals(false);
        builder.sources([QuitSource::all_done()]).run(|main| -> () {
            main.routine("flusher").add(hangs).unwrap();
            until_they_hang(main, 1);
            main.send_quit();
            spins();
        })
    });
    let from = Instant::now();
    let ended = program.end().with_code(1);
    assert!(
        from.elapsed() < Duration::from_secs(5),
        "{:?}",
        from.elapsed()
    );
    assert_eq!(ended.count("Failed to quit"), 1, "{}", ended.stderr);
    let (_, stacks) = ended
        .stderr
        .split_once("Where they hang:\n")
        .unwrap_or_else(|| {
            panic!("no stacks in\n{}", ended.stderr);
        });
    assert_eq!(
        below(stacks, "flusher")[0],
        "std::thread::sleep",
        "{stacks}"
    );
    assert!(
        below(stacks, "main")
            .iter()
            .any(|call| call.contains("process_stacks::spins")),
        "{stacks}"
    );
}

#[test]
fn a_second_signal_ends_the_program_with_the_report_and_then_the_stacks() {
    let mut program = alone(|| -> ExitReport {
        let sources = [QuitSource::os_signal()];
        let main = MainQuitter::new(Duration::from_secs(60), sources);
        main.routine("flusher").add(hangs).unwrap();
        until_they_hang(&main, 1);
        eprintln!("started");
        main.exit()
    });
    program.wait_for("started");
    program.send(SIGTERM);
    program.wait_for("Received quit");
    program.send_later(SIGTERM);
    let ended = program.end().with_code(130);
    let ended = ended.saying(&[
        "Failed to quit: 1 routine",
        "flusher",
        "Where they hang:",
        "flusher",
    ]);
    let (_, stacks) = ended.stderr.split_once("Where they hang:").unwrap();
    let calls = below(stacks, "flusher");
    assert_eq!(calls[0], "std::thread::sleep", "{}", ended.stderr);
}

/// Takes over real-time signals, as another library may have done.
fn take_signals(numbers: impl Iterator<Item = i32>) -> Arc<AtomicBool> {
    let came = Arc::new(AtomicBool::new(false));
    for number in numbers {
        signal_hook::flag::register(number, Arc::clone(&came)).unwrap();
    }
    came
}

#[test]
fn a_program_that_uses_all_signals_gets_a_report_without_stacks_that_says_so() {
    let program = alone(|| -> ExitReport {
        let came = take_signals(35..=64);
        let main = main_quitter();
        main.routine("flusher").add(hangs).unwrap();
        main.send_quit();
        let report = main.exit();
        assert!(!came.load(Ordering::Relaxed));
        report
    });
    let ended = program.end().with_code(1);
    assert!(
        below(&ended.stderr, "flusher").is_empty(),
        "{}",
        ended.stderr
    );
    let note = "No stack of 1 thread: the program uses every real-time signal";
    assert_eq!(ended.count(note), 1, "{}", ended.stderr);
}

#[test]
fn handlers_of_the_program_stay_in_place_and_are_not_called() {
    let program = alone(|| -> ExitReport {
        let came = take_signals(50..=64);
        let main = main_quitter();
        main.routine("flusher").add(hangs).unwrap();
        until_they_hang(&main, 1);
        main.send_quit();
        let report = main.exit();
        assert!(!came.load(Ordering::Relaxed));
        for number in 50..=64 {
            let kill = format!("kill -{number} {}", process::id());
            assert!(
                Command::new("sh")
                    .args(["-c", &kill])
                    .status()
                    .unwrap()
                    .success()
            );
            let until = Instant::now() + Duration::from_secs(10);
            while !came.swap(false, Ordering::Relaxed) {
                assert!(Instant::now() < until, "the handler of {number} is gone");
                thread::yield_now();
            }
        }
        report
    });
    shows_where_it_hangs(&program.end().with_code(1), "flusher");
}

#[test]
fn an_exit_amid_dumps_has_its_stacks() {
    let mut program = alone(|| -> ExitReport {
        let main = MainQuitter::builder()
            .timeout(QUIT_TIMEOUT)
            .dump_on(nix::libc::SIGUSR1)
            .build();
        main.routine("flusher").add(hangs).unwrap();
        until_they_hang(&main, 1);
        eprintln!("started");
        main.exit()
    });
    program.wait_for("started");
    let from = Instant::now();
    program.send(SIGTERM);
    while from.elapsed() < QUIT_TIMEOUT {
        program.send(SIGUSR1);
        thread::sleep(Duration::from_millis(1));
    }
    let ended = program.end().with_code(1);
    let (_, report) = ended.stderr.rsplit_once("Failed to quit").unwrap();
    assert_eq!(
        below(report, "flusher")[0],
        "std::thread::sleep",
        "{}",
        ended.stderr
    );
}
