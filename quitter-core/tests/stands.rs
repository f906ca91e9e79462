//! Reports on hanging threads say what the system knows about each.

#![cfg(target_os = "linux")]

use std::io::{Read, pipe};
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::net::UnixListener;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use quitter_core::{Quitter, RoutineKind, Snapshot, Stands};

/// How long a routine may take until it hangs.
const PATIENCE: Duration = Duration::from_secs(10);

/// Longer than any test takes.
const LONG: Duration = Duration::from_secs(3600);

/// Long enough for a list to say what threads are blocked in.
const SHORT: Duration = Duration::from_millis(1);

fn root() -> Quitter {
    Quitter::root("main")
}

/// Looks up, in the list of a wait, what the only routine with this name is blocked in.
fn stands(root: &Quitter, name: &str) -> Option<Stands> {
    let timeouts = root.wait_done(SHORT).unwrap_err();
    let mut named = timeouts.routines().filter(|routine| routine.name == name);
    named.next().expect("the routine is live").stands.clone()
}

/// Waits until the text on what the routine is blocked in begins like this, and returns the whole text. On a
/// busy machine, there may be no time to find out everything at once.
#[track_caller]
fn comes_to(root: &Quitter, name: &str, begins: &str) -> String {
    comes_between(root, name, begins, "")
}

/// The same for a text that also ends like this.
#[track_caller]
fn comes_between(root: &Quitter, name: &str, begins: &str, ends: &str) -> String {
    let until = Instant::now() + PATIENCE;
    loop {
        let text = stands(root, name).map(|stands| stands.to_string());
        match text {
            Some(text) if text.starts_with(begins) && text.ends_with(ends) => return text,
            text => assert!(
                Instant::now() < until,
                "{name} is at {text:?}, not {begins:?} … {ends:?}"
            ),
        }
    }
}

#[test]
fn two_that_wait_for_a_lock_name_each_other() {
    let root = root();
    let lock = Arc::new(Mutex::new(()));
    let held = lock.lock().unwrap();
    for name in ["flusher", "compactor"] {
        let lock = Arc::clone(&lock);
        let wants = move |_: &_| drop(lock.lock());
        root.child("store")
            .unwrap()
            .routine(name)
            .add(wants)
            .unwrap();
    }
    comes_to(&root, "flusher", "blocked in futex");
    comes_to(&root, "compactor", "blocked in futex");
    let text = comes_to(
        &root,
        "flusher",
        "blocked in futex (a lock or condition, the same",
    );
    assert!(
        text.ends_with(", the same as 'compactor' of main/store)"),
        "{text}"
    );
    let text = comes_to(
        &root,
        "compactor",
        "blocked in futex (a lock or condition, the same",
    );
    assert!(
        text.ends_with(", the same as 'flusher' of main/store)"),
        "{text}"
    );
    drop(held);
    root.wait_done(PATIENCE).unwrap();
}

#[test]
fn a_condition_is_waited_for_with_and_without_a_time_limit() {
    let root = root();
    let shared = Arc::new((Mutex::new(false), Condvar::new()));
    for name in ["endless", "limited"] {
        let shared = Arc::clone(&shared);
        root.routine(name)
            .add(move |_| {
                let (lock, condition) = &*shared;
                let is_set = lock.lock().unwrap();
                match name {
                    "endless" => drop(condition.wait_while(is_set, |is_set| !*is_set)),
                    _ => drop(condition.wait_timeout_while(is_set, PATIENCE, |is_set| !*is_set)),
                }
            })
            .unwrap();
    }
    comes_to(&root, "limited", "blocked in futex");
    let text = comes_to(
        &root,
        "endless",
        "blocked in futex (a lock or condition, the same",
    );
    assert!(!text.contains("time limit"), "{text}");
    let text = comes_to(
        &root,
        "limited",
        "blocked in futex (a lock or condition, the same",
    );
    assert!(text.ends_with(", with a time limit)"), "{text}");
    *shared.0.lock().unwrap() = true;
    shared.1.notify_all();
    root.wait_done(PATIENCE).unwrap();
}

#[test]
fn accept_is_shown_with_the_address_that_is_listened_at() {
    let root = root();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (address, fd) = (listener.local_addr().unwrap(), listener.as_raw_fd());
    root.routine("server")
        .add(move |_| drop(listener.accept()))
        .unwrap();
    let whole = format!("blocked in accept4 (fd {fd}, TCP {address})");
    assert_eq!(comes_to(&root, "server", &whole), whole);
    TcpStream::connect(address).unwrap();
    root.wait_done(PATIENCE).unwrap();
}

#[test]
fn a_read_is_shown_with_both_ends_of_its_connection() {
    let root = root();
    let listener = TcpListener::bind("[::1]:0").unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (mut server, peer) = listener.accept().unwrap();
    let (local, fd) = (server.local_addr().unwrap(), server.as_raw_fd());
    root.routine("reader")
        .add(move |_| drop(server.read(&mut [0])))
        .unwrap();
    let whole = format!("blocked in recvfrom (fd {fd}, TCP {local}, peer {peer})");
    assert_eq!(comes_to(&root, "reader", &whole), whole);
    drop(client);
    root.wait_done(PATIENCE).unwrap();
}

#[test]
fn a_connection_that_is_polled_is_shown() {
    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

    let root = root();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (server, peer) = listener.accept().unwrap();
    let (local, fd) = (server.local_addr().unwrap(), server.as_raw_fd());
    root.routine("poller")
        .add(move |_| {
            let mut fds = [PollFd::new(server.as_fd(), PollFlags::POLLIN)];
            poll(&mut fds, PollTimeout::NONE).unwrap();
        })
        .unwrap();
    // The C library's `poll` makes this call on architectures without a system call of that name.
    let call = match std::env::consts::ARCH {
        "aarch64" | "riscv64" | "loongarch64" => "ppoll",
        _ => "poll",
    };
    let whole = format!("blocked in {call} (fd {fd}, TCP {local}, peer {peer})");
    assert_eq!(comes_to(&root, "poller", &whole), whole);
    drop(client);
    root.wait_done(PATIENCE).unwrap();
}

#[test]
fn of_several_descriptors_that_are_polled_each_is_shown_with_its_address() {
    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

    let root = root();
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    let udp = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let (reader, writer) = pipe().unwrap();
    let fds = [tcp.as_raw_fd(), reader.as_raw_fd(), udp.as_raw_fd()];
    let address = tcp.local_addr().unwrap();
    let on = format!(
        "fd {}, TCP {address}; fd {}, a pipe; fd {}, UDP {}",
        fds[0],
        fds[1],
        fds[2],
        udp.local_addr().unwrap()
    );
    root.routine("poller")
        .add(move |_| {
            let mut fds = [tcp.as_fd(), reader.as_fd(), udp.as_fd()]
                .map(|fd| PollFd::new(fd, PollFlags::POLLIN));
            poll(&mut fds, PollTimeout::NONE).unwrap();
        })
        .unwrap();
    comes_between(&root, "poller", "blocked in ", &format!("poll ({on})"));
    drop(writer);
    root.wait_done(PATIENCE).unwrap();
}

/// The text leaves out quitter's own descriptor, which is polled beside the listener.
#[test]
#[cfg(feature = "io")]
fn incoming_is_shown_with_the_address_that_is_listened_at_and_nothing_else() {
    let root = root();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (address, fd) = (listener.local_addr().unwrap(), listener.as_raw_fd());
    root.routine("server")
        .add(move |q| q.incoming(&listener).for_each(drop))
        .unwrap();
    let ends = format!("poll (fd {fd}, TCP {address})");
    comes_between(&root, "server", "blocked in ", &ends);
    root.quit_and_wait(PATIENCE).unwrap();
}

#[test]
fn a_unix_socket_is_shown_with_its_path_which_cannot_forge_a_line() {
    let root = root();
    let path = format!("quitter\nQuit: all {}\u{1b}[2J.sock", std::process::id());
    let path = std::env::temp_dir().join(path);
    let listener = UnixListener::bind(&path).unwrap();
    let begins = format!(
        "blocked in accept4 (fd {}, Unix socket ",
        listener.as_raw_fd()
    );
    root.routine("server")
        .add(move |_| drop(listener.accept()))
        .unwrap();
    let text = comes_to(&root, "server", &begins);
    assert!(!text.contains(['\n', '\u{1b}']), "{text}");
    let report = root.wait_done(SHORT).unwrap_err().to_string();
    assert!(
        report.lines().all(|line| !line.starts_with("Quit")),
        "{report}"
    );
    let connected = std::os::unix::net::UnixStream::connect(&path);
    std::fs::remove_file(&path).unwrap();
    connected.unwrap();
    root.wait_done(PATIENCE).unwrap();
}

#[test]
fn a_read_of_a_pipe_is_shown_with_its_descriptor() {
    let root = root();
    let (mut reader, writer) = pipe().unwrap();
    let fd = reader.as_raw_fd();
    root.routine("reader")
        .add(move |_| drop(reader.read(&mut [0])))
        .unwrap();
    let whole = format!("blocked in read (fd {fd}, a pipe)");
    assert_eq!(comes_to(&root, "reader", &whole), whole);
    drop(writer);
    root.wait_done(PATIENCE).unwrap();
}

#[test]
fn a_sleep_is_a_sleep() {
    let root = root();
    root.routine("sleeper")
        .add(|_| thread::sleep(LONG))
        .unwrap();
    let whole = "blocked in clock_nanosleep (a sleep)";
    assert_eq!(comes_to(&root, "sleeper", whole), whole);
}

#[test]
fn a_spinning_routine_runs() {
    let root = root();
    let stop = Arc::new(AtomicBool::new(false));
    let is_over = Arc::clone(&stop);
    root.routine("spins")
        .add(move |_| while !is_over.load(Ordering::Relaxed) {})
        .unwrap();
    comes_between(&root, "spins", "using ", " % of a CPU");
    let until = Instant::now() + PATIENCE;
    loop {
        // The threads are observed for a tenth of this timeout.
        let timeouts = root.wait_done(Duration::from_millis(100)).unwrap_err();
        let routine = timeouts.routines().next().unwrap();
        assert!(matches!(routine.kind, RoutineKind::Thread { os_id } if os_id > 0));
        // How much depends on the other load on the machine.
        match &routine.stands {
            Some(Stands::Running { cpu }) => {
                assert!(*cpu <= Stands::MOMENT, "{cpu:?}");
                break;
            }
            other => assert!(Instant::now() < until, "{other:?}"),
        }
    }
    stop.store(true, Ordering::Relaxed);
    root.wait_done(PATIENCE).unwrap();
}

#[test]
fn a_wait_for_a_child_process_names_it() {
    let root = root();
    let mut sleep = Command::new("sleep");
    let mut child = sleep.arg("1000").stdin(Stdio::null()).spawn().unwrap();
    let pid = child.id();
    root.routine("waits")
        .add(move |_| drop(child.wait()))
        .unwrap();
    let ends = format!(" (process {pid}, 'sleep')");
    comes_between(&root, "waits", "blocked in wait", &ends);
    let pid = nix::unistd::Pid::from_raw(pid.try_into().unwrap());
    nix::sys::signal::kill(pid, nix::sys::signal::SIGKILL).unwrap();
    root.wait_done(PATIENCE).unwrap();
}

#[test]
fn a_quick_look_and_a_guard_without_a_thread_say_nothing() {
    let root = root();
    let _guard = root.guard("guard").unwrap();
    root.routine("sleeper")
        .add(|_| thread::sleep(LONG))
        .unwrap();
    comes_to(&root, "sleeper", "blocked in clock_nanosleep");
    assert_eq!(stands(&root, "guard"), None);
    let timeouts = root.wait_done(Duration::ZERO).unwrap_err();
    assert!(timeouts.routines().all(|routine| routine.stands.is_none()));
    assert!(!timeouts.everyone_waits());
}

/// Looks up, in a snapshot, what the only routine with this name is blocked in.
fn in_snapshot(snapshot: &Snapshot, name: &str) -> Option<Stands> {
    let mut named = snapshot.routines().filter(|routine| routine.name == name);
    named.next().expect("the routine is live").stands.clone()
}

/// Takes snapshots until one is right. On a busy machine, there may be no time to find out everything.
#[track_caller]
fn snapshot_until(root: &Quitter, is_right: impl Fn(&Snapshot) -> bool) -> Snapshot {
    let until = Instant::now() + PATIENCE;
    loop {
        let snapshot = root.snapshot();
        if is_right(&snapshot) {
            return snapshot;
        }
        assert!(Instant::now() < until, "{snapshot}");
    }
}

#[test]
fn a_snapshot_says_what_threads_stand_on() {
    let root = root();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let net = root.child("net").unwrap();
    net.routine("server")
        .add(move |_| drop(listener.accept()))
        .unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let is_over = Arc::clone(&stop);
    root.routine("spins")
        .add(move |_| while !is_over.load(Ordering::Relaxed) {})
        .unwrap();
    let guard = root.guard("guard").unwrap();
    let address_ends = format!(", TCP {address}),");
    let snapshot = snapshot_until(&root, |snapshot| {
        let text = snapshot.to_string();
        let texts = [
            " s, blocked in accept4 (fd ",
            &address_ends,
            // "using 98 % of a CPU", or, since a snapshot does not pause, "running or waiting for a CPU".
            " a CPU, spawned at ",
        ];
        texts.iter().all(|stands| text.contains(stands))
    });
    assert_eq!(in_snapshot(&snapshot, "guard"), None);
    let chart = snapshot.to_mermaid();
    assert!(chart.contains("<br/>blocked in accept4\""), "{chart}");
    stop.store(true, Ordering::Relaxed);
    drop(guard);
    TcpStream::connect(address).unwrap();
    root.wait_done(PATIENCE).unwrap();
}

#[test]
fn a_routine_that_looks_says_nothing_of_itself() {
    let root = root();
    root.routine("sleeper")
        .add(|_| thread::sleep(LONG))
        .unwrap();
    comes_to(&root, "sleeper", "blocked in clock_nanosleep");
    let (tell, told) = std::sync::mpsc::channel();
    let whole = root.clone();
    root.routine("looks")
        .add(move |q| {
            let knows = |snapshot: &Snapshot| in_snapshot(snapshot, "sleeper").is_some();
            let of_all = snapshot_until(&whole, knows);
            tell.send([q.snapshot(), of_all]).unwrap();
        })
        .unwrap();
    for snapshot in told.recv().unwrap() {
        assert_eq!(in_snapshot(&snapshot, "looks"), None);
    }
}

/// How often a thread has blocked or was preempted: its context switches.
fn switches(os_id: u64) -> Vec<String> {
    let status = std::fs::read_to_string(format!("/proc/self/task/{os_id}/status")).unwrap();
    let switches = status.lines().filter(|line| line.contains("ctxt_switches"));
    switches.map(str::to_owned).collect()
}

#[test]
fn a_snapshot_wakes_no_thread_that_it_looks_at() {
    let root = root();
    root.routine("sleeper")
        .add(|_| thread::sleep(LONG))
        .unwrap();
    comes_to(&root, "sleeper", "blocked in clock_nanosleep");
    let RoutineKind::Thread { os_id } = root.snapshot().routines().next().unwrap().kind else {
        panic!("a thread runs it");
    };
    let before = switches(os_id);
    assert_eq!(before.len(), 2);
    for _ in 0..100 {
        snapshot_until(&root, |snapshot| in_snapshot(snapshot, "sleeper").is_some());
    }
    assert_eq!(switches(os_id), before);
}

#[test]
fn of_a_crowd_a_snapshot_says_it_of_the_first_thousand_at_most() {
    let root = root();
    let (stay, leave) = crossbeam_channel::bounded::<()>(0);
    for _ in 0..1100 {
        let leave = leave.clone();
        let routine = root.routine("worker").stack_size(64 * 1024);
        routine
            .add(move |_| {
                let _ = leave.recv();
            })
            .unwrap();
    }
    let known = || {
        let snapshot = root.snapshot();
        let stands = snapshot.routines().map(|routine| &routine.stands);
        stands.map(Option::is_some).collect::<Vec<_>>()
    };
    let count = |known: &[bool]| known.iter().filter(|is_known| **is_known).count();
    let until = Instant::now() + PATIENCE;
    loop {
        let known = known();
        assert!(known.len() == 1100 && count(&known) <= 1000);
        // How many are known depends on the machine, because time is limited, too.
        if count(&known) > 0 && !known[1000..].contains(&true) {
            break;
        }
        assert!(Instant::now() < until, "{}", count(&known));
    }
    drop(stay);
    root.wait_done(PATIENCE).unwrap();
}

#[test]
fn a_handle_that_is_waited_for_says_it_too() {
    let root = root();
    let handle = root
        .routine("sleeper")
        .add(|_| thread::sleep(LONG))
        .unwrap();
    comes_to(&root, "sleeper", "blocked in clock_nanosleep");
    let text = || {
        let timeouts = handle.wait(SHORT).unwrap_err();
        timeouts.routines().next().unwrap().to_string()
    };
    let until = Instant::now() + PATIENCE;
    while !text().contains(" s, blocked in clock_nanosleep (a sleep), spawned at ") {
        assert!(Instant::now() < until, "{}", text());
    }
}
