//! Threads that block until they are told to quit: how they block, how they are told, and how the end
//! of the last one is noticed.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use async_shutdown::ShutdownManager;
use crossbeam_utils::sync::WaitGroup;
use event_listener::{Event, Listener};
use quitter::Quitter;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::flags::{Channel, Flag};

/// Blocks threads until they are told to quit.
pub trait Blocks: Send + Sync + 'static {
    /// Makes a value that was not told to quit.
    fn new() -> Self;
    /// Blocks until told to quit.
    fn wait(&self);
    /// Wakes every thread that waits.
    fn tell(&self);
}

/// The mutex and condition variable of std.
pub type StdCondvar = (Mutex<bool>, Condvar);

impl Blocks for StdCondvar {
    fn new() -> Self {
        Self::default()
    }
    fn wait(&self) {
        let told = self.0.lock().unwrap();
        drop(self.1.wait_while(told, |told| !*told).unwrap());
    }
    fn tell(&self) {
        *self.0.lock().unwrap() = true;
        self.1.notify_all();
    }
}

/// The mutex and condition variable of parking_lot.
pub type ParkingLot = (parking_lot::Mutex<bool>, parking_lot::Condvar);

impl Blocks for ParkingLot {
    fn new() -> Self {
        Self::default()
    }
    fn wait(&self) {
        let mut told = self.0.lock();
        self.1.wait_while(&mut told, |told| !*told);
    }
    fn tell(&self) {
        *self.0.lock() = true;
        self.1.notify_all();
    }
}

impl Blocks for Channel {
    fn new() -> Self {
        Flag::new()
    }
    fn wait(&self) {
        Self::wait(self);
    }
    fn tell(&self) {
        Flag::tell(self);
    }
}

/// A flag and an event of event-listener, used as in its first example.
#[derive(Default)]
pub struct FlagAndEvent {
    told: AtomicBool,
    event: Event,
}

impl Blocks for FlagAndEvent {
    fn new() -> Self {
        Self::default()
    }
    fn wait(&self) {
        while !self.told.load(Ordering::SeqCst) {
            event_listener::listener!(self.event => listener);
            if self.told.load(Ordering::SeqCst) {
                break;
            }
            listener.wait();
        }
    }
    fn tell(&self) {
        self.told.store(true, Ordering::SeqCst);
        self.event.notify(usize::MAX);
    }
}

impl Blocks for ShutdownManager<()> {
    fn new() -> Self {
        Self::new()
    }
    fn wait(&self) {
        pollster::block_on(self.wait_shutdown_triggered());
    }
    fn tell(&self) {
        Flag::tell(self);
    }
}

/// Starts threads that block, tells them to quit, and waits until they have ended.
pub trait Crew {
    /// Makes a crew without threads.
    fn new() -> Self;
    /// Starts a thread that calls `body` with the function that blocks.
    fn fork(&mut self, body: impl FnOnce(&dyn Fn()) + Send + 'static);
    /// Tells all threads to quit.
    fn tell(&self);
    /// Blocks until all threads have ended.
    fn wait(self);
}

/// Routines of a quitter.
impl Crew for Quitter {
    fn new() -> Self {
        Flag::new()
    }
    fn fork(&mut self, body: impl FnOnce(&dyn Fn()) + Send + 'static) {
        self.add_routine(move |q| body(&|| q.wait_quit()))
            .expect("a thread");
    }
    fn tell(&self) {
        self.send_quit();
    }
    fn wait(self) {
        self.wait_done(Duration::MAX).expect("no limit");
    }
}

/// Threads that are counted by a wait group instead of joined: the fastest way by hand.
pub struct Counted<B> {
    told: Arc<B>,
    group: WaitGroup,
}

impl<B: Blocks> Crew for Counted<B> {
    fn new() -> Self {
        let told = Arc::new(B::new());
        let group = WaitGroup::new();
        Self { told, group }
    }
    fn fork(&mut self, body: impl FnOnce(&dyn Fn()) + Send + 'static) {
        let told = Arc::clone(&self.told);
        let group = self.group.clone();
        thread::spawn(move || {
            body(&|| told.wait());
            drop(group);
        });
    }
    fn tell(&self) {
        self.told.tell();
    }
    fn wait(self) {
        self.group.wait();
    }
}

/// Threads that are joined.
pub struct Joined<B> {
    told: Arc<B>,
    threads: Vec<JoinHandle<()>>,
}

impl<B: Blocks> Crew for Joined<B> {
    fn new() -> Self {
        let told = Arc::new(B::new());
        let threads = Vec::new();
        Self { told, threads }
    }
    fn fork(&mut self, body: impl FnOnce(&dyn Fn()) + Send + 'static) {
        let told = Arc::clone(&self.told);
        let thread = thread::spawn(move || body(&|| told.wait()));
        self.threads.push(thread);
    }
    fn tell(&self) {
        self.told.tell();
    }
    fn wait(self) {
        for thread in self.threads {
            thread.join().expect("it does not panic");
        }
    }
}

/// The token and the tracker of tokio-util, on threads: the tracker counts its tokens.
#[derive(Default)]
pub struct TokioUtil {
    pub(crate) token: CancellationToken,
    pub(crate) tracker: TaskTracker,
}

impl Crew for TokioUtil {
    fn new() -> Self {
        Self::default()
    }
    fn fork(&mut self, body: impl FnOnce(&dyn Fn()) + Send + 'static) {
        let token = self.token.clone();
        let tracked = self.tracker.token();
        thread::spawn(move || {
            body(&|| pollster::block_on(token.cancelled()));
            drop(tracked);
        });
    }
    fn tell(&self) {
        self.token.cancel();
    }
    fn wait(self) {
        self.tracker.close();
        pollster::block_on(self.tracker.wait());
    }
}
