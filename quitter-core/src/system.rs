//! Calls to the operating system that no safe crate offers, and that need unsafe code.
#![allow(unsafe_code)]

#[cfg(unix)]
mod end_by_signal;
#[cfg(all(feature = "stacks", target_os = "linux"))]
mod memory;
#[cfg(unix)]
mod signal_mask;
#[cfg(target_os = "linux")]
mod time_slice;

#[cfg(unix)]
use std::ffi::c_int;
#[cfg(unix)]
use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicBool, Ordering},
};
use std::time::Duration;

#[cfg(unix)]
pub(crate) use end_by_signal::end_by;
#[cfg(all(feature = "stacks", target_os = "linux"))]
#[allow(unused_imports, reason = "not all Linux systems have stacks")]
pub(crate) use memory::is_left as is_memory_left;
#[cfg(unix)]
pub(crate) use signal_mask::{Blocked, accepting_signals, unblock};
#[cfg(target_os = "linux")]
pub(crate) use time_slice::run_soon;
#[cfg(all(test, target_os = "linux"))]
pub(crate) use time_slice::time_slice;

/// This thread's id in the system; 0 if it is unknown.
pub(crate) fn thread_id() -> u64 {
    use std::cell::Cell;

    thread_local! {
        static ID: Cell<u64> = const { Cell::new(0) };
    }
    // Asking takes a system call, and tasks ask at each poll.
    if ID.get() == 0 {
        ID.set(ask_thread_id());
    }
    ID.get()
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn ask_thread_id() -> u64 {
    // SAFETY: gettid(2) takes nothing, changes nothing and cannot fail.
    u64::from(unsafe { libc::gettid() }.unsigned_abs())
}

#[cfg(target_vendor = "apple")]
fn ask_thread_id() -> u64 {
    let mut id = 0;
    // SAFETY: thread 0 is the calling one; its id is written to `id`, which has the right type, is
    // exclusively borrowed and outlives the call.
    unsafe { libc::pthread_threadid_np(0, &raw mut id) };
    id
}

#[cfg(windows)]
fn ask_thread_id() -> u64 {
    #[link(name = "kernel32")]
    unsafe extern "system" {
        fn GetCurrentThreadId() -> u32;
    }
    // SAFETY: the function takes nothing, changes nothing and cannot fail.
    u64::from(unsafe { GetCurrentThreadId() })
}

#[cfg(not(any(
    target_os = "linux",
    target_os = "android",
    target_vendor = "apple",
    windows
)))]
fn ask_thread_id() -> u64 {
    0
}

/// Whether a signal is ignored. The safe crates can only find out by changing the signal's action.
#[cfg(unix)]
pub(crate) fn is_ignored(signal: c_int) -> bool {
    action_of(signal) == Some(libc::SIG_IGN)
}

/// Whether this is the number of a signal.
#[cfg(unix)]
pub(crate) fn is_signal(number: c_int) -> bool {
    action_of(number).is_some()
}

/// Whether a signal has its default action.
#[cfg(all(test, unix))]
pub(crate) fn is_default(signal: c_int) -> bool {
    action_of(signal) == Some(libc::SIG_DFL)
}

/// The handler of a signal, or what else it does. `None` if there is no such signal.
#[cfg(unix)]
pub(crate) fn action_of(signal: c_int) -> Option<libc::sighandler_t> {
    // SAFETY: `sigaction` is a C struct of integers and a set of bits, all valid as zero.
    let mut now: libc::sigaction = unsafe { std::mem::zeroed() };
    // SAFETY: by sigaction(2) a null new action changes nothing, and the old one is written to `now`, which
    // has the right type, is exclusively borrowed and outlives the call.
    let done = unsafe { libc::sigaction(signal, std::ptr::null(), &raw mut now) } == 0;
    done.then_some(now.sa_sigaction)
}

/// Calls `f`. Where there are Unix signals, this thread accepts them meanwhile.
#[cfg(not(unix))]
pub(crate) fn accepting_signals<T>(f: impl FnOnce() -> T) -> T {
    f()
}

/// Whether this is a terminal that takes "\n" as it is, without returning to the first column.
#[cfg(unix)]
pub(crate) fn is_raw_terminal(file: &impl std::os::fd::AsRawFd) -> bool {
    const TRANSLATES: libc::tcflag_t = libc::OPOST | libc::ONLCR;
    // SAFETY: `termios` is a C struct of integers, all valid as zero.
    let mut modes: libc::termios = unsafe { std::mem::zeroed() };
    // SAFETY: by tcgetattr(3) the modes are written to `modes`, which has the right type, is exclusively
    // borrowed and outlives the call. A descriptor that is not a terminal is an error.
    let is_terminal = unsafe { libc::tcgetattr(file.as_raw_fd(), &raw mut modes) } == 0;
    is_terminal && modes.c_oflag & TRANSLATES != TRANSLATES
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct TerminalSize {
    #[cfg(all(feature = "progress", unix))]
    pub(crate) lines: usize,
    pub(crate) columns: usize,
}

/// The size of this terminal. `None` if it has none, or is not a terminal.
#[cfg(unix)]
pub(crate) fn terminal_size(file: &impl std::os::fd::AsRawFd) -> Option<TerminalSize> {
    // SAFETY: `winsize` is a C struct of integers, all valid as zero.
    let mut size: libc::winsize = unsafe { std::mem::zeroed() };
    // SAFETY: by ioctl_tty(2) the size is written to `size`, which has the right type, is exclusively
    // borrowed and outlives the call. A descriptor that is not a terminal is an error.
    let done = unsafe { libc::ioctl(file.as_raw_fd(), libc::TIOCGWINSZ, &raw mut size) } == 0;
    (done && size.ws_row > 0 && size.ws_col > 0).then(|| TerminalSize {
        #[cfg(feature = "progress")]
        lines: size.ws_row.into(),
        columns: size.ws_col.into(),
    })
}

/// Whether this process is in the foreground of its terminal. True, too, if it has another terminal, or none.
#[cfg(all(feature = "progress", unix))]
pub(crate) fn is_in_foreground(file: &impl std::os::fd::AsRawFd) -> bool {
    // SAFETY: tcgetpgrp(3) takes any descriptor, and changes nothing; one that is not this process's terminal
    // is an error. getpgrp(2) takes nothing, and cannot fail.
    let (foreground, own) = unsafe { (libc::tcgetpgrp(file.as_raw_fd()), libc::getpgrp()) };
    foreground == -1 || foreground == own
}

/// Std does not say, and the console breaks the lines.
#[cfg(not(unix))]
pub(crate) fn terminal_size(_: &std::fs::File) -> Option<TerminalSize> {
    None
}

/// Consoles return to the first column at every line end.
#[cfg(not(unix))]
pub(crate) fn is_raw_terminal(_: &std::fs::File) -> bool {
    false
}

/// Writes as much of `text` as the file takes without blocking, and returns how much that was. Returns 0 on
/// an error, and if the file or the system does not support this, as terminals do not.
///
/// The file's mode stays as it is, since others share it.
#[cfg(target_os = "linux")]
pub(crate) fn write_nonblocking(file: &std::fs::File, text: &[u8]) -> usize {
    use std::os::fd::AsRawFd;
    /// Write at the file's own offset, and move that.
    const OWN_OFFSET: libc::c_long = -1;
    // As wide as a register: the upper half of a narrower value would be undefined.
    let flags = libc::c_long::from(libc::RWF_NOWAIT);
    let part = libc::iovec {
        iov_base: text.as_ptr().cast_mut().cast(),
        iov_len: text.len(),
    };
    // SAFETY: these are the arguments of pwritev2(2): a descriptor that `file` keeps open, one buffer, the
    // two halves of an offset, and flags. The buffer is `text`, which is only read and outlives the call. The
    // call is made by number, since not all C libraries that Rust supports have the function; a kernel
    // without the call or the flag returns an error.
    let written = unsafe {
        libc::syscall(
            libc::SYS_pwritev2,
            file.as_raw_fd(),
            &raw const part,
            1_usize,
            OWN_OFFSET,
            OWN_OFFSET,
            flags,
        )
    };
    usize::try_from(written).unwrap_or(0)
}

/// No other system supports this for a single call.
#[cfg(not(target_os = "linux"))]
pub(crate) fn write_nonblocking(_: &std::fs::File, _: &[u8]) -> usize {
    0
}

/// Calls `handle` when the console is closed, the user logs off or the system shuts down. Windows ends the
/// process when the handler returns, or after about 5 s. So the handler never returns, and the process ends
/// when its exit is done.
#[cfg(windows)]
pub(crate) fn on_console_close(handle: fn(&'static str)) -> std::io::Result<()> {
    use std::sync::OnceLock;

    static HANDLE: OnceLock<fn(&'static str)> = OnceLock::new();

    #[link(name = "kernel32")]
    unsafe extern "system" {
        fn SetConsoleCtrlHandler(handler: extern "system" fn(u32) -> i32, add: i32) -> i32;
    }

    /// Called on a thread of its own.
    extern "system" fn on_event(event: u32) -> i32 {
        const NOT_HANDLED: i32 = 0;
        let name = match event {
            2 => "console close",
            5 => "logoff",
            6 => "system shutdown",
            _ => return NOT_HANDLED,
        };
        if let Some(handle) = HANDLE.get() {
            handle(name);
        }
        loop {
            std::thread::park();
        }
    }

    let _ = HANDLE.set(handle);
    // SAFETY: the declaration is that of Microsoft's documentation. `on_event` is called on a thread of its
    // own, where everything is allowed, and lives as long as the program.
    match unsafe { SetConsoleCtrlHandler(on_event, 1) } {
        0 => Err(std::io::Error::last_os_error()),
        _ => Ok(()),
    }
}

/// There is no console.
#[cfg(not(any(unix, windows)))]
pub(crate) fn on_console_close(_: fn(&'static str)) -> std::io::Result<()> {
    Ok(())
}

/// A flag that is true in the child of a fork(2) that follows the first call: the child has none of the
/// parent's other threads.
#[cfg(unix)]
pub(crate) fn forked() -> &'static Arc<AtomicBool> {
    static FORKED: OnceLock<Arc<AtomicBool>> = OnceLock::new();

    // The libc crate does not declare it on every system.
    unsafe extern "C" {
        fn pthread_atfork(
            before: Option<extern "C" fn()>,
            in_parent: Option<extern "C" fn()>,
            in_child: Option<extern "C" fn()>,
        ) -> c_int;
    }

    /// Runs in the child before fork(2) returns, where little is allowed. An atomic store is.
    extern "C" fn in_child() {
        if let Some(forked) = FORKED.get() {
            forked.store(true, Ordering::Relaxed);
        }
    }

    FORKED.get_or_init(|| {
        // SAFETY: the declaration is that of POSIX. `in_child` takes no lock, allocates nothing, and lives as
        // long as the program. A failure (no memory) leaves the flag false.
        unsafe { pthread_atfork(None, None, Some(in_child)) };
        Arc::default()
    })
}

/// Whether this process is such a child: see [`forked`].
pub(crate) fn is_forked() -> bool {
    #[cfg(unix)]
    return forked().load(Ordering::Relaxed);
    #[cfg(not(unix))]
    false
}

/// Makes the system keep ended children until they are waited for, even if the program was started with
/// SIGCHLD ignored. The system would otherwise reuse their ids at once.
#[cfg(all(unix, feature = "process"))]
pub(crate) fn keep_ended_children() {
    if is_ignored(libc::SIGCHLD) {
        // SAFETY: the default action of SIGCHLD does nothing, and calls no code.
        unsafe { libc::signal(libc::SIGCHLD, libc::SIG_DFL) };
    }
}

/// Registers `handler` to be called when the process exits, before those that were registered earlier: when
/// `main` returns, and by `std::process::exit`. It is not called if there is no memory for it.
#[cfg(unix)]
pub(crate) fn at_exit(handler: extern "C" fn()) {
    // SAFETY: `handler` lives as long as the program, and may do there what it may do anywhere.
    unsafe { libc::atexit(handler) };
}

/// The CPU time that a thread of this process has used. `None` if there is no such thread.
#[cfg(target_os = "linux")]
pub(crate) fn thread_cpu_time(id: u64) -> Option<Duration> {
    const OF_A_THREAD: libc::clockid_t = 4;
    clock::read_any(clock::of_cpu_time(id)? | OF_A_THREAD)
}

/// The CPU time that a process has used. `None` if there is no such process.
#[cfg(target_os = "linux")]
pub(crate) fn process_cpu_time(pid: u32) -> Option<Duration> {
    clock::read_any(clock::of_cpu_time(pid.into())?)
}

/// Does nothing on other systems.
#[cfg(all(unix, not(target_os = "linux")))]
pub(crate) fn run_soon() {}

/// The time since some moment in the past, by a clock that never goes back.
pub(crate) fn now() -> Duration {
    clock::now()
}

/// [`now`] as of the system's last tick, a few milliseconds ago. Costs a fifth of [`now`].
pub(crate) fn now_coarse() -> Duration {
    clock::now_coarse()
}

#[cfg(any(target_os = "linux", target_os = "android"))]
mod clock {
    use std::time::Duration;

    pub(super) fn now() -> Duration {
        read(libc::CLOCK_MONOTONIC)
    }

    pub(super) fn now_coarse() -> Duration {
        read(libc::CLOCK_MONOTONIC_COARSE)
    }

    /// Reads one of the two clocks above, which Linux has had since 2.6.32.
    fn read(clock: libc::clockid_t) -> Duration {
        read_any(clock).unwrap_or_default()
    }

    /// The id of the clock that counts the CPU time of the process with this id. The kernel, and so
    /// `clock_getcpuclockid(3)` of every C library, numbers these clocks like this.
    #[cfg(target_os = "linux")]
    pub(super) fn of_cpu_time(id: u64) -> Option<libc::clockid_t> {
        const BY_THE_SCHEDULER: libc::clockid_t = 2;
        // Zero is the caller itself. The kernel's ids have 22 bits.
        const NUMBERS: std::ops::Range<libc::clockid_t> = 1..1 << 28;
        let id = libc::clockid_t::try_from(id).ok();
        let id = id.filter(|id| NUMBERS.contains(id))?;
        Some((!id << 3) | BY_THE_SCHEDULER)
    }

    /// Reads a clock. `None` if there is no such clock.
    #[allow(
        clippy::useless_conversion,
        reason = "the fields' widths differ between systems"
    )]
    pub(super) fn read_any(clock: libc::clockid_t) -> Option<Duration> {
        // SAFETY: `timespec` is a C struct of integers, all valid as zero. (It cannot be built by
        // naming its fields, since some systems add a field of padding.)
        let mut time: libc::timespec = unsafe { std::mem::zeroed() };
        // SAFETY: by clock_gettime(2) the time is written to `time`, which has the right type, is exclusively
        // borrowed and outlives the call. The call only fails for an unknown clock, which leaves `time` as it
        // is.
        let is_read = unsafe { libc::clock_gettime(clock, &raw mut time) } == 0;
        // Never negative.
        let seconds = u64::from(time.tv_sec.unsigned_abs());
        let nanos = u32::try_from(time.tv_nsec.unsigned_abs());
        is_read.then(|| Duration::new(seconds, nanos.unwrap_or_default()))
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
mod clock {
    use std::sync::OnceLock;
    use std::time::{Duration, Instant};

    pub(super) fn now() -> Duration {
        static FIRST: OnceLock<Instant> = OnceLock::new();
        FIRST.get_or_init(Instant::now).elapsed()
    }

    pub(super) fn now_coarse() -> Duration {
        now()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn the_coarse_clock_is_not_ahead_of_the_exact_one() {
        for _ in 0..10_000 {
            let now_coarse = now_coarse();
            assert!(now_coarse <= now());
        }
    }

    #[test]
    fn the_clock_runs_as_fast_as_stds() {
        let outer = Instant::now();
        let from = now();
        let inner = Instant::now();
        while inner.elapsed() < Duration::from_millis(2) {
            std::hint::spin_loop();
        }
        let of_std = inner.elapsed();
        let ours = now() - from;
        assert!(of_std <= ours && ours <= outer.elapsed());
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_full_pipe_takes_nothing_at_once_and_blocks_nobody() {
        let (reader, writer) = std::io::pipe().unwrap();
        let writer = std::fs::File::from(std::os::fd::OwnedFd::from(writer));
        let text = [0; 4096];
        while write_nonblocking(&writer, &text) > 0 {}
        assert_eq!(write_nonblocking(&writer, b"more"), 0);
        drop(reader);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn the_processor_time_of_a_thread_grows_while_it_runs_and_only_then() {
        let (tell, told) = std::sync::mpsc::channel();
        let (_blocks, blocked) = std::sync::mpsc::channel::<()>();
        std::thread::spawn(move || {
            tell.send(thread_id()).unwrap();
            let _ = blocked.recv();
        });
        let other = told.recv().unwrap();
        let from = thread_cpu_time(thread_id()).unwrap();
        let of_process = process_cpu_time(std::process::id()).unwrap();
        while thread_cpu_time(thread_id()).unwrap() - from < Duration::from_millis(2) {}
        assert!(process_cpu_time(std::process::id()).unwrap() > of_process);
        assert!(thread_cpu_time(other).unwrap() < Duration::from_secs(1));
        assert_eq!(thread_cpu_time(0), None);
        assert_eq!(thread_cpu_time(u64::MAX), None);
        assert_eq!(thread_cpu_time((1 << 28) - 1), None);
        assert_eq!(thread_cpu_time(1 << 28), None);
    }

    #[test]
    #[cfg(unix)]
    fn a_signal_that_nobody_ignores_is_not_ignored() {
        assert!(!is_ignored(libc::SIGURG));
    }
}
