//! Programs with child processes: however the program ends, no child is left.

#![cfg(all(unix, feature = "process"))]

#[allow(dead_code, reason = "each test binary uses a part of it")]
mod common;

use std::fs;
use std::io::{self, BufRead, BufReader};
use std::panic::{self, AssertUnwindSafe};
use std::process::{Command, ExitCode, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal::{SIGINT, SIGTERM};
use quitter::{
    ExitReport, MainQuitter, ProcessFailure, ProcessOutput, QuitSource, Quitter, SignalExitCode,
    Timeouts,
};

#[cfg(target_os = "linux")]
use common::waits::{eventually, until_all_others_sleep};
use common::{
    Ended, PATIENCE, Process, after_shell, alone, command_for, hang, lives, sh, until_full,
};

/// Far longer than any test takes.
const LONG: Duration = Duration::from_secs(3600);

/// Scripts whose processes print their ids: the first stops when it is asked to; in the second, neither the
/// shell nor its child stops; in the third, neither the shell nor its grandchild.
const CHILDREN: [&str; 3] = [
    "echo pid $$; exec sleep 1000",
    "trap '' TERM; echo pid $$; sleep 1000 & echo pid $!; while :; do sleep 1000; done",
    "(trap '' TERM; sleep 1000 & echo pid $!; wait) & trap '' TERM; echo pid $$; sleep 1000; wait",
];

/// How many ids [`CHILDREN`] print.
const PIDS: usize = 5;

/// The quit timeout, and how long before its end children that did not stop are killed. On a busy machine,
/// a killed process may take long to disappear.
const TIMEOUT: Duration = Duration::from_secs(4);
const TO_DIE: Duration = Duration::from_secs(2);

/// Adds the [`CHILDREN`], which print their ids.
fn add_children(root: &Quitter) {
    for script in CHILDREN {
        let builder = root.routine("child").failure_on(ProcessFailure::Never);
        let builder = builder.kill_before_deadline(TO_DIE);
        builder.process(sh(script)).unwrap();
    }
}

/// A program whose children have printed their ids.
struct Parent {
    process: Process,
    pids: Vec<u32>,
}

fn with_children(mut process: Process) -> Parent {
    let number = |line: String| line.trim().rsplit(' ').next().unwrap().parse().unwrap();
    let pids = (0..PIDS)
        .map(|_| number(process.wait_for("pid ")))
        .collect();
    Parent { process, pids }
}

/// Does the same for a program that goes on once it is [told](until_told).
fn told_with_children(mut command: Command) -> Parent {
    let (hold, let_go) = io::pipe().unwrap();
    let parent = with_children(Process::start_reading(&mut command, hold));
    drop(let_go);
    parent
}

/// Waits until the test has all ids.
fn until_told() {
    let _end = io::stdin().read_line(&mut String::new());
}

impl Parent {
    /// Waits for the end of the program, and then for the end of all processes that it has started, which must
    /// follow at once. Prints a row of the table in docs/exit.md.
    #[track_caller]
    fn ends_with_all(self, code: i32) -> Ended {
        self.ends_with_all_as(&code.to_string(), |ended| ended.with_code(code))
    }

    /// Like [`ends_with_all`](Self::ends_with_all), of a program whose end `check` checks, and `how` describes.
    #[track_caller]
    fn ends_with_all_as(self, how: &str, check: impl FnOnce(Ended) -> Ended) -> Ended {
        let ended = check(self.process.end());
        let end = Instant::now();
        let test = thread::current().name().unwrap_or_default().to_owned();
        let until = end + Duration::from_secs(2);
        let is_left = || self.pids.iter().copied().find(|pid| lives(*pid));
        while let Some(pid) = is_left().or_else(|| descendant_of(&test)) {
            assert!(Instant::now() < until, "{pid} is left\n{}", ended.stderr);
            thread::sleep(Duration::from_millis(1));
        }
        let gone = end.elapsed().as_millis();
        println!("| `{test}` | {how} | {PIDS} | 0 | {gone} |");
        ended
    }
}

#[test]
fn none_is_left_after_a_normal_quit() {
    let story = || -> ExitReport {
        let main = MainQuitter::new(TIMEOUT, [QuitSource::os_signal()]);
        add_children(&main);
        main.exit()
    };
    let parent = with_children(alone(story));
    parent.process.send(SIGTERM);
    parent
        .ends_with_all(0)
        .saying(&["Quit: all routines returned (2."]);
}

#[test]
fn none_is_left_after_an_end_by_the_signal_itself() {
    let story = || {
        let builder = MainQuitter::builder().timeout(TIMEOUT);
        builder.signal_exit_code(SignalExitCode::Raise).run(|_| {
            // A tree that nobody tells to quit.
            add_children(&Quitter::root("library"));
        })
    };
    let parent = with_children(alone(story));
    parent.process.send(SIGTERM);
    parent.ends_with_all_as("SIGTERM", |ended| ended.with_signal(SIGTERM));
}

#[test]
fn none_is_left_after_a_second_signal() {
    let story = || -> ExitReport {
        let main = MainQuitter::new(LONG, [QuitSource::os_signal()]);
        add_children(&main);
        main.exit()
    };
    let mut parent = with_children(alone(story));
    parent.process.send(SIGINT);
    parent.process.wait_for("Received quit");
    parent.process.send_later(SIGINT);
    let ended = parent.ends_with_all(130);
    // The report names the processes that were live at the second signal.
    ended.saying(&[
        "Failed to quit: 2 routines",
        "child",
        "pid ",
        "Killing 2 child processes",
    ]);
}

#[test]
fn none_is_left_after_an_end_by_force() {
    let story = || {
        let builder = MainQuitter::builder().timeout(Duration::from_secs(1));
        builder.run(|main| -> () {
            // Not killed before the deadline, so that the end by force has to kill them.
            for script in CHILDREN {
                let builder = main.routine("child").kill_before_deadline(Duration::ZERO);
                let builder = builder.failure_on(ProcessFailure::Never);
                builder.process(sh(script)).unwrap();
            }
            hang()
        })
    };
    let parent = with_children(alone(story));
    parent.process.send(SIGTERM);
    parent.ends_with_all(1).saying(&["Failed to quit: "]);
}

#[test]
fn none_is_left_that_was_added_while_a_stuck_program_is_ended_by_force() {
    let story = || {
        let builder = MainQuitter::builder().timeout(Duration::from_millis(100));
        builder.run(|_| -> () {
            // A tree that nobody tells to quit.
            let root = Quitter::root("library");
            for _ in 0..4 {
                let root = root.clone();
                thread::spawn(move || {
                    while root.add_process(sh("exec sleep 1000")).is_ok() {
                        thread::sleep(Duration::from_millis(2));
                    }
                });
            }
            println!("adding");
            hang()
        })
    };
    let mut process = alone(story);
    process.wait_for("adding");
    process.send(SIGTERM);
    process.end().with_code(1);
    let story = "none_is_left_that_was_added_while_a_stuck_program_is_ended_by_force";
    let until = Instant::now() + Duration::from_secs(2);
    while let Some(left) = descendant_of(story) {
        assert!(Instant::now() < until, "{left} is left");
        thread::sleep(Duration::from_millis(1));
    }
}

/// A process that lives and has inherited the environment of this story.
fn descendant_of(story: &str) -> Option<u32> {
    let variable = format!("QUITTER_TEST_STORY={story}\0");
    let pids = fs::read_dir("/proc").unwrap();
    let mut pids = pids.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    pids.find(|pid: &u32| {
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        String::from_utf8_lossy(&environment).contains(&variable) && lives(*pid)
    })
}

#[test]
fn none_is_left_after_a_panic_of_the_body() {
    let story = || {
        let builder = MainQuitter::builder().timeout(TIMEOUT);
        builder.run(|main| {
            add_children(main);
            until_told();
            let line = String::from("x");
            assert!(line.is_empty(), "the body panics");
        })
    };
    let parent = told_with_children(command_for(story));
    parent.ends_with_all(1).saying(&["the body panics"]);
}

#[test]
fn none_is_left_after_a_panic_of_a_main_without_the_attribute() {
    let story = || {
        let main = MainQuitter::new(LONG, [QuitSource::os_signal()]);
        add_children(&main);
        until_told();
        // In a story `main` is std's test thread; this is how std ends a program whose `main` panics.
        let unwound = panic::catch_unwind(AssertUnwindSafe(move || {
            let _main = main;
            panic!("main panics");
        }));
        ExitCode::from(if unwound.is_err() { 101 } else { 0 })
    };
    let parent = told_with_children(command_for(story));
    parent.ends_with_all(101);
}

#[test]
fn none_is_left_when_main_returns_early() {
    let story = || {
        let main = MainQuitter::new(LONG, [QuitSource::os_signal()]);
        add_children(&main);
        until_told();
        drop(main);
        ExitCode::from(7)
    };
    let parent = told_with_children(command_for(story));
    parent.ends_with_all(7);
}

#[test]
fn none_is_left_after_std_process_exit_in_a_routine() {
    let story = || -> ExitReport {
        let main = MainQuitter::new(LONG, [QuitSource::os_signal()]);
        add_children(&main);
        main.add_routine(|_| {
            until_told();
            std::process::exit(9)
        })
        .unwrap();
        main.exit()
    };
    let parent = told_with_children(command_for(story));
    parent.ends_with_all(9);
}

#[test]
fn none_is_left_of_a_tree_that_nobody_tells_to_quit() {
    let story = || {
        let root = Quitter::root("library");
        add_children(&root);
        until_told();
        ExitCode::from(0)
    };
    let parent = told_with_children(command_for(story));
    parent.ends_with_all(0);
}

mod forks {
    #![allow(unsafe_code, reason = "what a daemon does")]

    use nix::sys::wait::{WaitStatus, waitpid};
    use nix::unistd::{ForkResult, fork};

    /// Forks without an exec, runs `child` there, and returns how the child ended.
    pub(super) fn end_of(child: impl FnOnce() -> i32) -> WaitStatus {
        // SAFETY: in these tests, the child uses no lock that another thread may have held.
        match unsafe { fork() }.unwrap() {
            ForkResult::Child => std::process::exit(child()),
            ForkResult::Parent { child } => waitpid(child, None).unwrap(),
        }
    }
}

#[test]
fn the_exit_of_a_fork_without_an_exec_kills_nobody_and_it_adds_no_process() {
    let story = || -> ExitReport {
        let main = MainQuitter::new(Duration::from_secs(2), [QuitSource::os_signal()]);
        let sleep = main.add_process(sh("exec sleep 1000")).unwrap();
        let end = forks::end_of(|| match main.add_process(sh("exit 0")) {
            Err(error) if error.is_quitting() => 7,
            _ => 8,
        });
        assert!(
            matches!(end, nix::sys::wait::WaitStatus::Exited(_, 7)),
            "{end:?}"
        );
        assert!(sleep.wait(Duration::from_millis(100)).is_err());
        main.send_quit();
        let report = main.exit();
        assert!(sleep.end().unwrap().is_by_quit());
        report
    };
    alone(story).end().with_code(0);
}

#[test]
fn without_a_descriptor_left_a_process_is_supervised_all_the_same() {
    let story = || -> ExitReport {
        let main = MainQuitter::new(Duration::from_secs(5), [QuitSource::os_signal()]);
        main.add_process(sh("exit 0"))
            .unwrap()
            .wait(PATIENCE)
            .unwrap();
        let mut files = Vec::new();
        while let Ok(file) = fs::File::open("/dev/null") {
            files.push(file);
        }
        let tool = main.routine("tool").failure_on(ProcessFailure::Never);
        let tool = tool.process(sh("exit 5")).unwrap();
        let server = main.add_process(sh("exec sleep 1000")).unwrap();
        let end = tool.wait(PATIENCE).unwrap();
        assert_eq!(end.status.unwrap().code(), Some(5));
        drop(files);
        let thread = |name: &str| {
            let mut tasks = fs::read_dir("/proc/self/task").unwrap();
            tasks.any(|task| {
                let path = task.unwrap().path().join("comm");
                fs::read_to_string(path).is_ok_and(|comm| comm.trim_end() == name)
            })
        };
        let until = Instant::now() + PATIENCE;
        while !thread("quitter wait") {
            assert!(Instant::now() < until, "it is waited for on a thread");
            thread::yield_now();
        }
        main.send_quit();
        let report = main.exit();
        assert!(server.end().unwrap().is_by_quit());
        report
    };
    let program = Process::start(&mut after_shell("ulimit -n 100", &command_for(story)));
    program.end().with_code(0);
}

#[test]
fn exit_statuses_are_known_though_the_program_was_started_with_sigchld_ignored() {
    #![allow(unsafe_code, reason = "a shell does not ignore SIGCHLD")]
    use nix::sys::signal::{SigHandler, Signal, signal};
    let story = || -> ExitReport {
        // SAFETY: nothing relies on the action of SIGCHLD yet.
        unsafe { signal(Signal::SIGCHLD, SigHandler::SigIgn) }.unwrap();
        let main = MainQuitter::new(PATIENCE, [QuitSource::all_done()]);
        let tool = main.routine("tool").failure_on(ProcessFailure::Never);
        let end = tool.process(sh("exit 5")).unwrap().wait(PATIENCE).unwrap();
        assert_eq!(end.status.unwrap().code(), Some(5));
        main.exit()
    };
    alone(story).end().with_code(0);
}

#[cfg(target_os = "linux")]
#[test]
fn a_process_whose_status_is_lost_after_the_stop_signal_has_not_failed() {
    #![allow(unsafe_code, reason = "safe code does not ignore SIGCHLD")]
    use nix::sys::signal::{SigHandler, Signal, signal};
    let story = || {
        let root = Quitter::root("library");
        let sleep = root.add_process(sh("exec sleep 1000")).unwrap();
        // SAFETY: no handler runs. From now on, the system itself reaps every child.
        unsafe { signal(Signal::SIGCHLD, SigHandler::SigIgn) }.unwrap();
        root.quit_and_wait(PATIENCE).unwrap();
        let end = sleep.end().unwrap();
        assert_eq!((end.status, end.by), (None, quitter::EndedBy::StopSignal));
        assert!(root.failures().is_empty(), "{:?}", root.failures());
        ExitCode::SUCCESS
    };
    alone(story).end().with_code(0);
}

/// The time limit of the call in which the thread with this name is blocked, which has to be a `ppoll`.
#[cfg(all(target_os = "linux", target_pointer_width = "64"))]
fn limit_of_poll(thread: &str) -> Option<String> {
    let mut tasks = fs::read_dir("/proc/self/task").unwrap();
    let mut read = |name: &str| {
        tasks.find_map(|task| {
            let path = task.unwrap().path();
            let comm = fs::read_to_string(path.join("comm")).ok()?;
            (comm.trim_end() == thread).then(|| fs::read_to_string(path.join(name)).ok())?
        })
    };
    // The number of the call and its arguments, or "running".
    let call = read("syscall")?;
    let is_ppoll = call.split(' ').next()?.parse() == Ok(nix::libc::SYS_ppoll);
    is_ppoll.then(|| call.split(' ').nth(3).unwrap().to_owned())
}

/// The end of a process by SIGTERM waits a moment for the quit that would explain it.
#[cfg(all(target_os = "linux", target_pointer_width = "64"))]
#[test]
fn once_the_steps_of_all_processes_are_done_the_reaper_sleeps_without_a_time_limit() {
    let story = || {
        let root = Quitter::root("library");
        let tool = root.add_process(sh("kill -TERM $$")).unwrap();
        tool.wait(PATIENCE).unwrap();
        eventually(|| limit_of_poll("quitter reaper").as_deref() == Some("0x0"));
        ExitCode::SUCCESS
    };
    alone(story).end().with_code(0);
}

#[test]
fn a_status_that_other_code_has_taken_is_unknown_and_holds_nothing_up() {
    use nix::sys::wait::waitpid;
    let story = || -> ExitReport {
        let main = MainQuitter::new(PATIENCE, [QuitSource::os_signal()]);
        thread::spawn(|| {
            loop {
                let _ = waitpid(None, None);
            }
        });
        for _ in 0..200 {
            let tool = main.routine("tool").failure_on(ProcessFailure::Never);
            let tool = tool.process(sh("exit 5")).unwrap();
            let end = tool.wait(PATIENCE).unwrap();
            assert!(end.status.is_none_or(|status| status.code() == Some(5)));
        }
        main.add_process(sh("exec sleep 1000")).unwrap();
        main.send_quit();
        main.exit()
    };
    alone(story).end().with_code(0);
}

/// Leaves an orphan that ends soon.
#[cfg(target_os = "linux")]
const MAKES_AN_ORPHAN: &str = "(sleep 0.2; exit 3) & echo orphan $!";

#[cfg(target_os = "linux")]
#[test]
fn orphans_are_reaped_when_that_is_asked_for_and_the_waits_of_others_are_not_stolen() {
    let story = || {
        nix::sys::prctl::set_child_subreaper(true).unwrap();
        let main = MainQuitter::builder().reap_orphans(true).build();
        let output = Command::new("sh")
            .arg("-c")
            .arg(MAKES_AN_ORPHAN)
            .output()
            .unwrap();
        let line = String::from_utf8(output.stdout).unwrap();
        let orphan = line.trim().rsplit(' ').next().unwrap().parse().unwrap();
        let until = Instant::now() + PATIENCE;
        while exists(orphan) {
            assert!(Instant::now() < until, "the orphan is not reaped");
            // Waits of the program itself still get their processes.
            assert_eq!(sh("exit 7").status().unwrap().code(), Some(7));
            let tool = main.routine("tool").failure_on(ProcessFailure::Never);
            let end = tool.process(sh("exit 5")).unwrap().wait(PATIENCE).unwrap();
            assert_eq!(end.status.unwrap().code(), Some(5));
        }
        main.send_quit();
        main.exit()
    };
    alone(story).end().with_code(0);
}

#[cfg(target_os = "linux")]
#[test]
fn orphans_are_left_alone_otherwise() {
    let story = || {
        nix::sys::prctl::set_child_subreaper(true).unwrap();
        let main = MainQuitter::new(PATIENCE, [QuitSource::os_signal()]);
        main.add_process(sh("exit 0"))
            .unwrap()
            .wait(PATIENCE)
            .unwrap();
        let output = Command::new("sh")
            .arg("-c")
            .arg(MAKES_AN_ORPHAN)
            .output()
            .unwrap();
        let line = String::from_utf8(output.stdout).unwrap();
        let orphan = line.trim().rsplit(' ').next().unwrap().parse().unwrap();
        // The sleep is the thing under test: orphans are looked for every second.
        thread::sleep(Duration::from_millis(2500));
        assert!(exists(orphan) && !lives(orphan));
        main.send_quit();
        main.exit()
    };
    alone(story).end().with_code(0);
}

fn exists(pid: u32) -> bool {
    fs::exists(format!("/proc/{pid}")).unwrap()
}

#[test]
fn output_is_prefixed_line_by_line_with_the_routines_name() {
    let story = || -> ExitReport {
        let main = MainQuitter::new(PATIENCE, [QuitSource::all_done()]);
        for name in ["web", "db"] {
            let script = "for i in 1 2 3; do echo line $i; echo error $i >&2; done; printf end";
            let builder = main.routine(name).output(ProcessOutput::Prefixed);
            builder.process(sh(script)).unwrap();
        }
        main.exit()
    };
    let ended = alone(story).end().with_code(0);
    for name in ["web", "db"] {
        let of = |text: &str| -> Vec<String> {
            let prefix = format!("{name} | ");
            let lines = text.lines().filter_map(|line| line.strip_prefix(&prefix));
            lines.map(str::to_owned).collect()
        };
        assert_eq!(of(&ended.stdout), ["line 1", "line 2", "line 3", "end"]);
        assert_eq!(of(&ended.stderr), ["error 1", "error 2", "error 3"]);
    }
}

#[test]
fn the_output_of_a_process_that_had_ended_when_it_was_adopted_is_read_by_then() {
    let story = || {
        let root = Quitter::root("main");
        let mut command = sh("echo out; printf end; echo err >&2");
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.wait().unwrap();
        let web = root.routine("web").output(ProcessOutput::Prefixed);
        let web = web.adopt(child).unwrap();
        assert!(web.end().unwrap().is_success());
        ExitCode::SUCCESS
    };
    let ended = alone(story).end().with_code(0);
    assert!(ended.stdout.ends_with("web | out\nweb | end\n"));
    assert!(ended.stderr.ends_with("web | err\n"));
}

#[test]
fn a_stdout_that_takes_nothing_holds_the_end_of_a_prefixed_process_up_for_a_moment_only() {
    let story = || -> ExitReport {
        let main = MainQuitter::new(PATIENCE, [QuitSource::os_signal()]);
        let mut yes = Command::new("yes");
        yes.arg("x".repeat(1000));
        let builder = main.routine("yes").output(ProcessOutput::Prefixed);
        builder.process(yes).unwrap();
        eprintln!("started");
        main.exit()
    };
    let (reader, writer) = io::pipe().unwrap();
    let stdout = writer.try_clone().unwrap();
    let command = &mut command_for(story);
    let mut process = Process::start_into(command, stdout, Stdio::piped());
    process.wait_for("started");
    until_full(&writer);
    let from = Instant::now();
    process.send(SIGTERM);
    process
        .end()
        .with_code(0)
        .saying(&["Quit: all routines returned"]);
    let took = from.elapsed();
    // The end waits for the output, which may still be written, for this long.
    assert!(took >= Duration::from_millis(200), "{took:?}");
    assert!(took < Duration::from_secs(5), "{took:?}");
    drop(reader);
}

/// Quitter does not hold stdout's lock while stdout is full, so the report says that the printing thread is
/// blocked in its write to the pipe.
#[test]
#[cfg(target_os = "linux")]
fn a_thread_that_prints_beside_prefixed_output_blocks_in_its_own_write() {
    let story = || -> ExitReport {
        let main = MainQuitter::new(Duration::from_secs(1), [QuitSource::os_signal()]);
        let yes = main.routine("yes").failure_on(ProcessFailure::Never);
        let yes = yes.output(ProcessOutput::Prefixed);
        yes.process(Command::new("yes")).unwrap();
        let prints = || {
            until_full(&io::stdout());
            eprintln!("prints");
            println!("{}", "x".repeat(100_000));
        };
        main.routine("printer").add(move |_| prints()).unwrap();
        main.exit()
    };
    let (reader, stdout) = io::pipe().unwrap();
    let process = Process::start_into(&mut command_for(story), stdout, Stdio::piped());
    let ended = process.signal_at("prints", SIGTERM).with_code(1);
    ended.saying(&["printer", "blocked in write (fd 1, stdout, a pipe)"]);
    drop(reader);
}

/// Starts a program, reads its stdout up to this line, and then closes the pipe.
fn read_until(command: &mut Command, line: &str) -> Process {
    let (reader, stdout) = io::pipe().unwrap();
    let process = Process::start_into(command, stdout, Stdio::piped());
    let mut lines = BufReader::new(reader).lines().map(Result::unwrap);
    assert!(lines.any(|written| written == line));
    process
}

#[test]
fn a_prefixed_process_that_writes_on_gets_sigpipe_when_the_programs_stdout_is_closed() {
    let story = || -> ExitReport {
        let main = MainQuitter::new(PATIENCE, [QuitSource::os_signal()]);
        let yes = main.routine("yes").output(ProcessOutput::Prefixed);
        yes.process(Command::new("yes")).unwrap();
        main.exit()
    };
    let process = read_until(&mut command_for(story), "yes | y");
    process.end().with_code(1).saying(&[
        "routine 'yes' of main failed: signal: 13 (SIGPIPE), after the program's stdout was closed",
        "Quit: all routines returned",
    ]);
}

/// The shell's command gets SIGPIPE; the shell goes on, and then ends by itself.
#[test]
fn the_end_of_a_process_says_that_its_output_was_closed_whatever_its_status() {
    let story = || -> ExitReport {
        let main = MainQuitter::new(PATIENCE, [QuitSource::os_signal()]);
        let shell = main.routine("shell").failure_on(ProcessFailure::Never);
        let shell = shell.output(ProcessOutput::Prefixed);
        let shell = shell.process(sh("yes; exit 7")).unwrap();
        let keeper = main.routine("keeper").add(move |q| {
            let end = shell.wait(Duration::MAX)?;
            eprintln!("{end}");
            if end.is_output_closed() {
                q.request_quit("nobody reads");
            }
            Ok::<(), Timeouts>(())
        });
        keeper.unwrap();
        main.exit()
    };
    let process = read_until(&mut command_for(story), "shell | y");
    process.end().with_code(0).saying(&[
        "exit status: 7, after the program's stdout was closed",
        "Received quit from routine 'keeper' of main: nobody reads",
    ]);
}

/// What it writes in between is lost, and it gets no SIGPIPE unless it goes on writing. The pause is as long as
/// the moment: the second one does not begin at the first loss.
#[test]
#[cfg(target_os = "linux")]
fn each_time_that_stdout_loses_its_reader_a_prefixed_process_has_a_moment_before_its_pipe_is_closed()
 {
    use std::io::Write;
    use std::os::fd::AsRawFd;
    let story = || {
        let root = Quitter::root("library");
        let script = "read go; echo lost; echo lost >&2; read go; echo seen; \
                      read go; sleep 0.1; echo lost; echo lost >&2; read go";
        let mut command = sh(script);
        command.stdin(Stdio::inherit());
        let tool = root.routine("tool").output(ProcessOutput::Prefixed);
        let tool = tool.process(command).unwrap();
        eprintln!("started");
        let end = tool.wait(PATIENCE).unwrap();
        assert!(end.is_success() && !end.is_output_closed(), "{end}");
        ExitCode::SUCCESS
    };
    let (reader, stdout) = io::pipe().unwrap();
    let (stdin, mut go) = io::pipe().unwrap();
    let mut go = || go.write_all(b"go\n").unwrap();
    let ours = stdout.try_clone().unwrap();
    let mut program = Process::start_between(&mut command_for(story), stdin, stdout);
    program.wait_for("started");
    drop(reader);
    go();
    // The line on stdout came before.
    program.wait_for("tool | lost");
    let again = fs::File::open(format!("/proc/self/fd/{}", ours.as_raw_fd())).unwrap();
    go();
    drop(ours);
    let mut lines = BufReader::new(again).lines().map(Result::unwrap);
    assert!(lines.any(|line| line == "tool | seen"));
    drop(lines);
    go();
    program.wait_for("tool | lost");
    go();
    program.end().with_code(0);
}

#[test]
fn a_prefixed_process_finishes_at_the_quit_though_nobody_reads_the_programs_stdout() {
    let story = || -> ExitReport {
        let main = MainQuitter::new(PATIENCE, [QuitSource::os_signal()]);
        // Goes on writing for much longer than it takes to pass on that stdout is closed.
        let script = "trap 'for i in 1 2 3 4 5; do echo bye; sleep 0.1; done; exit 0' TERM; \
                      echo hello; echo ready >&2; while :; do sleep 0.01; done";
        let server = main.routine("server").output(ProcessOutput::Prefixed);
        server.process(sh(script)).unwrap();
        main.exit()
    };
    let process = read_until(&mut command_for(story), "server | hello");
    let ended = process.signal_at("server | ready", SIGTERM);
    ended.with_code(0).saying(&["Quit: all routines returned"]);
}

/// How many descriptors this process has.
#[cfg(target_os = "linux")]
fn descriptors() -> usize {
    fs::read_dir("/proc/self/fd").unwrap().count()
}

#[cfg(target_os = "linux")]
#[test]
fn a_daemon_that_keeps_the_pipe_of_a_prefixed_process_open_does_not_hold_up_its_end() {
    let story = || -> ExitReport {
        let main = MainQuitter::new(PATIENCE, [QuitSource::all_done()]);
        let prefixed = || main.routine("daemon").output(ProcessOutput::Prefixed);
        // The threads for processes keep their descriptors. They close those of a process just after its end.
        let first = prefixed().process(sh("exit 0")).unwrap();
        first.wait(PATIENCE).unwrap();
        until_all_others_sleep();
        let before = descriptors();
        let builder = prefixed();
        // The daemon reads until the test lets go. It has left the group, which is killed, when the shell ends.
        let daemon = r#"setsid sh -c "kill -USR1 $$; exec cat" <&3 & wait"#;
        let script = format!("exec 3<&0; trap 'echo started; exit 0' USR1; {daemon}");
        let mut command = sh(&script);
        command.stdin(Stdio::inherit());
        builder.process(command).unwrap().wait(PATIENCE).unwrap();
        eventually(|| descriptors() == before);
        main.exit()
    };
    let (hold, let_go) = io::pipe().unwrap();
    let mut program = Process::start_reading(&mut command_for(story), hold);
    program.wait_for("Quit: all routines returned");
    drop(let_go);
    let ended = program.end().with_code(0);
    assert!(ended.stdout.contains("daemon | started\n"), "{ended:?}");
}

#[test]
fn a_crash_of_a_child_ends_the_program_with_its_name_and_no_sibling_is_left() {
    let story = || -> ExitReport {
        let main = MainQuitter::new(TIMEOUT, [QuitSource::os_signal()]);
        add_children(&main);
        let script = "sleep 0.3; ulimit -c 0; kill -SEGV $$";
        main.routine("crasher").process(sh(script)).unwrap();
        main.exit()
    };
    let parent = with_children(alone(story));
    parent.ends_with_all(1).saying(&[
        "Received quit from routine 'crasher' of main, which failed: signal: 11 (SIGSEGV)\n",
        "1 routine failed:",
        "routine 'crasher' of main failed: signal: 11 (SIGSEGV)",
        "Quit: all routines returned",
    ]);
}

#[test]
fn a_child_that_had_to_be_killed_is_named_and_the_code_is_1() {
    let story = || -> ExitReport {
        let main = MainQuitter::new(TIMEOUT, [QuitSource::os_signal()]);
        let script = "trap '' TERM; echo ready; while :; do sleep 1000; done";
        let stubborn = main.routine("stubborn").kill_before_deadline(TO_DIE);
        stubborn.process(sh(script)).unwrap();
        main.exit()
    };
    let mut process = alone(story);
    process.wait_for("ready");
    process.send(SIGTERM);
    let ended = process.end().with_code(1);
    ended.saying(&[
        "Waiting for 1 routine",
        "'stubborn' of main",
        "1 routine failed:",
        "routine 'stubborn' of main failed: killed, since it had not ended 2.",
        " s after the stop signal: pid ",
        "sh -c 'trap '' TERM",
        "(while quitting)",
        "Quit: all routines returned (2.",
    ]);
}

#[test]
fn a_program_of_long_sleeps_ends_at_once() {
    let story = || -> ExitReport {
        let main = MainQuitter::new(PATIENCE, [QuitSource::os_signal()]);
        for _ in 0..3 {
            main.add_process(sh("echo ready; exec sleep 25")).unwrap();
        }
        main.exit()
    };
    let mut process = alone(story);
    for _ in 0..3 {
        process.wait_for("ready");
    }
    let from = Instant::now();
    process.send(SIGINT);
    process.end().with_code(0);
    assert!(
        from.elapsed() < Duration::from_secs(2),
        "{:?}",
        from.elapsed()
    );
}

#[test]
fn a_thousand_processes_end_and_leave_neither_zombie_nor_descriptor_nor_thread() {
    const COUNT: usize = 1000;
    let story = || -> ExitReport {
        let entries = |folder: &str| fs::read_dir(folder).unwrap().count();
        let main = MainQuitter::new(PATIENCE, [QuitSource::os_signal()]);
        // The reaper's thread and its pipe stay.
        let first = main.add_process(sh("exit 0")).unwrap();
        first.wait(PATIENCE).unwrap();
        let [files, threads] = ["/proc/self/fd", "/proc/self/task"].map(entries);
        let processes: Vec<_> = (0..COUNT)
            .map(|_| {
                let mut sleep = Command::new("sleep");
                sleep.arg("1000");
                main.add_process(sleep).unwrap()
            })
            .collect();
        assert_eq!(entries("/proc/self/task"), threads);
        main.send_quit();
        let report = main.exit();
        assert!(
            processes
                .iter()
                .all(|process| process.end().unwrap().is_by_quit())
        );
        assert!(processes.iter().all(|process| !exists(process.pid())));
        assert_eq!(entries("/proc/self/fd"), files);
        report
    };
    // Each process has a file descriptor, without which it would take a thread.
    let command = &mut after_shell("ulimit -n 4096", &command_for(story));
    Process::start(command).end().with_code(0);
}
