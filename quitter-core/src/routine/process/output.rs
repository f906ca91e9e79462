//! The output of child processes, line by line, with the routine's name before each line.

use std::fmt;
use std::io::{self, ErrorKind, Write};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::Waker;
use std::time::{Duration, Instant};

use super::os;
use super::supervised::QUIT_FOLLOWS;
use crate::report::escape::Name;

/// Where the output of a child process goes. Set by
/// [`RoutineBuilder::output`](crate::RoutineBuilder::output).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ProcessOutput {
    /// The output goes where the command says: by default, where the program's own output goes; with
    /// [`Stdio::piped`](std::process::Stdio::piped), the [handle](crate::ProcessHandle) has the read ends.
    #[default]
    AsCommanded,
    /// Both streams are read line by line, and written to the program's stdout and stderr with the
    /// routine's name before each line: "web | listening on port 80". Lines of several processes do not
    /// mix, and are otherwise as the process wrote them, but for a carriage return at the end, which is left
    /// out; a line longer than 64 KiB is split.
    ///
    /// One thread does this for all processes. A stdout that takes nothing, as when a pager waits for a
    /// key, blocks that thread, and so the processes that write, but neither the quit nor the reports.
    /// Meanwhile, processes that have ended keep their two descriptors. The end of a process waits until what
    /// was written before it is read, for at most 200 ms; what other processes write to the pipes after the
    /// end is lost.
    ///
    /// Once nobody reads the program's stdout any more, as after `prog | head -2`, a process that keeps
    /// writing to its own stdout gets SIGPIPE, as it would without a prefix, or on Windows an error. The
    /// same goes for stderr. An end by SIGPIPE is a failure, unless
    /// [`failure_on`](crate::RoutineBuilder::failure_on) says otherwise: "signal: 13 (SIGPIPE), after the
    /// program's stdout was closed". The reader may have ended by the Ctrl-C that also tells the program to
    /// quit. So this begins 100 ms later, and after the stop signal, output that nobody reads is discarded:
    /// the process can finish.
    Prefixed,
}

/// One of the program's own streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stream {
    Out,
    Err,
}

impl fmt::Display for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Out => "stdout",
            Self::Err => "stderr",
        })
    }
}

/// Turns the output of a process into prefixed lines.
pub(super) struct Lines {
    prefix: String,
    to: Stream,
    /// The beginning of a line that is not complete.
    begun: Vec<u8>,
    /// When a write first failed because nobody reads the stream any more.
    unread_since: Option<Instant>,
}

impl Lines {
    /// Longer lines are split.
    const LONGEST: usize = 64 * 1024;

    pub(super) fn new(name: &str, to: Stream) -> Self {
        Self {
            prefix: format!("{} | ", Name(name)),
            to,
            begun: Vec::new(),
            unread_since: None,
        }
    }

    pub(super) fn to(&self) -> Stream {
        self.to
    }

    /// Writes all lines that are complete by now. Returns whether it is worth reading more.
    pub(super) fn write(&mut self, read: &[u8]) -> bool {
        let whole = self.whole(read);
        if whole.is_empty() {
            return true;
        }
        match self.put(&whole) {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => {
                let since = self.unread_since.get_or_insert_with(Instant::now);
                since.elapsed() < QUIT_FOLLOWS
            }
            // Nothing can be done about other errors, which may pass, such as that of a full disk.
            _ => {
                self.unread_since = None;
                true
            }
        }
    }

    /// Writes a last line that has no newline.
    pub(super) fn end(&mut self) {
        if !self.begun.is_empty() {
            self.write(b"\n");
        }
    }

    /// The prefixed lines that are complete by now.
    fn whole(&mut self, read: &[u8]) -> Vec<u8> {
        let mut lines = Vec::new();
        for piece in read.split_inclusive(|byte| *byte == b'\n') {
            let (text, is_whole) = match piece.strip_suffix(b"\n") {
                Some(text) => (text, true),
                None => (piece, false),
            };
            self.begun.extend_from_slice(text);
            if is_whole && self.begun.ends_with(b"\r") {
                self.begun.pop();
            }
            // A carriage return may belong to the end of the line.
            while self.begun.strip_suffix(b"\r").unwrap_or(&self.begun).len() > Self::LONGEST {
                let rest = self.begun.split_off(broken_at(&self.begun, Self::LONGEST));
                self.push_line(&mut lines);
                self.begun = rest;
            }
            if is_whole {
                self.push_line(&mut lines);
            }
        }
        lines
    }

    fn push_line(&mut self, lines: &mut Vec<u8>) {
        lines.extend_from_slice(self.prefix.as_bytes());
        lines.append(&mut self.begun);
        lines.push(b'\n');
    }

    fn put(&self, mut text: &[u8]) -> io::Result<()> {
        while !text.is_empty() {
            let (piece, rest) = text.split_at(piece(text, os::WRITTEN_AT_ONCE));
            match self.to {
                Stream::Out => put_piece(self.to, || io::stdout().lock(), piece)?,
                Stream::Err => put_piece(self.to, || io::stderr().lock(), piece)?,
            }
            text = rest;
        }
        Ok(())
    }
}

/// Where to split a text that is longer than `longest`: not inside a character, if it is UTF-8.
fn broken_at(text: &[u8], longest: usize) -> usize {
    const LONGEST_CHARACTER: usize = 4;
    let is_inside = |at: usize| text[at] & 0b1100_0000 == 0b1000_0000;
    let mut before = (0..=longest).rev().take(LONGEST_CHARACTER);
    before.find(|at| !is_inside(*at)).unwrap_or(longest)
}

/// The length of as many lines as fit into `room`, or of the first line.
fn piece(lines: &[u8], room: usize) -> usize {
    let end = |byte: &u8| *byte == b'\n';
    let fitting = &lines[..lines.len().min(room)];
    let last = fitting.iter().rposition(end);
    let last = last.or_else(|| lines.iter().position(end));
    last.map_or(lines.len(), |last| last + 1)
}

/// Writes lines that the stream takes in one piece. Waits for the stream without holding its lock: so a
/// thread of the program that prints blocks in its own write, as reports then say, and not on the lock.
fn put_piece<W: Write>(to: Stream, lock: impl Fn() -> W, lines: &[u8]) -> io::Result<()> {
    loop {
        let mut locked = lock();
        if os::takes_text(to, Some(Duration::ZERO)) {
            return write_all(to, &mut locked, lines);
        }
        drop(locked);
        os::takes_text(to, None);
    }
}

/// Writes the whole text, even to a non-blocking descriptor that is full.
fn write_all(to: Stream, locked: &mut impl Write, mut text: &[u8]) -> io::Result<()> {
    loop {
        let written = match text {
            [] => match locked.flush() {
                Ok(()) => return Ok(()),
                Err(error) => Err(error),
            },
            _ => locked.write(text),
        };
        match written {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(count) => text = &text[count..],
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                os::takes_text(to, None);
            }
            Err(error) => return Err(error),
        }
    }
}

/// Shared by the reaper and the readers of one process's output.
pub(super) struct Drain {
    /// How many pipes are still being read.
    open: AtomicUsize,
    /// The process has ended: only what is in the pipes by now is read.
    has_ended: AtomicBool,
    /// The process was asked to stop: its output is read to the end, even if nobody reads the program's.
    is_stopping: AtomicBool,
    /// The program's stream that nobody reads any more, so that a pipe was closed.
    cut_off: OnceLock<Stream>,
    readers: Waker,
    reaper: Waker,
}

impl Drain {
    /// How long the end of a process waits for its output.
    pub(super) const AT_MOST: Duration = Duration::from_millis(200);

    pub(super) fn new(pipes: usize, readers: Waker, reaper: Waker) -> Arc<Self> {
        Arc::new(Self {
            open: AtomicUsize::new(pipes),
            has_ended: AtomicBool::new(false),
            is_stopping: AtomicBool::new(false),
            cut_off: OnceLock::new(),
            readers,
            reaper,
        })
    }

    /// Whether everything was read. For the reaper, once the process has ended.
    pub(super) fn is_done(&self) -> bool {
        if self.open.load(Ordering::Acquire) > 0 {
            self.end();
        }
        self.open.load(Ordering::Acquire) == 0
    }

    /// Tells the readers to read only what is in the pipes by now.
    pub(super) fn end(&self) {
        if !self.has_ended.swap(true, Ordering::AcqRel) {
            self.readers.wake_by_ref();
        }
    }

    /// To be called before the process is asked to stop.
    pub(super) fn stop(&self) {
        self.is_stopping.store(true, Ordering::Release);
    }

    /// Notes that nobody reads this stream of the program any more. Returns whether to let the process
    /// know.
    pub(super) fn cut_off(&self, stream: Stream) -> bool {
        let is_stopping = self.is_stopping.load(Ordering::Acquire);
        if !is_stopping {
            let _ = self.cut_off.set(stream);
        }
        !is_stopping
    }

    /// The program's stream that nobody reads any more, if the process may have noticed.
    pub(super) fn unread(&self) -> Option<Stream> {
        self.cut_off.get().copied()
    }

    #[cfg_attr(
        not(unix),
        allow(dead_code, reason = "a thread for each pipe reads to the end")
    )]
    pub(super) fn has_ended(&self) -> bool {
        self.has_ended.load(Ordering::Acquire)
    }

    /// To be called when a pipe is no longer read.
    pub(super) fn close(&self) {
        if self.open.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.reaper.wake_by_ref();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(lines: &mut Lines, read: &[u8]) -> String {
        String::from_utf8(lines.whole(read)).unwrap()
    }

    #[test]
    fn each_line_gets_the_prefix_once_it_is_whole() {
        let mut lines = Lines::new("web\n", Stream::Out);
        assert_eq!(text(&mut lines, b"one\r\ntw"), "web\\n | one\n");
        assert_eq!(text(&mut lines, b""), "");
        assert_eq!(text(&mut lines, b"o\n\nthree"), "web\\n | two\nweb\\n | \n");
        assert_eq!(text(&mut lines, b"\n"), "web\\n | three\n");
    }

    #[test]
    fn pieces_are_of_whole_lines() {
        assert_eq!(piece(b"one\ntwo\nthree\n", 9), 8);
        assert_eq!(piece(b"one\ntwo\n", 8), 8);
        assert_eq!(piece(b"longer\ntwo\n", 3), 7);
    }

    #[test]
    fn a_long_line_is_broken_alike_however_it_is_read_and_no_character_is_split() {
        let line = "x".to_owned() + &"é".repeat(Lines::LONGEST) + "\r\n";
        let of = |room: usize| {
            let mut lines = Lines::new("web", Stream::Out);
            let pieces = line.as_bytes().chunks(room);
            let texts = pieces.map(|piece| text(&mut lines, piece));
            texts.collect::<String>()
        };
        let at_once = of(line.len());
        let first = at_once.lines().next().unwrap();
        assert_eq!(first.len(), "web | ".len() + Lines::LONGEST - 1);
        let joined = at_once.replace("web | ", "").replace('\n', "");
        assert_eq!(joined, line.trim_end());
        for room in [1, 4096, Lines::LONGEST + 1] {
            assert_eq!(of(room), at_once);
        }
        let mut lines = Lines::new("web", Stream::Out);
        let longest = "x".repeat(Lines::LONGEST);
        assert_eq!(text(&mut lines, (longest.clone() + "\r").as_bytes()), "");
        assert_eq!(text(&mut lines, b"\n"), format!("web | {longest}\n"));
        let broken = lines.whole(&vec![0x80; Lines::LONGEST + 1]);
        assert_eq!(broken.len(), "web | \n".len() + Lines::LONGEST);
    }

    #[test]
    fn a_line_without_an_end_is_broken() {
        let mut lines = Lines::new("web", Stream::Out);
        let endless = vec![b'x'; 3 * Lines::LONGEST + 1];
        let text = text(&mut lines, &endless);
        assert_eq!(text.lines().count(), 3);
        assert_eq!(lines.begun, b"x");
        assert!(text.lines().all(|line| line.starts_with("web | xxx")));
    }
}
