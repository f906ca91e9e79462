//! Flags that can be set and polled: what quitter and its peers have in common.
//!
//! Timed methods are `inline`, in this module and in [`made`](crate::made). Otherwise, calling the trait's
//! method would cost more than a poll.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use async_shutdown::ShutdownManager;
use crossbeam_channel::{Receiver, Sender, TryRecvError};
use quitter::{Quitter, RoutineGuard};
use tokio_util::sync::CancellationToken;

/// Can be told to quit, and asked whether it was told.
pub trait Flag: Sized + Send + Sync + 'static {
    /// Makes a flag that is not set.
    fn new() -> Self;
    /// Tells this flag and all flags below it to quit.
    fn tell(&self);
    /// Whether this flag was told to quit.
    fn is_told(&self) -> bool;
}

/// Has children, which are told to quit with it.
pub trait Tree: Flag {
    /// Makes a child.
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

/// The floor: a shared flag, and nothing else.
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

/// A quitter as its routine sees it: each poll records its place.
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

/// A flag behind a lock, as used with a condition variable.
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

/// A crossbeam channel that closes at the quit.
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
    /// Blocks until told to quit.
    pub fn wait(&self) {
        let _closed = self.told.recv();
    }
}

/// A tree whose polls walk up: a quit marks one node, and a poll checks every node above its own.
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
