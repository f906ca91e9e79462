//! The thread that writes to stderr for a main quitter.
//!
//! A routine that hangs may hold std's lock of stderr, and a write to a full pipe blocks. So one
//! thread writes everything, in order, to a duplicate of the handle, made when the main quitter is
//! made. All other threads hand their text to it, and wait for it with a limit if at all. A stderr
//! that is closed, full or broken loses the text and changes nothing else.

use std::convert::Infallible;
use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{RecvTimeoutError, Sender, bounded, unbounded};

use crate::process::Process;
use crate::report::notice::Notice;
use crate::report::output::{HoldOutput, Output, OutputConfig, Speech};
use crate::system;
use crate::trace::Said;

type Job = Box<dyn FnOnce() + Send>;

/// The thread that writes, and what it writes to.
pub(crate) struct Console {
    /// The queue of the thread.
    jobs: OnceLock<Sender<Job>>,
    /// When the write that is now being made was started, if any.
    writing_since: Mutex<Option<Instant>>,
    /// The duplicate of stderr's handle; `None` inside if stderr is closed.
    stderr: OnceLock<Option<File>>,
    /// Under its lock nothing is written or called.
    speech: Mutex<Speech>,
}

impl Console {
    pub(crate) const fn new() -> Self {
        Self {
            jobs: OnceLock::new(),
            writing_since: Mutex::new(None),
            stderr: OnceLock::new(),
            speech: Mutex::new(Speech::new()),
        }
    }

    fn set_writing(&self, since: Option<Instant>) {
        *self
            .writing_since
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = since;
    }

    fn writing_for(&self) -> Duration {
        let since = self.writing_since.lock();
        let since = *since.unwrap_or_else(PoisonError::into_inner);
        since.map_or(Duration::ZERO, |since| since.elapsed())
    }

    fn speech(&self) -> MutexGuard<'_, Speech> {
        self.speech.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives a notice to the program's function if there is one, else writes it. The last words of a
    /// program whose function hangs or panics go to stderr.
    fn deliver(&self, notice: &Notice) {
        /// Longer than a function takes that prints or logs, short beside any bound of an end.
        const FUNCTION_RETURNS: Duration = Duration::from_millis(250);
        let (function, output) = {
            let speech = self.speech();
            (speech.function.clone(), speech.output)
        };
        let is_said = match function {
            Some(function) => {
                let returned = function.call(notice.clone(), FUNCTION_RETURNS);
                returned || !notice.is_last_word() || output == Output::Silent
            }
            None => false,
        };
        if !is_said {
            self.write(&format!("{notice}\n"));
        }
    }

    /// Made at the first call.
    fn stderr(&self) -> Option<&File> {
        self.stderr.get_or_init(|| duplicate().ok()).as_ref()
    }

    /// Writes to stderr. Errors are ignored, because there is nowhere left to report them.
    fn write(&self, text: &str) {
        self.set_writing(Some(Instant::now()));
        match self.stderr() {
            Some(mut file) if system::is_raw_terminal(file) => {
                write_all(&mut file, text.replace('\n', "\r\n").as_bytes());
            }
            Some(mut file) => write_all(&mut file, text.as_bytes()),
            None => write_all(&mut io::stderr(), text.as_bytes()),
        }
        self.set_writing(None);
    }
}

fn console() -> &'static Console {
    &Process::current().console
}

/// Starts the thread, and duplicates stderr while it is what the program was started with. Does
/// nothing if called again.
pub(crate) fn open() -> io::Result<()> {
    let console = console();
    if console.jobs.get().is_some() {
        return Ok(());
    }
    console.stderr();
    let (jobs, queue) = unbounded::<Job>();
    let thread = thread::Builder::new().name("quitter report".to_owned());
    thread.spawn(move || queue.iter().for_each(|job| job()))?;
    // If two threads get here at once, one queue is dropped, and its thread ends.
    let _ = console.jobs.set(jobs);
    Ok(())
}

/// Runs `job` on the console's thread, after everything that is queued. Does not wait.
pub(crate) fn afterwards(job: impl FnOnce() + Send + 'static) {
    // The child of a fork does not have the thread.
    match console().jobs.get().filter(|_| !system::is_forked()) {
        Some(jobs) => drop(jobs.send(Box::new(job))),
        None => job(),
    }
}

/// Says a notice. Does not wait; the console's thread makes the text.
pub(crate) fn say(notice: Notice) {
    afterwards(move || say_now(notice));
}

/// Says a notice at once, on this thread: for jobs on the console's thread. Everything that is said
/// comes through here.
pub(crate) fn say_now(notice: Notice) {
    let event = Said::of(&notice);
    let spare = console().speech().has_spare(&notice);
    let spare = spare.then(|| notice.clone());
    say_past_tracing(notice);
    if let (false, Some(spare)) = (event.tell(), spare) {
        console().write(&format!("{spare}\n"));
    }
}

fn say_past_tracing(notice: Notice) {
    let console = console();
    // A statement of its own: nothing is said under the lock.
    let said_now = console.speech().admit(notice);
    said_now.iter().for_each(|notice| console.deliver(notice));
}

/// From now on notices are written, too, that were for a tracing subscriber alone.
pub(crate) fn write_beside_tracing() {
    console().speech().write_beside_tracing();
}

/// Says the quit event of a program in which nothing runs, but only if anything is said after it. For
/// the console's thread.
pub(crate) fn say_event_if_needed(event: Notice) {
    console().speech().keep_event(event);
}

/// Decides where the notices go from now on.
pub(crate) fn configure(config: OutputConfig) -> io::Result<()> {
    let speech = Speech::of(config)?;
    let before = std::mem::replace(&mut *console().speech(), speech);
    drop(before);
    Ok(())
}

/// Runs the program's hook that restores the terminal, unless it has run. Waits for it for a bounded
/// time, on any thread.
pub(crate) fn restore_terminal() {
    const HOOK_RETURNS: Duration = Duration::from_millis(100);
    let hook = console().speech().take_hook();
    if let Some(hook) = hook {
        hook.call((), HOOK_RETURNS);
    }
}

/// Restores the terminal, then says what was held. For the console's thread.
pub(crate) fn release_now() {
    restore_terminal();
    let held = console().speech().release();
    held.into_iter().for_each(say_past_tracing);
}

/// The body of `main` has returned.
pub(crate) fn body_has_returned() {
    if console().speech().holds() == HoldOutput::UntilBodyReturns {
        afterwards(release_now);
    }
}

/// Waits until everything queued is written. Gives up when one line has taken `a_line`, as it does
/// on a full pipe, or when all of them have taken `in_all`, as they do on an overloaded machine.
pub(crate) fn flush(a_line: Duration, in_all: Duration) {
    const LOOK: Duration = Duration::from_millis(5);
    let (done, written) = bounded::<Infallible>(0);
    afterwards(move || drop(done));
    let until = Instant::now() + in_all;
    while written.recv_timeout(LOOK) == Err(RecvTimeoutError::Timeout)
        && Instant::now() < until
        && console().writing_for() < a_line
    {}
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
