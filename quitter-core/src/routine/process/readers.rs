//! The thread that reads the output of child processes, of all of them.

use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::process::{ChildStderr, ChildStdout};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::Waker;
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, unbounded};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::ioctl_fionbio;

use super::os::Wakeup;
use super::output::{Drain, Lines, Stream};
use crate::stands::own;

/// The readers, as the rest of the program sees them.
pub(super) struct Readers {
    thread: OnceLock<Thread>,
    starting: Mutex<()>,
}

struct Thread {
    pipes: Sender<Pipe>,
    wakeup: Arc<Wakeup>,
}

/// A pipe that is read.
struct Pipe {
    from: File,
    lines: Lines,
    drain: Arc<Drain>,
}

impl Readers {
    pub(super) const fn new() -> Self {
        Self {
            thread: OnceLock::new(),
            starting: Mutex::new(()),
        }
    }

    /// Reads these from now on.
    pub(super) fn read(
        &self,
        name: &str,
        stdout: Option<ChildStdout>,
        stderr: Option<ChildStderr>,
        reaper: Waker,
    ) -> io::Result<Arc<Drain>> {
        let thread = self.thread()?;
        let stdout = stdout.map(|from| (OwnedFd::from(from), Stream::Out));
        let stderr = stderr.map(|from| (OwnedFd::from(from), Stream::Err));
        let pipes: Vec<_> = stdout.into_iter().chain(stderr).collect();
        // Reading must not block. The other ends are not affected.
        pipes
            .iter()
            .try_for_each(|(from, _)| ioctl_fionbio(from, true))?;
        let readers = Waker::from(Arc::clone(&thread.wakeup));
        let drain = Drain::new(pipes.len(), readers.clone(), reaper);
        for (from, to) in pipes {
            // The thread never ends.
            let _ = thread.pipes.send(Pipe {
                from: from.into(),
                lines: Lines::new(name, to),
                drain: Arc::clone(&drain),
            });
        }
        readers.wake();
        Ok(drain)
    }

    fn thread(&self) -> io::Result<&Thread> {
        let _starting = self.starting.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(thread) = self.thread.get() {
            return Ok(thread);
        }
        let (pipes, queue) = unbounded();
        let wakeup = Arc::new(Wakeup::new()?);
        let theirs = Arc::clone(&wakeup);
        let thread = thread::Builder::new().name("quitter output".to_owned());
        thread.spawn(move || {
            let _own = own::mark_as_waking();
            run(&queue, &theirs);
        })?;
        Ok(self.thread.get_or_init(|| Thread { pipes, wakeup }))
    }
}

fn run(queue: &Receiver<Pipe>, wakeup: &Wakeup) {
    let mut pipes = Vec::new();
    loop {
        let mut is_ready = ready(wakeup, &pipes).into_iter();
        pipes.retain_mut(|pipe: &mut Pipe| {
            let is_ready = is_ready.next().unwrap_or_default();
            let goes_on = pipe.read(is_ready);
            if !goes_on {
                pipe.lines.end();
                pipe.drain.close();
            }
            goes_on
        });
        pipes.extend(queue.try_iter());
    }
}

/// Waits until something is to be read, or for the wakeup. Returns which pipes are ready.
fn ready(wakeup: &Wakeup, pipes: &[Pipe]) -> Vec<bool> {
    let mut files = vec![PollFd::new(wakeup, PollFlags::IN)];
    files.extend(
        pipes
            .iter()
            .map(|pipe| PollFd::from_borrowed_fd(pipe.from.as_fd(), PollFlags::IN)),
    );
    let polled = poll(&mut files, None);
    wakeup.clear();
    match polled {
        Ok(_) => {
            let ready = files[1..].iter().map(|file| !file.revents().is_empty());
            ready.collect()
        }
        // No memory, or a lower limit of descriptors: try each, and not all the time.
        Err(_) => {
            thread::sleep(Duration::from_millis(10));
            vec![true; pipes.len()]
        }
    }
}

impl Pipe {
    /// Reads on. Returns whether there may be more.
    fn read(&mut self, is_ready: bool) -> bool {
        /// More than fits into a pipe.
        const ALL: usize = 32;
        // Asked first: what is written before the end is found after this.
        let has_ended = self.drain.has_ended();
        let times = match (has_ended, is_ready) {
            (true, _) => ALL,
            (false, true) => 1,
            (false, false) => 0,
        };
        let mut read = vec![0; if times == 0 { 0 } else { 64 * 1024 }];
        for _ in 0..times {
            match self.from.read(&mut read) {
                Ok(0) => return false,
                Ok(count) => self.lines.write(&read[..count]),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return !has_ended,
                Err(_) => return false,
            }
        }
        !has_ended
    }
}
