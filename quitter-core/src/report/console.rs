//! The thread that writes to stderr for a main quitter.
//!
//! A routine that hangs may hold std's lock of stderr, and a write to a full pipe blocks. So one thread
//! writes everything, in order, to a duplicate of the handle that is made together with the main quitter.
//! All other threads hand their text to that thread, and wait for it with a limit, if at all. If stderr is
//! closed, full or broken, the text is lost, and nothing else changes.
//!
//! The exit does not wait for the thread to wake up if it can avoid that: the threads on its path
//! [write](write_here) what stderr takes at once, and leave the rest to the console's thread.

use std::cell::Cell;
use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::sync::{Mutex, MutexGuard, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use crate::process::Process;
use crate::report::notice::Notice;
use crate::report::output::{HoldOutput, NoticeFilter, Output, OutputConfig};
#[cfg(all(feature = "progress", unix))]
use crate::report::picture;
use crate::report::picture::Shown;
use crate::report::queue::Queue;
use crate::report::text::{WIDTH, for_columns};
use crate::sync::lock_std;
use crate::system;
use crate::trace::NoticeEvent;

/// The jobs of the thread that writes, and what it writes to.
pub(crate) struct Console {
    jobs: OnceLock<Queue>,
    /// Text that stderr did not take at once. It is written before all other text.
    rest: Mutex<Vec<u8>>,
    /// When the write that is now being made was started, if any.
    writing_since: Mutex<Option<Instant>>,
    /// The duplicate of stderr's handle; `None` inside if stderr is closed.
    stderr: OnceLock<Option<File>>,
    /// The picture on the terminal; only the console's thread draws it.
    picture: Shown,
    /// While this is locked, nothing is written, and no code of the program is called.
    filter: Mutex<NoticeFilter>,
}

impl Console {
    pub(crate) const fn new() -> Self {
        Self {
            jobs: OnceLock::new(),
            rest: Mutex::new(Vec::new()),
            writing_since: Mutex::new(None),
            stderr: OnceLock::new(),
            picture: Shown::new(),
            filter: Mutex::new(NoticeFilter::new()),
        }
    }

    fn set_writing(&self, since: Option<Instant>) {
        *lock_std(&self.writing_since) = since;
    }

    fn writing_for(&self) -> Duration {
        let since = *lock_std(&self.writing_since);
        since.map_or(Duration::ZERO, |since| since.elapsed())
    }

    fn filter(&self) -> MutexGuard<'_, NoticeFilter> {
        lock_std(&self.filter)
    }

    /// Gives a notice to the program's function if there is one, otherwise writes it. If the function hangs
    /// or panics, notices about how the program ends are written to stderr.
    fn deliver(&self, notice: &Notice) {
        /// Longer than a function that prints or logs takes, and short beside any limit on the end.
        const FUNCTION_RETURNS: Duration = Duration::from_millis(250);
        let (function, output) = {
            let filter = self.filter();
            (filter.function.clone(), filter.output)
        };
        let is_said = match function {
            Some(function) => {
                let returned = function.tell(notice.clone(), FUNCTION_RETURNS);
                returned || !notice.is_last_word() || output == Output::Silent
            }
            None => false,
        };
        if !is_said {
            self.write_notice(notice);
        }
    }

    /// The duplicate of stderr, made at the first call.
    fn stderr(&self) -> Option<&File> {
        self.stderr.get_or_init(|| duplicate().ok()).as_ref()
    }

    fn rest(&self) -> MutexGuard<'_, Vec<u8>> {
        lock_std(&self.rest)
    }

    /// Writes a notice to stderr. Its lines fit the terminal, if stderr is one.
    fn write_notice(&self, notice: &Notice) {
        let size = self.stderr().and_then(system::terminal_size);
        let columns = size.map_or(WIDTH, |size| size.columns);
        let text = for_columns(columns, || format!("{notice}\n"));
        self.write(&text);
    }

    /// Writes to stderr. Errors are ignored, because there is nowhere left to report them.
    fn write(&self, text: &str) {
        let text = self.picture.erase().to_owned() + text;
        let text = match self.stderr() {
            Some(file) if system::is_raw_terminal(file) => text.replace('\n', "\r\n"),
            _ => text,
        };
        self.put(&text);
    }

    /// Writes a text unchanged.
    fn put(&self, text: &str) {
        let stderr = self.stderr();
        if WRITES_HERE.get() {
            return self.write_nonblocking(stderr, text.as_bytes());
        }
        self.set_writing(Some(Instant::now()));
        let rest = std::mem::take(&mut *self.rest());
        for text in [&rest, text.as_bytes()] {
            match stderr {
                Some(mut file) => write_all(&mut file, text),
                None => write_all(&mut io::stderr(), text),
            }
        }
        self.set_writing(None);
    }

    /// Writes what stderr takes at once, and keeps the rest.
    fn write_nonblocking(&self, stderr: Option<&File>, text: &[u8]) {
        let mut rest = self.rest();
        let written = match stderr {
            Some(file) if rest.is_empty() => system::write_nonblocking(file, text),
            _ => 0,
        };
        rest.extend_from_slice(&text[written..]);
    }
}

thread_local! {
    /// Whether this thread runs jobs in [`write_here`].
    static WRITES_HERE: Cell<bool> = const { Cell::new(false) };
}

fn console() -> &'static Console {
    &Process::current().console
}

/// Starts the thread, and duplicates the stderr that the process has at this moment. Later calls do nothing.
pub(crate) fn open() -> io::Result<()> {
    let console = console();
    if console.jobs.get().is_some() {
        return Ok(());
    }
    console.stderr();
    let queue = Queue::start()?;
    // If two threads get here at once, one queue is dropped, and its thread ends.
    let _ = console.jobs.set(queue);
    Ok(())
}

/// The queue, if there is a thread that serves it: the child of a fork has none.
fn queue() -> Option<&'static Queue> {
    console().jobs.get().filter(|_| !system::is_forked())
}

/// Runs `job` on the console's thread, after everything that is queued. Does not wait.
pub(crate) fn queue_and_wake(job: impl FnOnce() + Send + 'static) {
    queue_job(job);
    wake();
}

/// Queues `job`. The caller must then call [`wake`], [`write_here`] or [`flush`].
pub(crate) fn queue_job(job: impl FnOnce() + Send + 'static) {
    match queue() {
        Some(queue) => queue.add(Box::new(job)),
        None => job(),
    }
}

/// Makes the console's thread run the queued jobs.
pub(crate) fn wake() {
    if let Some(queue) = queue() {
        queue.wake();
    }
}

/// Runs queued jobs on this thread as long as that takes only a moment: no function of the program is called,
/// no other thread runs jobs, and stderr takes the text at once. Leaves the rest to the console's thread. Not
/// for the end by force, which waits for no lock.
pub(crate) fn write_here() {
    let Some(queue) = queue() else {
        return;
    };
    let before = WRITES_HERE.replace(true);
    queue.run_here(|| console().rest().is_empty() && console().filter().calls_nothing());
    WRITES_HERE.set(before);
    if !console().rest().is_empty() {
        // Every queued job writes the rest first.
        queue_and_wake(|| console().write(""));
    }
}

/// Says a notice. Does not wait; the console's thread makes the text.
pub(crate) fn say(notice: Notice) {
    queue_and_wake(move || say_now(notice));
}

/// Says a notice at once, on this thread: for jobs on the console's thread. Every notice passes through
/// this function.
pub(crate) fn say_now(notice: Notice) {
    let event = NoticeEvent::of(&notice);
    let spare = console().filter().has_spare(&notice);
    let spare = spare.then(|| notice.clone());
    say_past_tracing(notice);
    if let (false, Some(spare)) = (event.tell(), spare) {
        console().write_notice(&spare);
    }
}

fn say_past_tracing(notice: Notice) {
    let console = console();
    // A separate statement, so that nothing is said under the lock.
    let said_now = console.filter().admit(notice);
    said_now.iter().for_each(|notice| console.deliver(notice));
}

/// From now on, notices that were only for a tracing subscriber are written, too.
pub(crate) fn write_beside_tracing() {
    console().filter().write_beside_tracing();
}

/// Says the quit event of a program in which nothing runs, but only if another notice follows. For the
/// console's thread.
pub(crate) fn say_event_if_needed(event: Notice) {
    console().filter().keep_event(event);
}

/// From now on, no notice says which routines the quit waits for.
pub(crate) fn end_progress() {
    console().filter().end_progress();
}

/// Decides where the notices go from now on.
pub(crate) fn configure(config: OutputConfig) -> io::Result<()> {
    let filter = NoticeFilter::of(config)?;
    let before = std::mem::replace(&mut *console().filter(), filter);
    drop(before);
    Ok(())
}

/// Runs the program's hook `before_report`, unless it has been run, and waits for it for a bounded time. If
/// it has not returned by then, the next release says so. May be called on any thread.
pub(crate) fn call_hook() {
    const HOOK_RETURNS: Duration = Duration::from_millis(100);
    let hook = console().filter().take_hook();
    if hook.is_some_and(|hook| hook.outlasts(HOOK_RETURNS)) {
        console().filter().keep_late_hook(HOOK_RETURNS);
    }
}

/// Whether the program leaves its stderr to quitter, and stderr is a terminal to draw on.
#[cfg(all(feature = "progress", unix))]
pub(crate) fn takes_pictures() -> bool {
    let console = console();
    let is_default = console.filter().is_default();
    is_default && console.stderr().and_then(picture::canvas).is_some()
}

/// Draws a picture that fits the terminal, unless none can be drawn any more. For the console's thread.
#[cfg(all(feature = "progress", unix))]
pub(crate) fn draw(picture: impl FnOnce(system::TerminalSize) -> String) {
    let console = console();
    let canvas = console.stderr().and_then(picture::canvas);
    if let Some(size) = canvas.filter(|_| console.picture.begin()) {
        console.put(&picture(size));
    }
}

/// Ends the picture, calls the hook `before_report`, then says what was held. For the console's thread.
pub(crate) fn release_now() {
    match console().picture.end() {
        "" => {}
        erased => console().put(erased),
    }
    call_hook();
    let held = console().filter().release();
    held.into_iter().for_each(say_past_tracing);
    let late_hook = console().filter().take_late_hook();
    late_hook.into_iter().for_each(say_now);
}

/// Called when the body of `main` has returned: ends the hold that lasts until then.
pub(crate) fn body_has_returned() {
    if console().filter().holds() == HoldOutput::UntilBodyReturns {
        queue_and_wake(release_now);
    }
}

/// Whether stderr has taken all text of the jobs that have been run.
pub(crate) fn is_written() -> bool {
    console().rest().is_empty()
}

/// Waits until everything queued is written. Gives up when one line has taken `a_line`, as on a full pipe,
/// or when all lines together have taken `total`. Waits longer if the console's thread gets no CPU time: see
/// [`Queue::wait`].
pub(crate) fn flush(a_line: Duration, total: Duration) {
    if let Some(queue) = queue()
        && !(queue.is_idle() && is_written())
    {
        queue.wait(total, || console().writing_for() >= a_line);
    }
}

/// Writes all of `text`, and retries while a non-blocking stderr is full. Every process that shares
/// the terminal may have set that mode. Gives up when stderr is broken or takes nothing for a while.
pub(crate) fn write_all(to: &mut impl Write, mut text: &[u8]) {
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

    /// Takes one byte at a time, and before each one fails in every way that calls for a retry.
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
