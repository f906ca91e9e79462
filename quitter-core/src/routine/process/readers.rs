//! The thread that reads the output of all child processes.
//!
//! The thread visits only pipes that are readable, and those of processes that have ended. So the work
//! grows with the amount of output, not with the number of processes.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::ops::Range;
use std::os::fd::OwnedFd;
use std::process::{ChildStderr, ChildStdout};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Wake, Waker};

use crossbeam_channel::{Receiver, Sender, unbounded};
use once_cell::sync::OnceCell;
use rustix::io::ioctl_fionbio;

use super::os::Wakeup;
use super::output::{Drain, Lines, Stream};
use super::poll_set::PollSet;
use crate::stands::own;
use crate::threads;

/// A handle to the thread, which is started when it is first needed.
pub(super) struct Readers(OnceCell<Thread>);

struct Thread {
    requests: Sender<Request>,
    set: Arc<PollSet>,
    wakeup: Arc<Wakeup>,
}

enum Request {
    /// Read this pipe, which is reported as readable under this key.
    Read(u64, Pipe),
    /// The process that writes to the pipes with these keys has ended.
    Ended(Range<u64>),
}

struct Pipe {
    from: Arc<File>,
    lines: Lines,
    drain: Arc<Drain>,
}

/// Wakes the thread to read what an ended process left in its pipes.
struct Ended {
    keys: Range<u64>,
    requests: Sender<Request>,
    wakeup: Arc<Wakeup>,
}

impl Wake for Ended {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // The thread never ends.
        let _ = self.requests.send(Request::Ended(self.keys.clone()));
        self.wakeup.wake_by_ref();
    }
}

impl Readers {
    pub(super) const fn new() -> Self {
        Self(OnceCell::new())
    }

    /// Starts reading these pipes.
    pub(super) fn read(
        &self,
        name: &str,
        stdout: Option<ChildStdout>,
        stderr: Option<ChildStderr>,
        reaper: Waker,
    ) -> io::Result<Arc<Drain>> {
        let thread = self.0.get_or_try_init(Thread::start)?;
        let stdout = stdout.map(|from| (OwnedFd::from(from), Stream::Out));
        let stderr = stderr.map(|from| (OwnedFd::from(from), Stream::Err));
        let pipes: Vec<_> = stdout.into_iter().chain(stderr).collect();
        // Reading must not block. The write ends are not affected.
        pipes
            .iter()
            .try_for_each(|(from, _)| ioctl_fionbio(from, true))?;
        let keys = new_keys(pipes.len());
        let drain = Drain::new(pipes.len(), thread.ended(keys.clone()), reaper);
        for (key, (from, to)) in keys.zip(pipes) {
            let from = Arc::new(File::from(from));
            let pipe = Pipe {
                from: Arc::clone(&from),
                lines: Lines::new(name, to),
                drain: Arc::clone(&drain),
            };
            // Sent first, so that the thread has the pipe when it becomes readable. The thread never ends.
            let _ = thread.requests.send(Request::Read(key, pipe));
            if let Err(error) = thread.set.add(&from, key) {
                drain.end();
                return Err(error);
            }
        }
        Ok(drain)
    }
}

impl Thread {
    fn start() -> io::Result<Self> {
        let (requests, queue) = unbounded();
        let wakeup = Arc::new(Wakeup::new()?);
        let set = Arc::new(PollSet::new(Arc::clone(&wakeup))?);
        let theirs = Arc::clone(&set);
        threads::start("quitter output", move || {
            let _own = own::mark_as_waking();
            run(&queue, &theirs);
        })?;
        Ok(Self {
            requests,
            set,
            wakeup,
        })
    }

    fn ended(&self, keys: Range<u64>) -> Waker {
        Waker::from(Arc::new(Ended {
            keys,
            requests: self.requests.clone(),
            wakeup: Arc::clone(&self.wakeup),
        }))
    }
}

fn new_keys(count: usize) -> Range<u64> {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let count = count as u64;
    let first = NEXT.fetch_add(count, Ordering::Relaxed);
    first..first + count
}

fn run(queue: &Receiver<Request>, set: &PollSet) {
    /// The capacity of a pipe, unless it was enlarged.
    const ROOM: usize = 64 * 1024;
    let mut pipes = HashMap::new();
    let mut room = vec![0; ROOM];
    loop {
        let mut ready = set.wait();
        for request in queue.try_iter() {
            match request {
                Request::Read(key, pipe) => drop(pipes.insert(key, pipe)),
                Request::Ended(keys) => ready.extend(keys),
            }
        }
        for key in ready {
            let goes_on = |pipe: &mut Pipe| pipe.read(&mut room);
            if pipes.get_mut(&key).is_none_or(goes_on) {
                continue;
            }
            if let Some(mut pipe) = pipes.remove(&key) {
                set.remove(&pipe.from, key);
                pipe.lines.end();
                pipe.drain.close();
            }
        }
    }
}

impl Pipe {
    /// Reads what there is. Returns whether there may be more.
    fn read(&mut self, room: &mut [u8]) -> bool {
        /// More reads than it takes to empty a pipe.
        const ALL: usize = 32;
        // Checked first: everything written before the end is found after this.
        let has_ended = self.drain.has_ended();
        let times = if has_ended { ALL } else { 1 };
        for _ in 0..times {
            match (&*self.from).read(room) {
                Ok(0) => return false,
                Ok(count) => {
                    let is_read = self.lines.write(&room[..count]);
                    if !is_read && self.drain.cut_off(self.lines.to()) {
                        return false;
                    }
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return !has_ended,
                Err(_) => return false,
            }
        }
        !has_ended
    }
}
