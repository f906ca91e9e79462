//! What can be told to quit, and asked whether it was: the part that ours and the peers share.
//!
//! What is timed is `inline`, here and in [`made`](crate::made): else the call of the trait's method
//! would cost more than a poll.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use async_shutdown::ShutdownManager;
use crossbeam_channel::{Receiver, Sender, TryRecvError};
use quitter::{Quitter, RoutineGuard};
use tokio_util::sync::CancellationToken;

/// Can be told to quit, and asked whether it was.
pub trait Flag: Sized + Send + Sync + 'static {
    /// One that was not told.
    fn new() -> Self;
    /// Tells it, and all below it.
    fn tell(&self);
    /// Asks it.
    fn is_told(&self) -> bool;
}

/// Has children, which are told when it is.
pub trait Tree: Flag {
    /// A new child.
    fn child(&self) -> Self;
}

impl Flag for Quitter {
    fn new() -> Self {
        Self::root("root")
    }
    fn tell(&self) {
        self.send_quit();
    }
    #[inline]
    fn is_told(&self) -> bool {
        self.has_to_quit()
    }
}

impl Tree for Quitter {
    #[inline]
    fn child(&self) -> Self {
        Self::child(self, "child").expect("not quitting")
    }
}

impl Flag for CancellationToken {
    fn new() -> Self {
        Self::new()
    }
    fn tell(&self) {
        self.cancel();
    }
    #[inline]
    fn is_told(&self) -> bool {
        self.is_cancelled()
    }
}

impl Tree for CancellationToken {
    #[inline]
    fn child(&self) -> Self {
        self.child_token()
    }
}

/// What the machine allows: a shared flag, and nothing else.
impl Flag for Arc<AtomicBool> {
    fn new() -> Self {
        Self::default()
    }
    fn tell(&self) {
        self.store(true, Ordering::Release);
    }
    #[inline]
    fn is_told(&self) -> bool {
        self.load(Ordering::Acquire)
    }
}

/// A quitter as its routine asks it: the place of each poll is stored.
pub struct Routine(RoutineGuard, Quitter);

impl Flag for Routine {
    fn new() -> Self {
        let quitter = Quitter::root("root");
        Self(quitter.guard("routine").expect("not quitting"), quitter)
    }
    fn tell(&self) {
        self.1.send_quit();
    }
    #[inline]
    fn is_told(&self) -> bool {
        self.0.has_to_quit()
    }
}

impl Flag for ShutdownManager<()> {
    fn new() -> Self {
        Self::new()
    }
    fn tell(&self) {
        self.trigger_shutdown(()).expect("told once");
    }
    #[inline]
    fn is_told(&self) -> bool {
        self.is_shutdown_triggered()
    }
}

/// A flag behind a lock, as it stands beside a condition variable.
impl Flag for Arc<Mutex<bool>> {
    fn new() -> Self {
        Self::default()
    }
    fn tell(&self) {
        *self.lock().unwrap() = true;
    }
    #[inline]
    fn is_told(&self) -> bool {
        *self.lock().unwrap()
    }
}

/// A crossbeam channel that is closed when it is told.
pub struct Channel {
    open: Mutex<Option<Sender<()>>>,
    told: Receiver<()>,
}

impl Flag for Channel {
    fn new() -> Self {
        let (open, told) = crossbeam_channel::bounded(0);
        let open = Mutex::new(Some(open));
        Self { open, told }
    }
    fn tell(&self) {
        self.open.lock().unwrap().take();
    }
    #[inline]
    fn is_told(&self) -> bool {
        self.told.try_recv() == Err(TryRecvError::Disconnected)
    }
}

impl Channel {
    /// Blocks until it is told.
    pub fn wait(&self) {
        let _closed = self.told.recv();
    }
}

/// A tree whose polls walk up: no child is told anything, it asks all above it.
pub struct WalksUp {
    told: AtomicBool,
    parent: Option<Arc<Self>>,
}

impl Flag for Arc<WalksUp> {
    fn new() -> Self {
        Self::new(WalksUp {
            told: AtomicBool::new(false),
            parent: None,
        })
    }
    fn tell(&self) {
        self.told.store(true, Ordering::Release);
    }
    #[inline]
    fn is_told(&self) -> bool {
        let mut above = Some(self);
        while let Some(node) = above {
            if node.told.load(Ordering::Acquire) {
                return true;
            }
            above = node.parent.as_ref();
        }
        false
    }
}

impl Tree for Arc<WalksUp> {
    #[inline]
    fn child(&self) -> Self {
        Self::new(WalksUp {
            told: AtomicBool::new(false),
            parent: Some(Self::clone(self)),
        })
    }
}
