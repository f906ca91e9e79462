//! What a main quitter says, on a thread of its own, to stderr but not std's.
//!
//! A routine that hangs may hold std's lock of stderr, and a stderr that is a full pipe blocks who
//! writes to it. So what is to be said goes, in order, to one thread that writes to a duplicate of
//! the handle, made when the main quitter is. Nobody else waits for it without a limit. A stderr
//! that is closed, full or broken changes nothing but that nobody reads it.

use std::fmt;
use std::fs::File;
use std::io::{self, Write};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{RecvTimeoutError, Sender, bounded, unbounded};

use crate::error::Never;
use crate::system;

type Job = Box<dyn FnOnce() + Send>;

/// The way to the thread that writes.
static SPEAKER: OnceLock<Sender<Job>> = OnceLock::new();

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
    // In the child of a fork the thread is not there.
    match SPEAKER.get().filter(|_| !system::is_forked()) {
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

/// Writes `text` and a line end in one piece, on this thread: for jobs of the thread that writes.
/// Nothing is done about a failure: there is nowhere left to say so.
pub(crate) fn say_now(text: &dyn fmt::Display) {
    let line = format!("{text}\n");
    set_writing(Some(Instant::now()));
    let _ = match stderr() {
        Some(mut file) => file.write_all(line.as_bytes()),
        None => io::stderr().write_all(line.as_bytes()),
    };
    set_writing(None);
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
