//! Child processes as routines, with real processes in trees of the tests' own.

#![cfg(all(unix, feature = "process"))]

#[macro_use]
mod common;

use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::pin::pin;
use std::process::{ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::{Duration, Instant};

#[cfg(target_os = "linux")]
use common::take_all_descriptors;
use common::waits::{eventually, process_state};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
#[cfg(target_os = "linux")]
use nix::unistd::{Uid, setresuid};
use quitter_core::{
    AddProcessError, EndedBy, FailureKind, OnFailure, ProcessFailure, ProcessHandle, QuitCause,
    Quitter, RoutineBuilder, RoutineKind, RoutineState,
};

/// How long these tests wait at most for something that must happen.
const PATIENCE: Duration = Duration::from_secs(20);

/// A shell that runs this script.
fn sh(script: &str) -> Command {
    let mut command = Command::new("sh");
    command.arg("-c").arg(script);
    command
}

fn sleeps() -> Command {
    let mut command = Command::new("sleep");
    command.arg("1000");
    command
}

/// Adds a shell with this script, and reads its output up to the line "ready".
fn ready(root: &Quitter, script: &str) -> (ProcessHandle, Vec<String>) {
    ready_as(root.routine("shell"), script)
}

fn ready_as(builder: RoutineBuilder<'_>, script: &str) -> (ProcessHandle, Vec<String>) {
    let mut command = sh(script);
    command.stdout(Stdio::piped());
    let mut process = builder.process(command).unwrap();
    let stdout = process.stdout.as_mut().unwrap();
    let lines = until_ready(stdout);
    (process, lines)
}

fn until_ready(stdout: &mut ChildStdout) -> Vec<String> {
    let lines = BufReader::new(stdout).lines().map(Result::unwrap);
    lines.take_while(|line| line != "ready").collect()
}

/// Waits until a process is gone, or a zombie: where nobody reaps orphans, they stay as zombies.
#[track_caller]
fn is_gone(pid: u32) {
    eventually(|| matches!(process_state(pid), None | Some('Z')));
}

/// The pids of the zombies of this process.
fn zombies() -> Vec<u32> {
    let own = std::process::id().to_string();
    let pids = fs::read_dir("/proc").unwrap();
    let pids = pids.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok());
    let is_zombie = |pid: &u32| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let fields = stat.rsplit_once(") ").map(|(_, rest)| rest.split(' '));
        fields.is_some_and(|mut fields| {
            fields.next() == Some("Z") && fields.next() == Some(own.as_str())
        })
    };
    pids.filter(is_zombie).collect()
}

fn pid(line: &str) -> u32 {
    line.trim().parse().unwrap()
}

fn message(root: &Quitter) -> String {
    match &root.failures()[0].kind {
        FailureKind::Error { message, .. } => message.clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_quit_ends_a_process_by_the_stop_signal_and_that_is_no_failure() {
    let root = Quitter::root("main");
    let sleep = root.add_process(sleeps()).unwrap();
    assert_eq!(sleep.name(), "sleep");
    assert_eq!(sleep.end(), None);
    root.quit_and_wait(PATIENCE).unwrap();
    let end = sleep.end().unwrap();
    assert_eq!(end.by, EndedBy::StopSignal);
    assert_eq!(end.status.unwrap().signal(), Some(15));
    assert!(root.failures().is_empty());
    assert_eq!(process_state(sleep.pid()), None);
}

#[test]
fn a_process_that_ignores_the_stop_signal_is_killed_before_the_deadline_and_named() {
    let root = Quitter::root("main");
    let (stubborn, lines) = ready(
        &root,
        "trap '' TERM; sleep 1000 & echo $!; echo ready; wait",
    );
    let until = Instant::now() + PATIENCE;
    while fs::read_to_string(format!("/proc/{}/comm", pid(&lines[0]))).unwrap() != "sleep\n" {
        assert!(Instant::now() < until, "the sleep does not start");
        thread::yield_now();
    }
    let from = Instant::now();
    root.quit_and_wait(Duration::from_secs(2)).unwrap();
    let took = from.elapsed();
    assert!(took >= Duration::from_millis(1500), "{took:?}");
    let end = stubborn.end().unwrap();
    assert_eq!(
        (end.by, end.status.unwrap().signal()),
        (EndedBy::Kill, Some(9))
    );
    let text = message(&root);
    let begin = "killed, since it had not ended 1.";
    assert!(text.starts_with(begin), "{text}");
    assert!(text.contains(" s after the stop signal: pid "), "{text}");
    assert!(text.contains(&stubborn.pid().to_string()), "{text}");
    assert!(text.contains(", sleeping"), "{text}");
    assert!(text.contains(", with 'sleep' (pid "), "{text}");
    assert!(text.contains("sh -c 'trap '' TERM"), "{text}");
    assert!(root.failures()[0].while_quitting);
    assert_eq!(process_state(stubborn.pid()), None);
}

#[test]
fn a_short_quit_timeout_leaves_half_of_it_to_stop() {
    let root = Quitter::root("main");
    let builder = root.routine("shell").kill_before_deadline(PATIENCE);
    let script = "trap '' TERM; echo ready; while :; do sleep 1000; done";
    let (stubborn, _) = ready_as(builder, script);
    let from = Instant::now();
    let short = Duration::from_millis(800);
    root.quit_and_wait(short).unwrap();
    assert!(from.elapsed() >= short / 2, "{:?}", from.elapsed());
    assert_eq!(stubborn.end().unwrap().by, EndedBy::Kill);
}

#[test]
fn any_exit_code_after_the_stop_signal_is_clean_and_there_to_be_read() {
    let root = Quitter::root("main");
    let script = "trap 'exit 3' TERM; echo ready; while :; do sleep 0.01; done";
    let (process, _) = ready(&root, script);
    root.quit_and_wait(PATIENCE).unwrap();
    let end = process.end().unwrap();
    assert_eq!(
        (end.by, end.status.unwrap().code()),
        (EndedBy::StopSignal, Some(3))
    );
    assert!(root.failures().is_empty());
}

#[test]
fn a_process_that_another_request_to_end_reaches_first_has_not_failed() {
    for other in [Signal::SIGHUP, Signal::SIGINT, Signal::SIGTERM] {
        let root = Quitter::root("main");
        let builder = root.routine("sleeps").stop_signal(libc::SIGCONT);
        let process = builder.process(sleeps()).unwrap();
        root.send_quit();
        kill(Pid::from_raw(process.pid() as i32), other).unwrap();
        root.wait_done(PATIENCE).unwrap();
        let status = process.end().unwrap().status.unwrap();
        assert_eq!(status.signal(), Some(other as i32));
        assert!(root.failures().is_empty(), "{:?}", root.failures());
    }
}

#[test]
fn a_command_is_shown_with_its_empty_arguments_and_cut_and_named_after_its_program() {
    let root = Quitter::root("main");
    let mut command = Command::new("/bin/sh");
    command.args(["-c", "sleep 1000", ""]).args(["x"; 1000]);
    let process = root.add_process(command).unwrap();
    assert_eq!(process.name(), "sh");
    let timeouts = process.wait(Duration::ZERO).unwrap_err();
    let status = timeouts.routines().next().unwrap().status.as_deref();
    let status = status.unwrap();
    assert!(
        status.starts_with("/bin/sh -c 'sleep 1000' '' x x"),
        "{status}"
    );
    assert!(status.chars().count() <= 1024, "{status}");
    root.quit_and_wait(PATIENCE).unwrap();
}

#[test]
fn a_crash_after_the_stop_signal_is_a_failure_while_quitting() {
    let root = Quitter::root("main");
    let script = "ulimit -c 0; trap 'kill -SEGV $$' TERM; echo ready; while :; do sleep 0.01; done";
    let (_process, _) = ready(&root, script);
    root.quit_and_wait(PATIENCE).unwrap();
    assert_eq!(message(&root), "signal: 11 (SIGSEGV)");
    assert!(root.failures()[0].while_quitting);
}

#[test]
fn a_quit_ends_the_grandchildren_of_the_group_too() {
    let root = Quitter::root("main");
    let (_process, lines) = ready(
        &root,
        "sleep 1000 & echo $!; (sleep 1000 & echo $!); echo ready; wait",
    );
    let grandchildren: Vec<_> = lines.iter().map(|line| pid(line)).collect();
    assert!(
        grandchildren
            .iter()
            .all(|pid| process_state(*pid).is_some())
    );
    root.quit_and_wait(PATIENCE).unwrap();
    grandchildren.into_iter().for_each(is_gone);
}

#[test]
fn grandchildren_that_ignore_the_stop_signal_are_killed_though_their_leader_has_ended() {
    let root = Quitter::root("main");
    let script = "trap '' TERM; sleep 1000 & echo $!; trap - TERM; echo ready; wait";
    let (process, lines) = ready(&root, script);
    let from = Instant::now();
    root.quit_and_wait(Duration::from_secs(2)).unwrap();
    assert!(from.elapsed() >= Duration::from_millis(1500));
    let end = process.end().unwrap();
    let text = "signal: 15 (SIGTERM), the rest of its group killed";
    assert_eq!((end.by, end.to_string().as_str()), (EndedBy::Kill, text));
    let message = message(&root);
    assert!(
        message.starts_with("the rest of its group was killed, since it had not ended 1."),
        "{message}"
    );
    let who = format!(", with 'sleep' (pid {}) in its group: sh -c ", lines[0]);
    assert!(message.contains(&who), "{message}");
    is_gone(pid(&lines[0]));
}

#[test]
fn a_group_that_had_to_be_killed_is_a_failure_even_if_its_leader_ended_well() {
    let root = Quitter::root("main");
    let script = "trap '' TERM; sleep 1000 & trap 'exit 0' TERM; echo ready; wait";
    let (process, _) = ready(&root, script);
    root.quit_and_wait(Duration::from_millis(500)).unwrap();
    let end = process.end().unwrap();
    assert_eq!(
        (end.by, end.status.unwrap().code()),
        (EndedBy::Kill, Some(0))
    );
    let message = message(&root);
    assert!(
        message.starts_with("the rest of its group was killed"),
        "{message}"
    );
}

#[test]
#[cfg(target_os = "linux")]
fn while_a_group_is_awaited_a_list_says_that_its_leader_has_ended() {
    let root = Quitter::root("main");
    let script = "trap '' TERM; sleep 1000 & trap - TERM; echo ready; wait";
    let (process, _) = ready(&root, script);
    root.send_quit();
    eventually(|| {
        let listed = process.wait(Duration::ZERO).unwrap_err();
        let status = &listed.routines().next().unwrap().status;
        let status = status.as_deref().unwrap_or_default();
        status.ends_with("; wait' (has ended, and its group has not)")
    });
    root.quit_and_wait(Duration::from_millis(100)).unwrap();
}

#[test]
fn grandchildren_have_until_then_to_finish_though_their_leader_has_ended() {
    let root = Quitter::root("main");
    let file = std::env::temp_dir().join(format!("quitter {}", std::process::id()));
    let script = format!(
        "(trap 'sleep 0.3; echo flushed > \"{}\"; exit' TERM; echo ready; \
         while :; do sleep 0.01; done) & wait",
        file.display()
    );
    let (process, _) = ready(&root, &script);
    root.quit_and_wait(PATIENCE).unwrap();
    let flushed = fs::read_to_string(&file);
    let _ = fs::remove_file(&file);
    assert_eq!(flushed.unwrap(), "flushed\n");
    assert_eq!(process.end().unwrap().status.unwrap().signal(), Some(15));
}

#[test]
fn what_is_left_of_a_group_is_killed_when_its_leader_ends_by_itself() {
    let root = Quitter::root("main");
    let (process, lines) = ready(&root, "trap '' TERM; sleep 1000 & echo $!; echo ready");
    let end = process.wait(PATIENCE).unwrap();
    assert_eq!((end.by, end.is_success()), (EndedBy::Itself, true));
    is_gone(pid(&lines[0]));
}

#[test]
#[cfg(target_os = "linux")]
fn a_process_that_ended_by_itself_is_done_only_when_its_group_has_ended() {
    for _ in 0..20 {
        let root = Quitter::root("main");
        let busy = "(trap '' TERM; while :; do :; done) & echo $!; echo ready";
        let (process, lines) = ready(&root, busy);
        process.wait(PATIENCE).unwrap();
        let state = process_state(pid(&lines[0]));
        assert!(matches!(state, None | Some('Z' | 'X')), "{state:?}");
    }
}

#[test]
fn an_end_by_itself_is_a_failure_unless_it_is_a_success_or_its_status_is_data() {
    type Ends = (&'static str, ProcessFailure, Option<&'static str>);
    let cases: [Ends; 8] = [
        ("exit 0", ProcessFailure::Unsuccessful, None),
        (
            "exit 3",
            ProcessFailure::Unsuccessful,
            Some("exit status: 3"),
        ),
        (
            "kill -KILL $$",
            ProcessFailure::Unsuccessful,
            Some("signal: 9 (SIGKILL)"),
        ),
        (
            "kill -TERM $$",
            ProcessFailure::Unsuccessful,
            Some("signal: 15 (SIGTERM)"),
        ),
        ("exit 0", ProcessFailure::AnyEnd, Some("exit status: 0")),
        ("exit 3", ProcessFailure::AnyEnd, Some("exit status: 3")),
        ("exit 3", ProcessFailure::Never, None),
        ("kill -KILL $$", ProcessFailure::Never, None),
    ];
    for (script, failure_on, expected) in cases {
        let root = Quitter::root("main");
        let builder = root.routine("tool").failure_on(failure_on);
        let process = builder.process(sh(script)).unwrap();
        let end = process.wait(PATIENCE).unwrap();
        assert_eq!(end.by, EndedBy::Itself);
        let text = root.failures().first().map(|_| message(&root));
        assert_eq!(text.as_deref(), expected, "{script} {failure_on:?}");
        assert_eq!(root.has_to_quit(), expected.is_some());
        if expected.is_some() {
            let cause = root.quit_cause().unwrap();
            assert!(matches!(cause, QuitCause::RoutineFailed { name, .. } if name == "tool"));
        }
    }
}

#[test]
fn a_process_heeds_the_policy_for_failures() {
    let root = Quitter::root("main");
    let builder = root.routine("tool").on_failure(OnFailure::FailAtExit);
    let process = builder.process(sh("exit 3")).unwrap();
    process.wait(PATIENCE).unwrap();
    assert!(!root.has_to_quit());
    assert_eq!(root.failures().len(), 1);
}

#[test]
fn an_end_that_a_supervisor_asked_for_waits_for_the_quit_that_explains_it() {
    /// How long the library waits for a quit after the end of a process.
    const QUIT_FOLLOWS: Duration = Duration::from_millis(100);
    let until = Instant::now() + PATIENCE;
    for (script, failures) in [("exit 143", 0), ("kill -TERM $$", 0), ("exit 3", 1)] {
        loop {
            let root = Quitter::root("main");
            let from = Instant::now();
            let (process, _) = ready(&root, &format!("echo ready; read line; {script}"));
            let pid = process.pid();
            drop(process);
            // The shell ends, since `read` finds no input. The quit comes a moment later.
            is_gone(pid);
            root.send_quit();
            let is_in_time = from.elapsed() < QUIT_FOLLOWS;
            root.wait_done(PATIENCE).unwrap();
            if is_in_time {
                assert_eq!(root.failures().len(), failures, "{script}");
                break;
            }
            assert!(Instant::now() < until, "never in time");
        }
    }
}

#[test]
fn a_program_that_is_not_there_is_an_error_that_leaves_nothing() {
    let root = Quitter::root("main");
    let error = root
        .add_process(Command::new("/no/such/program"))
        .unwrap_err();
    assert_eq!(error.to_string(), "cannot start '/no/such/program'");
    assert!(!error.is_quitting());
    root.wait_done(Duration::ZERO).unwrap();
    assert!(root.failures().is_empty());
}

#[test]
fn a_number_that_is_no_signal_is_an_error() {
    let root = Quitter::root("main");
    for number in [0, -1, 1000] {
        let error = root
            .routine("x")
            .stop_signal(number)
            .process(sleeps())
            .unwrap_err();
        assert!(matches!(error, AddProcessError::StopSignal { number: n } if n == number));
    }
    root.wait_done(Duration::ZERO).unwrap();
}

#[test]
fn a_refused_process_is_not_started() {
    let root = Quitter::root("main");
    root.send_quit();
    let file = std::env::temp_dir().join(format!("quitter refused {}", std::process::id()));
    let mut command = Command::new("touch");
    command.arg(&file);
    assert!(root.add_process(command).unwrap_err().is_quitting());
    assert!(!file.exists());
    let in_routine = quitter_core::Quitting;
    assert_eq!(
        AddProcessError::from(in_routine).to_string(),
        in_routine.to_string()
    );
}

#[test]
fn a_process_that_is_added_during_the_quit_is_refused_or_ended() {
    for _ in 0..20 {
        let root = Quitter::root("main");
        let pids = Mutex::new(Vec::new());
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    while let Ok(process) = root.add_process(sleeps()) {
                        pids.lock().unwrap().push(process.pid());
                    }
                });
            }
            while pids.lock().unwrap().len() < 8 {
                thread::yield_now();
            }
            root.send_quit();
        });
        root.wait_done(PATIENCE).unwrap();
        for pid in pids.into_inner().unwrap() {
            assert_eq!(process_state(pid), None);
        }
    }
}

#[test]
fn a_quit_of_one_quitter_leaves_the_others_processes_running() {
    let root = Quitter::root("main");
    let [a, b] = ["a", "b"].map(|name| root.child(name).unwrap());
    let [of_a, of_b] = [&a, &b].map(|quitter| quitter.add_process(sleeps()).unwrap());
    a.quit_and_wait(PATIENCE).unwrap();
    assert!(of_a.is_finished() && !of_b.is_finished());
    assert!(process_state(of_b.pid()).is_some());
    root.quit_and_wait(PATIENCE).unwrap();
    assert!(of_b.end().unwrap().is_by_quit());
}

#[test]
fn a_deadline_that_comes_after_the_quit_kills_too() {
    let root = Quitter::root("main");
    let (stubborn, _) = ready(
        &root,
        "trap '' TERM; echo ready; while :; do sleep 1000; done",
    );
    root.send_quit();
    assert!(stubborn.wait(Duration::from_millis(200)).is_err());
    root.quit_and_wait(Duration::from_secs(1)).unwrap();
    assert_eq!(stubborn.end().unwrap().by, EndedBy::Kill);
}

#[test]
fn a_suspended_process_ends_at_the_quit() {
    let root = Quitter::root("main");
    let sleep = root.add_process(sleeps()).unwrap();
    sleep.send_signal(libc::SIGSTOP).unwrap();
    let until = Instant::now() + PATIENCE;
    while process_state(sleep.pid()) != Some('T') {
        assert!(Instant::now() < until);
        thread::yield_now();
    }
    root.quit_and_wait(PATIENCE).unwrap();
    assert_eq!(sleep.end().unwrap().by, EndedBy::StopSignal);
}

#[test]
fn a_signal_reaches_the_process_alone_and_none_after_its_end() {
    let root = Quitter::root("main");
    let script = "trap 'echo reloaded' HUP; \
                  (trap 'echo wrong' HUP; echo ready; while :; do sleep 0.01; done) & \
                  while :; do sleep 0.01; done";
    let (mut process, _) = ready(&root, script);
    assert_eq!(
        process.send_signal(0).unwrap_err().kind(),
        io::ErrorKind::InvalidInput
    );
    let mut stdout = BufReader::new(process.stdout.take().unwrap());
    // If another process got the first signal, its output would come before the last answer.
    for _ in 0..10 {
        process.send_signal(libc::SIGHUP).unwrap();
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        assert_eq!(line, "reloaded\n");
    }
    root.quit_and_wait(PATIENCE).unwrap();
    let late = process.send_signal(libc::SIGHUP).unwrap_err();
    assert_eq!(late.kind(), io::ErrorKind::NotFound);
}

#[test]
fn a_process_in_the_groups_of_others_is_signalled_alone() {
    let root = Quitter::root("main");
    let mut command = sh("sleep 1000 & echo $!; echo ready; wait");
    command.stdout(Stdio::piped());
    let mut process = root
        .routine("shell")
        .own_group(false)
        .process(command)
        .unwrap();
    let lines = until_ready(process.stdout.as_mut().unwrap());
    root.quit_and_wait(PATIENCE).unwrap();
    assert!(process.end().unwrap().is_by_quit());
    let grandchild = pid(&lines[0]);
    assert!(!matches!(process_state(grandchild), None | Some('Z' | 'X')));
    kill(Pid::from_raw(grandchild.cast_signed()), Signal::SIGKILL).unwrap();
}

#[test]
fn pipes_work_both_ways_and_belong_to_the_caller() {
    let root = Quitter::root("main");
    let mut cat = Command::new("cat");
    cat.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut cat = root.add_process(cat).unwrap();
    let mut stdin = cat.stdin.take().unwrap();
    stdin.write_all(b"one\ntwo\n").unwrap();
    drop(stdin);
    let mut text = String::new();
    cat.stdout
        .take()
        .unwrap()
        .read_to_string(&mut text)
        .unwrap();
    assert_eq!(text, "one\ntwo\n");
    assert!(cat.wait(PATIENCE).unwrap().is_success());
}

#[test]
fn a_pipe_that_nobody_reads_holds_nothing_up() {
    let root = Quitter::root("main");
    let mut yes = Command::new("yes");
    yes.stdout(Stdio::piped());
    let yes = root.add_process(yes).unwrap();
    root.quit_and_wait(PATIENCE).unwrap();
    assert_eq!(yes.end().unwrap().by, EndedBy::StopSignal);
}

/// The command is escaped only once, where it is printed.
#[test]
fn a_command_is_data_as_it_is_and_cannot_move_the_cursor_in_a_report() {
    let root = Quitter::root("main");
    let process = root.add_process(sh("sleep 1000 # \u{1b}[2J")).unwrap();
    let timeouts = process.wait(Duration::ZERO).unwrap_err();
    let routine = timeouts.routines().next().unwrap();
    let command = "sh -c 'sleep 1000 # \u{1b}[2J'";
    assert_eq!(routine.status.as_deref(), Some(command));
    let text = timeouts.to_string();
    let escaped = r#"command "sh -c 'sleep 1000 # \u{1b}[2J'""#;
    assert!(text.contains(escaped), "{text}");
    root.quit_and_wait(PATIENCE).unwrap();
}

#[test]
fn a_wait_that_times_out_lists_the_process_with_pid_and_command() {
    let root = Quitter::root("main");
    let sleep = root.routine("nap").process(sleeps()).unwrap();
    let timeouts = sleep.wait(Duration::ZERO).unwrap_err();
    let routine = timeouts.routines().next().unwrap();
    assert_eq!(routine.id, sleep.id());
    assert_eq!(routine.kind, RoutineKind::Process { pid: sleep.pid() });
    assert_eq!(routine.status.as_deref(), Some("sleep 1000"));
    assert_eq!(routine.spawned_at.file(), file!());
    let text = timeouts.to_string();
    assert!(text.contains(&format!("pid {}", sleep.pid())), "{text}");
    assert!(text.contains("command \"sleep 1000\""), "{text}");
    assert!(!text.contains("never asked"), "{text}");
    root.quit_and_wait(PATIENCE).unwrap();
}

#[cfg(target_os = "linux")]
#[test]
fn a_list_and_a_snapshot_say_what_a_process_is_blocked_in() {
    let root = Quitter::root("main");
    let mut command = Command::new("cat");
    command.stdin(Stdio::piped());
    let process = root.routine("cat").process(command).unwrap();
    let stands = || {
        let list = root.wait_done(Duration::from_millis(1)).unwrap_err();
        let stands = list.routines().next().unwrap().stands.clone();
        stands.map(|stands| stands.to_string())
    };
    let until = Instant::now() + PATIENCE;
    // The process takes a moment to get there.
    while stands().as_deref() != Some("blocked in read (fd 0, stdin, a pipe)") {
        assert!(Instant::now() < until, "{:?}", stands());
    }
    let text = || root.snapshot().to_string();
    while !text().contains(" s, blocked in read (fd 0, stdin, a pipe),") {
        assert!(Instant::now() < until, "{}", text());
    }
    root.quit_and_wait(PATIENCE).unwrap();
    drop(process);
}

#[test]
fn an_adopted_process_is_stopped_reaped_and_reported() {
    let root = Quitter::root("main");
    let child = sleeps().spawn().unwrap();
    let id = child.id();
    let adopted = root.routine("of a library").adopt(child).unwrap();
    let timeouts = root.wait_done(Duration::ZERO).unwrap_err();
    let routine = timeouts.routines().next().unwrap();
    assert_eq!(routine.kind, RoutineKind::Process { pid: id });
    root.quit_and_wait(PATIENCE).unwrap();
    assert_eq!(adopted.end().unwrap().by, EndedBy::StopSignal);
    assert_eq!(process_state(id), None);
}

#[test]
fn a_process_that_had_ended_is_adopted_with_its_status() {
    let root = Quitter::root("main");
    let mut waited_for = sh("exit 4").spawn().unwrap();
    waited_for.wait().unwrap();
    let ended = sh("exit 4").spawn().unwrap();
    is_gone(ended.id());
    for child in [waited_for, ended] {
        let builder = root.routine("tool").failure_on(ProcessFailure::Never);
        let adopted = builder.adopt(child).unwrap();
        let end = adopted.wait(Duration::ZERO).unwrap();
        assert_eq!(end.status.unwrap().code(), Some(4));
        assert!(adopted.send_signal(libc::SIGTERM).is_err());
    }
    assert!(root.failures().is_empty());
    let child = sh("exit 4").spawn().unwrap();
    is_gone(child.id());
    let failed = root.routine("server").adopt(child).unwrap();
    failed.wait(PATIENCE).unwrap();
    assert_eq!(message(&root), "exit status: 4");
}

#[test]
fn a_waker_that_panics_keeps_no_other_process_from_its_end() {
    struct Panics;
    impl Wake for Panics {
        fn wake(self: Arc<Self>) {
            panic!("the executor has a defect");
        }
    }
    let root = Quitter::root("main");
    let builder = root.routine("sleeps").failure_on(ProcessFailure::Never);
    let process = builder.process(sleeps()).unwrap();
    let panics = Waker::from(Arc::new(Panics));
    let mut ended = pin!(process.ended());
    let polled = ended.as_mut().poll(&mut Context::from_waker(&panics));
    assert!(polled.is_pending());
    kill(Pid::from_raw(process.pid() as i32), Signal::SIGTERM).unwrap();
    process.wait(PATIENCE).unwrap();
    let next = root.add_process(sh("exit 0")).unwrap();
    assert!(next.wait(PATIENCE).unwrap().is_success());
}

#[test]
fn a_process_whose_adoption_is_refused_is_killed_and_reaped() {
    let root = Quitter::root("main");
    root.send_quit();
    let child = sleeps().spawn().unwrap();
    let id = child.id();
    assert!(root.routine("late").adopt(child).unwrap_err().is_quitting());
    let until = Instant::now() + PATIENCE;
    while process_state(id).is_some() {
        assert!(Instant::now() < until, "{:?}", process_state(id));
        thread::yield_now();
    }
}

#[test]
fn a_process_whose_stop_signal_changes_nothing_may_finish_its_work() {
    let root = Quitter::root("main");
    let mut reads = sh("read line; exit 3");
    let builder = root.routine("batch").stop_signal(libc::SIGCONT);
    let mut process = builder.process(reads.stdin(Stdio::piped())).unwrap();
    root.send_quit();
    let unfinished = process.wait(Duration::from_millis(1)).unwrap_err();
    assert_eq!(unfinished.len(), 1);
    drop(process.stdin.take());
    let end = process.wait(PATIENCE).unwrap();
    assert_eq!(
        (end.by, end.status.unwrap().code()),
        (EndedBy::StopSignal, Some(3))
    );
    assert!(root.failures().is_empty());
}

#[cfg(target_os = "linux")]
in_own_process!(
    a_process_that_nothing_can_wait_for_is_killed_and_reaped,
    own_process_nothing_can_wait,
    {
        let root = Quitter::root("main");
        let child = sleeps().spawn().unwrap();
        let id = child.id();
        let files = take_all_descriptors();
        let refused = root.routine("of a library").adopt(child).unwrap_err();
        drop(files);
        assert!(matches!(refused, AddProcessError::Wait { .. }), "{refused}");
        assert_eq!(process_state(id), None);
        assert!(root.wait_done(Duration::ZERO).is_ok());
    }
);

#[cfg(target_os = "linux")]
in_own_process!(
    /// A program that gives up its privileges may not signal the children that it started before. Only root
    /// has privileges to give up.
    a_process_that_may_not_be_killed_is_not_said_to_be_killed,
    own_process_may_not_kill,
    {
        const NOBODY: Uid = Uid::from_raw(65534);
        if Uid::effective().is_root() {
            let root = Quitter::root("main");
            let mut reads = sh("read a_line_that_makes_this_command_too_long_for_a_report");
            let mut process = root.add_process(reads.stdin(Stdio::piped())).unwrap();
            setresuid(NOBODY, NOBODY, NOBODY).unwrap();
            let timeouts = root.quit_and_wait(Duration::from_millis(200)).unwrap_err();
            let shown = timeouts.to_string();
            assert!(shown.contains(" (cannot be killed)\""), "{shown}");
            drop(process.stdin.take());
            assert_eq!(process.wait(PATIENCE).unwrap().by, EndedBy::StopSignal);
        }
    }
);

#[test]
fn the_wait_of_other_code_for_its_own_children_is_not_stolen() {
    let root = Quitter::root("main");
    let processes: Vec<_> = (0..50)
        .map(|_| root.add_process(sh("exit 0")).unwrap())
        .collect();
    let mut others: Vec<_> = (0..50).map(|_| sh("exit 7").spawn().unwrap()).collect();
    for process in processes {
        process.wait(PATIENCE).unwrap();
    }
    for other in &mut others {
        assert_eq!(other.wait().unwrap().code(), Some(7));
    }
}

/// Under a debugger or `strace -p`, the parent learns of the end of a process once the tracer lets it go.
#[test]
#[cfg(target_os = "linux")]
fn the_end_of_a_process_that_another_one_traces_is_noticed() {
    let root = Quitter::root("main");
    let mut reads = sh("read line");
    let mut traced = root.add_process(reads.stdin(Stdio::piped())).unwrap();
    let mut tracer = Command::new(std::env::current_exe().unwrap());
    tracer.args(["--ignored", "--exact", "--nocapture", "traces"]);
    tracer.env(TRACED, traced.pid().to_string());
    let tracer = tracer.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let mut tracer = tracer.unwrap();
    let said = until_ready(tracer.stdout.as_mut().unwrap());
    let is_refused = said.iter().any(|line| line.ends_with("refused"));
    drop(traced.stdin.take());
    if !is_refused {
        eventually(|| process_state(traced.pid()) == Some('Z'));
        // The system reports this end after that of the traced process.
        let next = root.add_process(Command::new("true")).unwrap();
        next.wait(PATIENCE).unwrap();
        assert!(!traced.is_finished());
    }
    drop(tracer.stdin.take());
    traced.wait(PATIENCE).unwrap();
    assert!(tracer.wait().unwrap().success());
}

#[cfg(target_os = "linux")]
const TRACED: &str = "QUITTER_TEST_TRACED";

/// Traces a process until the tracer's own input has ended.
#[test]
#[ignore = "a process of another test"]
#[cfg(target_os = "linux")]
fn traces() {
    use nix::sys::{ptrace, wait::waitpid};

    let Some(traced) = std::env::var_os(TRACED) else {
        return;
    };
    let traced = Pid::from_raw(traced.to_str().unwrap().parse().unwrap());
    // Some systems let a process trace only its own descendants.
    let is_traced = ptrace::seize(traced, ptrace::Options::empty()).is_ok();
    println!("\n{}\nready", if is_traced { "traced" } else { "refused" });
    io::stdin().read_line(&mut String::new()).unwrap();
    if is_traced {
        waitpid(traced, None).unwrap();
    }
}

#[test]
fn several_threads_wait_for_one_process() {
    let root = Quitter::root("main");
    let process = root
        .routine("tool")
        .process(sh("sleep 0.05; exit 0"))
        .unwrap();
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| assert!(process.wait(PATIENCE).unwrap().is_success()));
        }
    });
    assert!(process.wait(Duration::ZERO).unwrap().is_success());
}

#[test]
fn a_routine_adds_processes_beside_it() {
    let root = Quitter::root("main");
    root.add_routine(|q| {
        let end = q.add_process(sh("exit 0"))?.wait(PATIENCE)?;
        assert!(end.is_success());
        Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
    })
    .unwrap();
    root.wait_done(PATIENCE).unwrap();
    assert!(root.failures().is_empty());
}

#[test]
fn ends_of_short_processes_leave_no_zombie() {
    let root = Quitter::root("main");
    let mut pids = Vec::new();
    for _ in 0..200 {
        let process = root.add_process(sh("exit 0")).unwrap();
        pids.push(process.pid());
        process.wait(PATIENCE).unwrap();
    }
    assert!(zombies().iter().all(|zombie| !pids.contains(zombie)));
}

struct Unpark(thread::Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

#[test]
fn futures_wait_for_the_end_on_any_executor() {
    let root = Quitter::root("main");
    let process = root.routine("tool").failure_on(ProcessFailure::Never);
    let process = process.process(sh("sleep 0.05; exit 5")).unwrap();
    let dropped = process.ended();
    let mut ended = pin!(process.ended());
    let waker = Arc::new(Unpark(thread::current())).into();
    let mut cx = Context::from_waker(&waker);
    drop(dropped);
    let end = loop {
        match ended.as_mut().poll(&mut cx) {
            Poll::Ready(end) => break end,
            Poll::Pending => thread::park_timeout(PATIENCE),
        }
    };
    assert_eq!(end.status.unwrap().code(), Some(5));
    assert!(process.is_finished());
    assert_eq!(pin!(process.ended()).poll(&mut cx), Poll::Ready(end));
}

#[test]
fn a_future_that_is_dropped_lets_go_of_its_waker() {
    let root = Quitter::root("main");
    let process = root.add_process(sleeps()).unwrap();
    let first = Arc::new(Unpark(thread::current()));
    let second = Arc::new(Unpark(thread::current()));
    {
        let mut ended = pin!(process.ended());
        for waker in [&first, &second] {
            let waker = Arc::clone(waker).into();
            let mut cx = Context::from_waker(&waker);
            assert!(ended.as_mut().poll(&mut cx).is_pending());
        }
        assert_eq!(Arc::strong_count(&first), 1);
    }
    assert_eq!(Arc::strong_count(&second), 1);
    root.quit_and_wait(PATIENCE).unwrap();
}

#[test]
fn a_task_that_awaits_the_end_of_a_process_waits_for_others() {
    let root = Quitter::root("main");
    let process = root.child("child").unwrap().add_process(sleeps()).unwrap();
    let task = root.routine("supervisor").task(async |_| {
        process.ended().await;
        std::future::pending::<()>().await;
    });
    let mut task = pin!(task.unwrap());
    let mut cx = Context::from_waker(Waker::noop());
    let state = || {
        let live = root.wait_done(Duration::ZERO).unwrap_err();
        let mut routines = live.routines();
        let task = routines.find(|routine| routine.name == "supervisor");
        task.unwrap().state
    };
    assert!(task.as_mut().poll(&mut cx).is_pending());
    assert_eq!(state(), RoutineState::Waiting);
    process.send_signal(libc::SIGKILL).unwrap();
    process.wait(PATIENCE).unwrap();
    assert!(task.as_mut().poll(&mut cx).is_pending());
    assert_eq!(state(), RoutineState::Running);
}

#[test]
fn handles_and_futures_may_go_to_other_threads() {
    fn is_shared<T: Send + Sync + Unpin + 'static>() {}
    is_shared::<ProcessHandle>();
    is_shared::<quitter_core::ProcessEnded>();
    is_shared::<quitter_core::ProcessEnd>();
    is_shared::<AddProcessError>();
}

/// Asserts nothing about time; `--nocapture` shows both times.
#[test]
#[ignore = "for a look at the times"]
fn a_thousand_processes_beside_a_loop_by_hand() {
    let root = Quitter::root("main");
    let from = Instant::now();
    for _ in 0..1000 {
        root.add_process(sleeps()).unwrap();
    }
    let started = from.elapsed();
    let from = Instant::now();
    root.quit_and_wait(PATIENCE).unwrap();
    println!(
        "quitter: started in {started:?}, ended in {:?}",
        from.elapsed()
    );

    use std::os::unix::process::CommandExt;
    let from = Instant::now();
    let start = || sleeps().process_group(0).spawn().unwrap();
    let mut children: Vec<_> = (0..1000).map(|_| start()).collect();
    let started = from.elapsed();
    let from = Instant::now();
    for child in &children {
        let group = -child.id().cast_signed();
        kill(Pid::from_raw(group), Signal::SIGTERM).unwrap();
    }
    for child in &mut children {
        child.wait().unwrap();
    }
    println!(
        "by hand: started in {started:?}, ended in {:?}",
        from.elapsed()
    );
}
