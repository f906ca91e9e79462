//! The thread that waits for all child processes.
//!
//! Each event of a process wakes the thread with the key of that process, and the thread handles only that
//! process. So the work grows with the number of events, not with the number of processes.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, unbounded};
use once_cell::sync::OnceCell;

use super::orphans::Orphans;
use super::os::{Leader, Readers, Sleeper};
use super::proc::Census;
use super::supervised::{Next, Supervised};
use crate::stands::own;
use crate::threads;
use crate::tree;

/// How soon to retry reaping a process that another thread is signalling.
pub(super) const SOON: Duration = Duration::from_millis(1);

/// How soon to check again on a process whose end was reported, but that cannot be reaped: a debugger or
/// tracer outside this process comes first, and nothing reports when it is done.
const TRACED: Duration = Duration::from_millis(20);

/// A handle to the reaper. There is one per program, and its thread is started with the first child
/// process.
pub(crate) struct Reaper {
    thread: OnceCell<ReaperThread>,
    pub(super) readers: Readers,
}

#[derive(Clone)]
pub(super) struct ReaperThread {
    requests: Sender<Request>,
    sleeper: Arc<Sleeper>,
}

enum Request {
    Watch(Arc<ProcessWaker>, Watched),
    /// Something has happened to the process with this key.
    Step(u64),
    ReapOrphans,
}

pub(super) enum Watched {
    Supervised(Box<Supervised>),
    /// The process was killed, and only has to be reaped.
    Killed(Leader),
}

/// Which processes may have ended while the thread slept.
pub(super) enum Ended {
    #[cfg_attr(not(unix), allow(dead_code, reason = "that is not told"))]
    Keys(Vec<u64>),
    Any,
}

impl Reaper {
    pub(crate) const fn new() -> Self {
        Self {
            thread: OnceCell::new(),
            readers: Readers::new(),
        }
    }

    /// The thread, which this starts if there is none.
    pub(super) fn thread(&self) -> io::Result<&ReaperThread> {
        self.thread.get_or_try_init(ReaperThread::start)
    }

    /// Starts reaping orphans.
    pub(crate) fn reap_orphans(&self) -> io::Result<()> {
        self.thread()?.ask(Request::ReapOrphans);
        Ok(())
    }
}

impl ReaperThread {
    fn start() -> io::Result<Self> {
        let (requests, queue) = unbounded();
        let sleeper = Arc::new(Sleeper::new()?);
        let reaping = Reaping {
            queue,
            sleeper: Arc::clone(&sleeper),
            watched: HashMap::new(),
            due: BTreeSet::new(),
            census: Census::default(),
            orphans: None,
        };
        threads::start("quitter reaper", move || {
            let _own = own::mark_as_waking();
            crate::trace::this_thread_never_waits();
            tree::call_no_wakers();
            reaping.run();
        })?;
        Ok(Self { requests, sleeper })
    }

    /// A waker for a process that is to be [watched](Self::watch).
    pub(super) fn waker(&self) -> Arc<ProcessWaker> {
        static LAST: AtomicU64 = AtomicU64::new(0);
        Arc::new(ProcessWaker {
            key: LAST.fetch_add(1, Ordering::Relaxed) + 1,
            reaper: self.clone(),
        })
    }

    pub(super) fn watch(&self, waker: Arc<ProcessWaker>, process: Watched) {
        self.ask(Request::Watch(waker, process));
    }

    fn ask(&self, request: Request) {
        // The thread never ends.
        let _ = self.requests.send(request);
        self.sleeper.wake();
    }
}

/// Wakes the reaper to handle one process.
pub(super) struct ProcessWaker {
    key: u64,
    reaper: ReaperThread,
}

impl ProcessWaker {
    #[cfg_attr(not(unix), allow(dead_code, reason = "all are looked at"))]
    pub(super) fn key(&self) -> u64 {
        self.key
    }

    #[cfg_attr(not(unix), allow(dead_code, reason = "all are looked at"))]
    pub(super) fn sleeper(&self) -> &Sleeper {
        &self.reaper.sleeper
    }
}

impl Wake for ProcessWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.reaper.ask(Request::Step(self.key));
    }
}

impl Watched {
    fn leader(&mut self) -> &mut Leader {
        match self {
            Self::Supervised(supervised) => supervised.leader(),
            Self::Killed(leader) => leader,
        }
    }

    fn pid(&self) -> u32 {
        match self {
            Self::Supervised(supervised) => supervised.pid(),
            Self::Killed(leader) => leader.pid(),
        }
    }

    fn step(&mut self, cx: &mut Context<'_>, census: &mut Census) -> Next {
        match self {
            Self::Supervised(supervised) => supervised.step(cx, census),
            Self::Killed(leader) if !leader.has_ended() => Next::At(None),
            Self::Killed(leader) => match leader.reap() {
                Poll::Ready(_) => Next::Done,
                Poll::Pending => Next::At(Some(Instant::now() + SOON)),
            },
        }
    }
}

struct Entry {
    process: Watched,
    waker: Waker,
    /// When its next step is due.
    due: Option<Instant>,
    /// The system has reported its end, which it does once.
    is_told: bool,
}

/// The state of the thread.
struct Reaping {
    queue: Receiver<Request>,
    sleeper: Arc<Sleeper>,
    watched: HashMap<u64, Entry>,
    /// When the next steps are due, and of which processes.
    due: BTreeSet<(Instant, u64)>,
    census: Census,
    orphans: Option<Orphans>,
}

impl Reaping {
    fn run(mut self) {
        loop {
            while let Ok(request) = self.queue.try_recv() {
                self.handle(request);
            }
            self.step_those_due();
            let orphans = self.look_for_orphans();
            let next = self.due.first().map(|(at, _)| *at);
            let until = next.into_iter().chain(orphans).min();
            match self.sleeper.sleep(until, self.watched.len()) {
                Ended::Keys(keys) => keys.into_iter().for_each(|key| self.is_told(key)),
                Ended::Any => {
                    let keys: Vec<_> = self.watched.keys().copied().collect();
                    keys.into_iter().for_each(|key| self.look(key));
                }
            }
        }
    }

    fn handle(&mut self, request: Request) {
        match request {
            Request::Watch(waker, mut process) => {
                let key = waker.key;
                // Its end may have been reported before it was watched.
                let is_told = process.leader().is_told();
                let entry = Entry {
                    process,
                    waker: waker.into(),
                    due: None,
                    is_told,
                };
                self.watched.insert(key, entry);
                self.look(key);
            }
            Request::Step(key) => self.step(key),
            Request::ReapOrphans => self.orphans = Some(Orphans::new()),
        }
    }

    /// Checks whether a process has ended, and takes its next step.
    fn look(&mut self, key: u64) {
        if let Some(watched) = self.watched.get_mut(&key) {
            let leader = watched.process.leader();
            if !leader.has_ended() {
                leader.look();
            }
            self.step(key);
        }
    }

    /// Handles the system's report that a process has ended.
    fn is_told(&mut self, key: u64) {
        if let Some(watched) = self.watched.get_mut(&key) {
            watched.is_told = true;
            self.step(key);
        }
    }

    /// Drives a process as far as it goes without waiting.
    fn step(&mut self, key: u64) {
        let Some(watched) = self.watched.get_mut(&key) else {
            return;
        };
        let leader = watched.process.leader();
        if watched.is_told && !leader.has_ended() {
            leader.look();
        }
        let is_traced = watched.is_told && !leader.has_ended();
        let again = is_traced.then(|| Instant::now() + TRACED);
        if let Some(at) = watched.due.take() {
            self.due.remove(&(at, key));
        }
        let mut cx = Context::from_waker(&watched.waker);
        match watched.process.step(&mut cx, &mut self.census) {
            Next::Done => drop(self.watched.remove(&key)),
            Next::At(at) => {
                let at = at.into_iter().chain(again).min();
                watched.due = at;
                self.due.extend(at.map(|at| (at, key)));
            }
        }
    }

    fn step_those_due(&mut self) {
        let now = Instant::now();
        // Collected beforehand: a step that is due again at once must not starve other work.
        let due: Vec<_> = self.due.range(..=(now, u64::MAX)).copied().collect();
        due.into_iter().for_each(|(_, key)| self.step(key));
    }

    /// Returns when to look again.
    fn look_for_orphans(&mut self) -> Option<Instant> {
        let watched = &self.watched;
        let own = || watched.values().map(|watched| watched.process.pid());
        let orphans = self.orphans.as_mut()?;
        Some(orphans.step(|| own().collect::<HashSet<_>>()))
    }
}
