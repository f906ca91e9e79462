//! What a main quitter says, on a thread of its own, to stderr but not std's.
//!
//! A routine that hangs may hold std's lock of stderr, and a stderr that is a full pipe blocks who
//! writes to it. So what is to be said goes, in order, to one thread that writes to a duplicate of
//! the handle, made when the main quitter is. Nobody else waits for it without a limit. A stderr
//! that is closed, full or broken changes nothing but that nobody reads it.

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

/// The way to the thread that writes.
static SPEAKER: OnceLock<Sender<Job>> = OnceLock::new();

/// Whether somebody has taken it on to say the outcome.
static OUTCOME_TAKEN: AtomicBool = AtomicBool::new(false);

/// Starts the thread, and duplicates stderr while it is what the program was started with. Called
/// again it does nothing.
pub(crate) fn open() -> io::Result<()> {
    if SPEAKER.get().is_some() {
        return Ok(());
    }
    stderr();
    let (jobs, queue) = unbounded::<Job>();
    let thread = thread::Builder::new().name("quitter report".to_owned());
    thread.spawn(move || queue.iter().for_each(|job| job()))?;
    // Two at once: one thread finds its queue closed, and ends.
    let _ = SPEAKER.set(jobs);
    Ok(())
}

/// Does something after all that was to be said so far. Does not wait.
pub(crate) fn afterwards(job: impl FnOnce() + Send + 'static) {
    match SPEAKER.get() {
        Some(speaker) => drop(speaker.send(Box::new(job))),
        None => job(),
    }
}

/// Says a line. Does not wait; the text is made by the thread that writes it.
pub(crate) fn say(text: impl fmt::Display + Send + 'static) {
    afterwards(move || say_now(&text));
}

/// Waits until all is said. Gives up when one line has taken `a_line`, as with a full pipe, or when
/// it took `in_all`, as on a machine that does not come to it.
pub(crate) fn wait_said(a_line: Duration, in_all: Duration) {
    const LOOK: Duration = Duration::from_millis(5);
    let (done, said) = bounded::<Never>(0);
    afterwards(move || drop(done));
    let until = Instant::now() + in_all;
    while said.recv_timeout(LOOK) == Err(RecvTimeoutError::Timeout)
        && Instant::now() < until
        && writing_for() < a_line
    {}
}

/// Since when the thread that writes is at the line that it is at, if it is at one.
static WRITING_SINCE: Mutex<Option<Instant>> = Mutex::new(None);

fn set_writing(since: Option<Instant>) {
    *WRITING_SINCE.lock().unwrap_or_else(PoisonError::into_inner) = since;
}

fn writing_for() -> Duration {
    let since = *WRITING_SINCE.lock().unwrap_or_else(PoisonError::into_inner);
    since.map_or(Duration::ZERO, |since| since.elapsed())
}

/// The right to say the outcome, which is said once: by `main` or by the forced end. Returns
/// whether it was there to be had.
pub(crate) fn take_outcome() -> bool {
    !OUTCOME_TAKEN.swap(true, Ordering::Relaxed)
}

/// Writes `text` and a line end in one piece, on this thread: for jobs of the thread that writes.
/// Nothing is done about a failure: there is nowhere left to say so.
pub(crate) fn say_now(text: &dyn fmt::Display) {
    let line = format!("{text}\n");
    set_writing(Some(Instant::now()));
    match stderr() {
        Some(mut file) => write_all(&mut file, line.as_bytes()),
        None => write_all(&mut io::stderr(), line.as_bytes()),
    }
    set_writing(None);
}

/// Writes all of `text`, retrying while a non-blocking stderr is full: the program shares that mode
/// with whoever else holds the terminal, such as an async runtime. Gives up when stderr is broken,
/// or takes nothing for a while.
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

/// Duplicates stderr's handle, once. `None`: there is none to duplicate.
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

    /// Takes a byte at a time, and fails in every way that is no reason to stop before it does.
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
