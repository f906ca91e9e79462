//! The thread that writes to stderr for a main quitter.
//!
//! A routine that hangs may hold std's lock of stderr, and a write to a full pipe blocks. So one
//! thread writes everything, in order, to a duplicate of the handle, made when the main quitter is
//! made. All other threads hand their text to it, and wait for it with a limit if at all. A stderr
//! that is closed, full or broken loses the text and changes nothing else.

use std::fmt;
use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{RecvTimeoutError, Sender, bounded, unbounded};

use crate::error::Never;

type Job = Box<dyn FnOnce() + Send>;

/// The queue of the thread that writes.
static JOBS: OnceLock<Sender<Job>> = OnceLock::new();

/// Whether a thread has claimed the outcome.
static OUTCOME_CLAIMED: AtomicBool = AtomicBool::new(false);

/// When the line now being written was started, if any.
static WRITING_SINCE: Mutex<Option<Instant>> = Mutex::new(None);

/// Starts the thread, and duplicates stderr while it is what the program was started with. Does
/// nothing if called again.
pub(crate) fn open() -> io::Result<()> {
    if JOBS.get().is_some() {
        return Ok(());
    }
    stderr();
    let (jobs, queue) = unbounded::<Job>();
    let thread = thread::Builder::new().name("quitter report".to_owned());
    thread.spawn(move || queue.iter().for_each(|job| job()))?;
    // If two threads get here at once, one queue is dropped, and its thread ends.
    let _ = JOBS.set(jobs);
    Ok(())
}

/// Runs `job` on the console's thread, after everything that is queued. Does not wait.
pub(crate) fn afterwards(job: impl FnOnce() + Send + 'static) {
    match JOBS.get() {
        Some(jobs) => drop(jobs.send(Box::new(job))),
        None => job(),
    }
}

/// Writes a notice. Does not wait; the console's thread makes the text.
pub(crate) fn say(notice: impl fmt::Display + Send + 'static) {
    afterwards(move || say_now(&notice));
}

/// Waits until everything queued is written. Gives up when one line has taken `a_line`, as it does
/// on a full pipe, or when all of them have taken `in_all`, as they do on an overloaded machine.
pub(crate) fn flush(a_line: Duration, in_all: Duration) {
    const LOOK: Duration = Duration::from_millis(5);
    let (done, written) = bounded::<Never>(0);
    afterwards(move || drop(done));
    let until = Instant::now() + in_all;
    while written.recv_timeout(LOOK) == Err(RecvTimeoutError::Timeout)
        && Instant::now() < until
        && writing_for() < a_line
    {}
}

fn set_writing(since: Option<Instant>) {
    *WRITING_SINCE.lock().unwrap_or_else(PoisonError::into_inner) = since;
}

fn writing_for() -> Duration {
    let since = *WRITING_SINCE.lock().unwrap_or_else(PoisonError::into_inner);
    since.map_or(Duration::ZERO, |since| since.elapsed())
}

/// Claims the outcome, which is said once: by `main` or by the forced end. Returns `false` if it was
/// claimed already.
pub(crate) fn claim_outcome() -> bool {
    !OUTCOME_CLAIMED.swap(true, Ordering::Relaxed)
}

/// Writes `text` and a line end at once, on this thread: for jobs on the console's thread. Errors
/// are ignored, because there is nowhere left to report them.
pub(crate) fn say_now(text: &dyn fmt::Display) {
    let line = format!("{text}\n");
    set_writing(Some(Instant::now()));
    match stderr() {
        Some(mut file) => write_all(&mut file, line.as_bytes()),
        None => write_all(&mut io::stderr(), line.as_bytes()),
    }
    set_writing(None);
}
/// Writes all of `text`, and retries while a non-blocking stderr is full. Every process that shares
/// the terminal may have set that mode. Gives up when stderr is broken or takes nothing for a while.
fn write_all(to: &mut impl Write, mut text: &[u8]) {
    const PAUSE: Duration = Duration::from_millis(1);
    const GIVE_UP: Duration = Duration::from_secs(5);
    let mut blocked_since = None;
    while !text.is_empty() {
        match to.write(text) {
            Ok(0) => return,
            Ok(written) => {
                text = &text[written..];
                blocked_since = None;
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                if blocked_since.get_or_insert_with(Instant::now).elapsed() > GIVE_UP {
                    return;
                }
                thread::sleep(PAUSE);
            }
            Err(_) => return,
        }
    }
}

/// The duplicate of stderr's handle, made at the first call; `None` if stderr is closed.
fn stderr() -> Option<&'static File> {
    static STDERR: OnceLock<Option<File>> = OnceLock::new();
    STDERR.get_or_init(|| duplicate().ok()).as_ref()
}

#[cfg(unix)]
fn duplicate() -> io::Result<File> {
    use std::os::fd::AsFd;
    Ok(io::stderr().as_fd().try_clone_to_owned()?.into())
}

#[cfg(windows)]
fn duplicate() -> io::Result<File> {
    use std::os::windows::io::AsHandle;
    Ok(io::stderr().as_handle().try_clone_to_owned()?.into())
}

#[cfg(not(any(unix, windows)))]
fn duplicate() -> io::Result<File> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes one byte at a time, and before each fails in every way that calls for another try.
    #[derive(Default)]
    struct Reluctant {
        calls: usize,
        taken: Vec<u8>,
    }

    impl Write for Reluctant {
        fn write(&mut self, text: &[u8]) -> io::Result<usize> {
            self.calls += 1;
            match self.calls % 3 {
                0 => {
                    self.taken.push(text[0]);
                    Ok(1)
                }
                1 => Err(ErrorKind::Interrupted.into()),
                _ => Err(ErrorKind::WouldBlock.into()),
            }
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn interrupted_blocked_and_partial_writes_lose_nothing() {
        let mut stderr = Reluctant::default();
        write_all(&mut stderr, b"Quit: all routines returned\n");
        assert_eq!(stderr.taken, b"Quit: all routines returned\n");
    }
}
