//! The state of a thread as the operating system sees it: the call that it is blocked in, or how much it
//! runs. The documentation says that the thread "stands on" it.
//!
//! All of it is read from Linux's `/proc`, which takes none of the program's locks and disturbs nobody
//! (rule 12). Where there is no `/proc`, or it is hidden, nothing is known.

#[cfg(target_os = "linux")]
mod calls;
#[cfg(target_os = "linux")]
mod fd;
#[cfg(target_os = "linux")]
mod look;
pub(crate) mod own;
#[cfg(target_os = "linux")]
mod proc;
#[cfg(target_os = "linux")]
mod sockets;

use std::fmt;
use std::time::{Duration, Instant};

use crate::report::escape::cut;
use crate::report::path::QuitterPath;
#[cfg(target_os = "linux")]
use crate::system;

/// The call that a thread was blocked in, or how much it ran, when a report or a snapshot looked at it.
///
/// Known on Linux, where it is read from `/proc`. Reading it stops no thread and takes none of the
/// program's locks. A report reads it once the time to wait is up, for the first thousand routines with a thread.
/// That takes 50 ms at most, and much less unless a thread runs at that moment. A
/// [snapshot](crate::Quitter::snapshot) reads it in the same way, but without a pause.
///
/// The [`Display`](fmt::Display) form is "blocked in accept4 (fd 7, TCP 127.0.0.1:8080)" or "using 98 % of
/// a CPU". In it, text from outside the program is escaped, and shortened if it is long.
/// The fields hold the text unchanged.
///
/// # Examples
///
/// ```
/// # use quitter_core as quitter;
/// use std::time::Duration;
/// use quitter::{Quitter, Stands};
///
/// let root = Quitter::root("main");
/// root.routine("sleeper")
///     .add(|_| std::thread::sleep(Duration::from_secs(3600)))
///     .unwrap();
/// let timeouts = root.quit_and_wait(Duration::from_millis(100)).unwrap_err();
/// match &timeouts.routines().next().unwrap().stands {
///     Some(Stands::Blocked { call, .. }) => println!("it waits in {call}"),
///     Some(Stands::Running { cpu }) => println!("{cpu:?} of {:?}", Stands::MOMENT),
///     _ => println!("the system does not say"),
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Stands {
    /// The thread waits in the kernel.
    Blocked {
        /// The name of the system call, such as `futex`; "call 999" for one that quitter has no name for.
        /// Where `/proc` hides the call, the name of the kernel function that waits, such as
        /// `futex_wait_queue`.
        call: String,
        /// The object of the call, if it is known: "a lock or condition, the same as 'compactor' of
        /// main/store", "fd 7, TCP 127.0.0.1:8080", "process 4711, 'rsync'".
        ///
        /// To the system, a lock, a condition variable, a channel, a parked thread and a joined thread are
        /// the same thing.
        on: Option<String>,
    },
    /// The thread runs, or is ready to run and waits for a processor.
    Running {
        /// How much of [`MOMENT`](Stands::MOMENT), from the reading on, the thread was on a processor.
        cpu: Duration,
    },
    /// A child process that a signal or a debugger has suspended. The signal may come from the system itself:
    /// a background process that reads from the terminal is sent SIGTTIN.
    Suspended,
    /// The thread exists, but the system does not say what it does.
    Unknown,
}

impl Stands {
    /// The time over which [`cpu`](Stands::Running::cpu) is measured.
    ///
    /// A wait that is shorter than ten times this measures over a tenth of its timeout, and a busy machine
    /// over a longer time. A child process is measured over a quarter of the time. An end by force measures
    /// from the deadline on. A snapshot does not pause to measure: it compares two readings that are
    /// microseconds apart, so `cpu` is nearly all of the time or none of it, even for a thread that never
    /// rests. In all these cases, `cpu` is scaled to this time.
    pub const MOMENT: Duration = Duration::from_millis(20);

    /// How much of [`MOMENT`](Self::MOMENT) that is, in percent.
    pub(crate) fn percent(cpu: Duration) -> u128 {
        let moment = Self::MOMENT.as_nanos();
        (cpu.as_nanos() * 100 + moment / 2) / moment
    }
}

impl fmt::Display for Stands {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        /// The maximum width of the name of a call, and of each part of its object, in columns.
        const WIDTH: usize = 62;
        const PARTS: usize = 4;
        match self {
            Self::Blocked { call, on } => {
                write!(f, "blocked in {}", cut(call, WIDTH))?;
                let Some(on) = on else { return Ok(()) };
                let parts = on.splitn(PARTS, ", ").map(|part| cut(part, WIDTH));
                write!(f, " ({})", parts.collect::<Vec<_>>().join(", "))
            }
            Self::Running { cpu } => match Self::percent(*cpu) {
                0 => f.write_str("running or waiting for a CPU"),
                percent => write!(f, "using {percent} % of a CPU"),
            },
            Self::Suspended => f.write_str("suspended by a signal or a debugger"),
            Self::Unknown => f.write_str("blocked or running: the system does not say"),
        }
    }
}

/// The maximum number of threads that are looked at.
pub(crate) const MAX_THREADS: usize = 1000;

/// A thread of this process to look at.
#[cfg_attr(not(target_os = "linux"), allow(dead_code))]
#[derive(Clone, Copy, Debug)]
pub(crate) struct Subject<'a> {
    /// The thread's id in the system; 0 if there is no thread.
    pub(crate) os_id: u64,
    /// The name of the routine that it runs, by which threads that wait for the same lock refer to it.
    pub(crate) name: &'a str,
    /// The path of the routine's quitter.
    pub(crate) path: &'a QuitterPath,
    /// An earlier reading of the thread. If it is recent, and the thread runs, its CPU time is measured from
    /// there on, without a pause.
    pub(crate) before: Option<Used>,
}

/// The CPU time that a thread had used at some moment.
#[cfg_attr(not(target_os = "linux"), allow(dead_code))]
#[derive(Clone, Copy, Debug)]
pub(crate) struct Used {
    at: Instant,
    cpu: Duration,
}

impl Used {
    /// The reading as of now. `None` if there is no such thread, or the system does not say.
    pub(crate) fn by_thread(os_id: u64) -> Option<Self> {
        #[cfg(target_os = "linux")]
        return system::thread_cpu_time(os_id).map(Self::now);
        #[cfg(not(target_os = "linux"))]
        {
            let _ = os_id;
            None
        }
    }

    #[cfg(target_os = "linux")]
    fn now(cpu: Duration) -> Self {
        let at = Instant::now();
        Self { at, cpu }
    }

    /// Whether the CPU time used since then still tells what the thread does now.
    #[cfg(target_os = "linux")]
    fn is_recent(&self) -> bool {
        self.at.elapsed() < Duration::from_secs(1)
    }
}

/// Returns what each thread stands on. `None` if there is no such thread, or nothing is known.
///
/// Looks at the first thousand threads, and for 50 ms at most. Sleeps for `moment` if a thread without a recent
/// reading runs. The caller has to check afterwards that the routine still runs on that thread: the system
/// reuses the id of a thread that has ended.
pub(crate) fn of_threads(threads: &[Subject<'_>], moment: Duration) -> Vec<Option<Stands>> {
    #[cfg(target_os = "linux")]
    return look::at_threads(&proc::System, threads, moment);
    #[cfg(not(target_os = "linux"))]
    {
        let _ = moment;
        vec![None; threads.len()]
    }
}

/// Returns what the first thread of this process stands on. `None` if nothing is known. Sleeps for `moment`
/// if the thread runs.
pub(crate) fn of_main_thread(moment: Duration) -> Option<Stands> {
    let main = Subject {
        os_id: std::process::id().into(),
        name: "",
        path: &QuitterPath::from(String::new()),
        before: None,
    };
    of_threads(&[main], moment).pop()?
}

/// Returns what a child process's first thread stands on. `None` if there is no such child, or nothing is
/// known. Sleeps for `moment` if the thread runs.
pub(crate) fn of_child(pid: u32, moment: Duration) -> Option<Stands> {
    #[cfg(target_os = "linux")]
    {
        let stands = look::at_process(&proc::System, pid, moment);
        // Once the child is reaped, its id may be that of a stranger.
        stands.filter(|_| proc::is_child(&proc::System, pid))
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = (pid, moment);
        None
    }
}

/// Whether there was an instant at which each of these threads waited in a futex that only a thread of this
/// process can wake, and so did every other thread of the process, except the caller and those of quitter's
/// own that wake nobody.
pub(crate) fn everyone_waits(threads: &[u64]) -> bool {
    #[cfg(target_os = "linux")]
    return look::everyone_waits(&proc::System, threads);
    #[cfg(not(target_os = "linux"))]
    {
        let _ = threads;
        false
    }
}

/// Whether a thread of this process runs, or waits only for a processor, as far as is known.
pub(crate) fn is_ready_to_run(thread: u64) -> bool {
    #[cfg(target_os = "linux")]
    return proc::is_ready_to_run(&proc::System, thread);
    #[cfg(not(target_os = "linux"))]
    {
        let _ = thread;
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blocked(call: &str, on: &str) -> String {
        let (call, on) = (call.to_owned(), Some(on.to_owned()));
        Stands::Blocked { call, on }.to_string()
    }

    #[test]
    fn what_a_thread_stands_on_reads_as_a_part_of_a_sentence() {
        let text = blocked("accept4", "fd 7, TCP 127.0.0.1:8080");
        assert_eq!(text, "blocked in accept4 (fd 7, TCP 127.0.0.1:8080)");
        let cpu = Stands::MOMENT.mul_f64(0.98);
        let text = Stands::Running { cpu }.to_string();
        assert_eq!(text, "using 98 % of a CPU");
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_child_process_is_looked_at_until_it_is_reaped() {
        use std::process::{Command, Stdio};
        use std::time::Instant;

        let mut cat = Command::new("cat");
        cat.stdin(Stdio::piped()).stdout(Stdio::null());
        let mut child = cat.spawn().unwrap();
        let reads = |stands: Stands| match proc::calls_are_known(&proc::System) {
            // `cat` may be a program of 64 bits.
            true if cfg!(target_pointer_width = "32") => matches!(stands, Stands::Blocked { .. }),
            true => stands.to_string() == "blocked in read (fd 0, stdin, a pipe)",
            // The program runs under emulation.
            false => !matches!(stands, Stands::Running { .. }),
        };
        // The child may not read yet.
        let until = Instant::now() + Duration::from_secs(20);
        while !of_child(child.id(), Stands::MOMENT).is_some_and(reads) {
            assert!(Instant::now() < until, "{child:?} does not read");
            std::thread::yield_now();
        }
        // Without its state, a suspended process would look like one that waits for input.
        let pid = i32::try_from(child.id()).unwrap();
        let stop =
            || nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::SIGSTOP);
        stop().unwrap();
        while of_child(child.id(), Stands::MOMENT) != Some(Stands::Suspended) {
            assert!(Instant::now() < until, "{child:?} is not suspended");
            std::thread::yield_now();
        }
        child.kill().unwrap();
        let pid = child.id();
        child.wait().unwrap();
        assert_eq!(of_child(pid, Stands::MOMENT), None);
    }

    #[test]
    fn foreign_names_cannot_forge_a_line_or_fill_the_report() {
        let text = blocked("read", "fd 3, /tmp/a\nQuit: all returned\u{1b}[2J");
        assert_eq!(
            text,
            r"blocked in read (fd 3, /tmp/a\nQuit: all returned\u{1b}[2J)"
        );
        let text = blocked("read", &"/long, ".repeat(1 << 16));
        assert!(text.chars().count() < 120, "{text}");
    }
}
