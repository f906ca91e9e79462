//! Calls to the operating system that no safe crate offers, which take unsafe code.
#![allow(unsafe_code)]

#[cfg(target_os = "linux")]
mod turns;

#[cfg(unix)]
use std::ffi::c_int;
#[cfg(unix)]
use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicBool, Ordering},
};
use std::time::Duration;

#[cfg(target_os = "linux")]
pub(crate) use turns::run_soon;
#[cfg(all(test, target_os = "linux"))]
pub(crate) use turns::turn;

/// This thread's number in the system; 0 where that is not known.
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
    // SAFETY: the thread 0 is the calling one; the number is written to `id`, which is of its type,
    // exclusively borrowed and lives on.
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

/// Whether a signal is ignored. The safe crates can only ask by changing the signal's action.
#[cfg(unix)]
pub(crate) fn is_ignored(signal: c_int) -> bool {
    action_of(signal) == Some(libc::SIG_IGN)
}

/// Whether a signal has this number.
#[cfg(unix)]
pub(crate) fn is_signal(number: c_int) -> bool {
    action_of(number).is_some()
}

/// Whether a signal has its default effect.
#[cfg(all(test, unix))]
pub(crate) fn is_default(signal: c_int) -> bool {
    action_of(signal) == Some(libc::SIG_DFL)
}

#[cfg(unix)]
fn action_of(signal: c_int) -> Option<libc::sighandler_t> {
    // SAFETY: `sigaction` is a C struct of integers and a set of bits, all valid as zero.
    let mut now: libc::sigaction = unsafe { std::mem::zeroed() };
    // SAFETY: by sigaction(2) a null new action changes nothing, and the old one is written to
    // `now`, which is of its type, exclusively borrowed and lives on.
    let done = unsafe { libc::sigaction(signal, std::ptr::null(), &raw mut now) } == 0;
    done.then_some(now.sa_sigaction)
}

/// Lets this thread receive these signals.
#[cfg(unix)]
pub(crate) fn unblock(signals: &[c_int]) {
    change_mask(libc::SIG_UNBLOCK, &set_of(signals));
}

/// Until this is dropped, its thread does not receive some signals.
#[cfg(unix)]
pub(crate) struct Blocked {
    /// The signals that it did not receive before.
    before: libc::sigset_t,
    /// It belongs to the thread that made it.
    _not_send: std::marker::PhantomData<*const ()>,
}

#[cfg(unix)]
impl Blocked {
    pub(crate) fn new(signals: &[c_int]) -> Self {
        Self {
            before: change_mask(libc::SIG_BLOCK, &set_of(signals)),
            _not_send: std::marker::PhantomData,
        }
    }
}

#[cfg(unix)]
impl Drop for Blocked {
    fn drop(&mut self) {
        change_mask(libc::SIG_SETMASK, &self.before);
    }
}

#[cfg(unix)]
fn set_of(signals: &[c_int]) -> libc::sigset_t {
    // SAFETY: a signal set is a C struct of integers, all valid as zero.
    let mut set: libc::sigset_t = unsafe { std::mem::zeroed() };
    // SAFETY: `set` is of the right type, exclusively borrowed and lives on; sigaddset(3) refuses a
    // number that is no signal.
    unsafe {
        libc::sigemptyset(&raw mut set);
        for signal in signals {
            libc::sigaddset(&raw mut set, *signal);
        }
    }
    set
}

/// Changes the signals that this thread does not receive, and returns those before.
#[cfg(unix)]
fn change_mask(how: c_int, signals: &libc::sigset_t) -> libc::sigset_t {
    let mut before = set_of(&[]);
    // SAFETY: both sets are of the right type and live on, and the second is exclusively borrowed. By
    // pthread_sigmask(3) it can only fail for another `how` than the three.
    unsafe { libc::pthread_sigmask(how, signals, &raw mut before) };
    before
}

/// Whether this is a terminal that takes "\n" as it is, and does not go to the first column with it.
#[cfg(unix)]
pub(crate) fn is_raw_terminal(file: &impl std::os::fd::AsRawFd) -> bool {
    const TRANSLATES: libc::tcflag_t = libc::OPOST | libc::ONLCR;
    // SAFETY: `termios` is a C struct of integers, all valid as zero.
    let mut modes: libc::termios = unsafe { std::mem::zeroed() };
    // SAFETY: by tcgetattr(3) the modes are written to `modes`, which is of its type, exclusively
    // borrowed and lives on. A descriptor that is no terminal is an error.
    let is_terminal = unsafe { libc::tcgetattr(file.as_raw_fd(), &raw mut modes) } == 0;
    is_terminal && modes.c_oflag & TRANSLATES != TRANSLATES
}

/// The number of lines and columns.
#[cfg(all(feature = "progress", unix))]
#[derive(Clone, Copy, Debug)]
pub(crate) struct TerminalSize {
    pub(crate) lines: usize,
    pub(crate) columns: usize,
}

/// The size of this terminal. `None`: it has none, or is no terminal.
#[cfg(all(feature = "progress", unix))]
pub(crate) fn terminal_size(file: &impl std::os::fd::AsRawFd) -> Option<TerminalSize> {
    // SAFETY: `winsize` is a C struct of integers, all valid as zero.
    let mut size: libc::winsize = unsafe { std::mem::zeroed() };
    // SAFETY: by ioctl_tty(2) the size is written to `size`, which is of its type, exclusively borrowed
    // and lives on. A descriptor that is no terminal is an error.
    let done = unsafe { libc::ioctl(file.as_raw_fd(), libc::TIOCGWINSZ, &raw mut size) } == 0;
    (done && size.ws_row > 0 && size.ws_col > 0).then(|| TerminalSize {
        lines: size.ws_row.into(),
        columns: size.ws_col.into(),
    })
}

/// Whether this process is among those that its terminal belongs to right now. So is one that has
/// another terminal, or none.
#[cfg(all(feature = "progress", unix))]
pub(crate) fn is_in_foreground(file: &impl std::os::fd::AsRawFd) -> bool {
    // SAFETY: tcgetpgrp(3) takes any descriptor, and changes nothing; one that is not this process's
    // terminal is an error. getpgrp(2) takes nothing, and cannot fail.
    let (foreground, own) = unsafe { (libc::tcgetpgrp(file.as_raw_fd()), libc::getpgrp()) };
    foreground == -1 || foreground == own
}

/// Consoles go to the first column with every line end.
#[cfg(not(unix))]
pub(crate) fn is_raw_terminal(_: &std::fs::File) -> bool {
    false
}

/// Writes as much of `text` as the file takes without blocking, and returns how much that was. Nothing
/// where the file or the system cannot tell, as with terminals, and after an error.
///
/// The mode of the file stays as it is, since others share it.
#[cfg(target_os = "linux")]
pub(crate) fn write_at_once(file: &std::fs::File, text: &[u8]) -> usize {
    use std::os::fd::AsRawFd;
    /// Append, as far as there is an end to append to.
    const NO_OFFSET: libc::c_long = -1;
    // As wide as a register: of a narrower one the other half would be left to chance.
    let flags = libc::c_long::from(libc::RWF_NOWAIT);
    let part = libc::iovec {
        iov_base: text.as_ptr().cast_mut().cast(),
        iov_len: text.len(),
    };
    // SAFETY: these are the arguments of pwritev2(2): a descriptor that `file` keeps open, one part,
    // the two halves of an offset, and flags. The part is `text`, which is only read and lives on. By
    // number, since the C libraries that Rust supports do not all have the function; a kernel that
    // does not have the call or the flag returns an error.
    let written = unsafe {
        libc::syscall(
            libc::SYS_pwritev2,
            file.as_raw_fd(),
            &raw const part,
            1_usize,
            NO_OFFSET,
            NO_OFFSET,
            flags,
        )
    };
    usize::try_from(written).unwrap_or(0)
}

/// No other system offers that for one call.
#[cfg(not(target_os = "linux"))]
pub(crate) fn write_at_once(_: &std::fs::File, _: &[u8]) -> usize {
    0
}

/// Calls `handle` when the console is closed, the user logs off or the system shuts down. Windows ends
/// the process when the handler returns, or after about 5 s: so it never returns, and the process ends
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
    // SAFETY: this is its declaration by Microsoft's documentation. `on_event` is called on a thread
    // of its own, where everything is allowed, and lives as long as the program.
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

/// Is true in the child of a fork(2) that follows the first call: the child has none of the parent's
/// other threads.
#[cfg(unix)]
pub(crate) fn forked() -> &'static Arc<AtomicBool> {
    static FORKED: OnceLock<Arc<AtomicBool>> = OnceLock::new();

    // The libc crate does not have it on every system.
    unsafe extern "C" {
        fn pthread_atfork(
            before: Option<extern "C" fn()>,
            in_parent: Option<extern "C" fn()>,
            in_child: Option<extern "C" fn()>,
        ) -> c_int;
    }

    /// Runs between fork(2) and its return, where little is allowed: an atomic store is.
    extern "C" fn in_child() {
        if let Some(forked) = FORKED.get() {
            forked.store(true, Ordering::Relaxed);
        }
    }

    FORKED.get_or_init(|| {
        // SAFETY: this is its declaration by POSIX. `in_child` takes no lock, allocates nothing, and
        // lives as long as the program. A failure (no memory) leaves the flag false.
        unsafe { pthread_atfork(None, None, Some(in_child)) };
        Arc::default()
    })
}

/// Whether this process is such a child.
pub(crate) fn is_forked() -> bool {
    #[cfg(unix)]
    return forked().load(Ordering::Relaxed);
    #[cfg(not(unix))]
    false
}

/// Has the system keep ended children until they are waited for, where the program was started with
/// SIGCHLD ignored. It would give their numbers to others at once.
#[cfg(all(unix, feature = "process"))]
pub(crate) fn keep_ended_children() {
    if is_ignored(libc::SIGCHLD) {
        // SAFETY: the default action of SIGCHLD does nothing, and calls nothing.
        unsafe { libc::signal(libc::SIGCHLD, libc::SIG_DFL) };
    }
}

/// Has `handler` called when the process exits: when `main` returns, and by `std::process::exit`.
#[cfg(all(unix, feature = "process"))]
pub(crate) fn at_exit(handler: extern "C" fn()) {
    // SAFETY: `handler` lives as long as the program, and may do there what it may do anywhere.
    unsafe { libc::atexit(handler) };
}

/// The processor time that a thread of this process has used. `None`: there is no such thread.
#[cfg(target_os = "linux")]
pub(crate) fn thread_cpu_time(id: u64) -> Option<Duration> {
    const OF_A_THREAD: libc::clockid_t = 4;
    clock::read_any(clock::of_cpu_time(id)? | OF_A_THREAD)
}

/// The processor time that a process has used. `None`: there is no such process.
#[cfg(target_os = "linux")]
pub(crate) fn process_cpu_time(pid: u32) -> Option<Duration> {
    clock::read_any(clock::of_cpu_time(pid.into())?)
}

/// Other systems are not asked.
#[cfg(all(unix, not(target_os = "linux")))]
pub(crate) fn run_soon() {}

/// The time since some moment in the past, by a clock that never goes back.
pub(crate) fn now() -> Duration {
    clock::now()
}

/// [`now`] as of the system's last tick, a few milliseconds ago. Costs a fifth of [`now`].
pub(crate) fn lately() -> Duration {
    clock::lately()
}

#[cfg(any(target_os = "linux", target_os = "android"))]
mod clock {
    use std::time::Duration;

    pub(super) fn now() -> Duration {
        read(libc::CLOCK_MONOTONIC)
    }

    pub(super) fn lately() -> Duration {
        read(libc::CLOCK_MONOTONIC_COARSE)
    }

    /// Linux has had the two above since 2.6.32.
    fn read(clock: libc::clockid_t) -> Duration {
        read_any(clock).unwrap_or_default()
    }

    /// The clock that counts the processor time of the process with this number. It is how the kernel,
    /// and so `clock_getcpuclockid(3)` of every C library, numbers these clocks.
    #[cfg(target_os = "linux")]
    pub(super) fn of_cpu_time(id: u64) -> Option<libc::clockid_t> {
        const BY_THE_SCHEDULER: libc::clockid_t = 2;
        // Zero is the caller itself. The kernel's numbers have 22 bits.
        const NUMBERS: std::ops::Range<libc::clockid_t> = 1..1 << 28;
        let id = libc::clockid_t::try_from(id).ok();
        let id = id.filter(|id| NUMBERS.contains(id))?;
        Some((!id << 3) | BY_THE_SCHEDULER)
    }

    /// `None`: there is no such clock.
    pub(super) fn read_any(clock: libc::clockid_t) -> Option<Duration> {
        // SAFETY: `timespec` is a C struct of integers, all valid as zero. (It cannot be built by
        // naming its fields, since some systems add a field of padding.)
        let mut time: libc::timespec = unsafe { std::mem::zeroed() };
        // SAFETY: by clock_gettime(2) the time is written to `time`, which is of its type,
        // exclusively borrowed and lives on. It only fails for an unknown clock, which leaves `time`
        // as it is.
        let is_read = unsafe { libc::clock_gettime(clock, &raw mut time) } == 0;
        // Never negative. Its width differs between systems.
        #[allow(clippy::useless_conversion)]
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

    pub(super) fn lately() -> Duration {
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
            let lately = lately();
            assert!(lately <= now());
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
        while write_at_once(&writer, &text) > 0 {}
        assert_eq!(write_at_once(&writer, b"more"), 0);
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
