//! The thread that waits for all child processes.

use std::io;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::{Context, Waker};
use std::thread;
use std::time::Instant;

use crossbeam_channel::{Receiver, Sender, unbounded};

use super::orphans::Orphans;
use super::os::{self, Leader, Readers, Wakeup, wake};
use super::proc::Census;
use super::supervised::{Next, Supervised};

/// The reaper, as the rest of the program sees it. There is one for the process, and its thread is
/// started when the first process is.
pub(crate) struct Reaper {
    thread: OnceLock<ReaperThread>,
    starting: Mutex<()>,
    pub(super) readers: Readers,
}

/// A way to the reaper's thread.
pub(super) struct ReaperThread {
    requests: Sender<Request>,
    wakeup: Arc<Wakeup>,
}

/// A process for the reaper.
enum Request {
    Supervise(Box<Supervised>),
    /// Was killed, and is only to be reaped.
    Reap(Leader),
    ReapOrphans,
}

impl Reaper {
    pub(crate) const fn new() -> Self {
        Self {
            thread: OnceLock::new(),
            starting: Mutex::new(()),
            readers: Readers::new(),
        }
    }

    /// The thread, which is started if there is none.
    pub(super) fn thread(&self) -> io::Result<&ReaperThread> {
        if let Some(thread) = self.thread.get() {
            return Ok(thread);
        }
        let _starting = self.starting.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(thread) = self.thread.get() {
            return Ok(thread);
        }
        let (requests, queue) = unbounded();
        let wakeup = Arc::new(Wakeup::new()?);
        let reaping = Reaping {
            queue,
            wakeup: Arc::clone(&wakeup),
            supervised: Vec::new(),
            killed: Vec::new(),
            census: Census::default(),
            orphans: None,
        };
        let thread = thread::Builder::new().name("quitter reaper".to_owned());
        thread.spawn(move || {
            crate::trace::this_thread_never_waits();
            reaping.run();
        })?;
        Ok(self
            .thread
            .get_or_init(|| ReaperThread { requests, wakeup }))
    }

    /// Reaps orphans from now on.
    pub(crate) fn reap_orphans(&self) -> io::Result<()> {
        self.thread()?.ask(Request::ReapOrphans);
        Ok(())
    }
}

impl ReaperThread {
    pub(super) fn wakeup(&self) -> &Arc<Wakeup> {
        &self.wakeup
    }

    pub(super) fn supervise(&self, supervised: Supervised) {
        self.ask(Request::Supervise(Box::new(supervised)));
    }

    /// Takes a process that was killed.
    pub(super) fn reap(&self, killed: Leader) {
        self.ask(Request::Reap(killed));
    }

    fn ask(&self, request: Request) {
        // The thread never ends.
        let _ = self.requests.send(request);
        wake(&self.wakeup);
    }
}

/// What the thread has.
struct Reaping {
    queue: Receiver<Request>,
    wakeup: Arc<Wakeup>,
    supervised: Vec<Supervised>,
    killed: Vec<Leader>,
    census: Census,
    orphans: Option<Orphans>,
}

impl Reaping {
    fn run(mut self) {
        let waker = Waker::from(Arc::clone(&self.wakeup));
        let mut cx = Context::from_waker(&waker);
        loop {
            for request in self.queue.try_iter() {
                match request {
                    Request::Supervise(supervised) => self.supervised.push(*supervised),
                    Request::Reap(leader) => self.killed.push(leader),
                    Request::ReapOrphans => self.orphans = Some(Orphans::new()),
                }
            }
            let until = self.step(&mut cx);
            let supervised = self.supervised.iter_mut();
            let leaders = supervised.map(|supervised| supervised.leader());
            os::sleep(&self.wakeup, leaders.chain(&mut self.killed), until);
        }
    }

    /// Goes on with each process. Returns when the next step is due.
    fn step(&mut self, cx: &mut Context<'_>) -> Option<Instant> {
        let mut next = None;
        let census = &mut self.census;
        self.supervised
            .retain_mut(|supervised| match supervised.step(cx, census) {
                Next::Done => false,
                Next::At(at) => {
                    next = next.into_iter().chain(at).min();
                    true
                }
            });
        self.killed
            .retain_mut(|leader| !leader.has_ended() || leader.reap().is_none());
        let orphans = self.orphans.as_mut().map(|orphans| {
            orphans.step(|pid| {
                let mut killed = self.killed.iter();
                let mut supervised = self.supervised.iter();
                supervised.any(|supervised| supervised.pid() == pid)
                    || killed.any(|leader| leader.pid() == pid)
            })
        });
        next.into_iter().chain(orphans).min()
    }
}
