//! The life of a connection in a server: a child of its own, polled a few times, quit and dropped.

use std::hint::black_box;
use std::pin::pin;
use std::task::{Context, Waker};

use quitter::Quitter;
use tokio_util::sync::CancellationToken;

use crate::flags::Tree;

/// How often a connection polls in its life.
const POLLS: usize = 20;

/// A tree that lets threads and tasks wait for the quit beside other events.
pub trait Selects: Tree {
    /// Gets the channel that a thread's `select!` needs, and holds it while `f` runs.
    fn while_selected(&self, f: impl FnOnce());

    /// Polls once the future that async code awaits, and holds it while `f` runs.
    fn while_awaited(&self, f: impl FnOnce());
}

impl Selects for Quitter {
    #[inline]
    fn while_selected(&self, f: impl FnOnce()) {
        let closed = black_box(self.quit_chan());
        f();
        black_box(closed);
    }

    #[inline]
    fn while_awaited(&self, f: impl FnOnce()) {
        poll_once(self.quitting(), f);
    }
}

impl Selects for CancellationToken {
    #[inline]
    fn while_selected(&self, f: impl FnOnce()) {
        poll_once(self.cancelled(), f);
    }

    #[inline]
    fn while_awaited(&self, f: impl FnOnce()) {
        poll_once(self.cancelled(), f);
    }
}

#[inline]
fn poll_once(future: impl Future<Output = ()>, f: impl FnOnce()) {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    _ = black_box(future.as_mut().poll(&mut context));
    f();
}

/// A connection that only polls.
#[inline]
pub fn polled<T: Tree>(server: &T) {
    live(&server.child());
}

/// A connection that also awaits the quit.
#[inline]
pub fn awaited<T: Selects>(server: &T) {
    let connection = server.child();
    connection.while_awaited(|| live(&connection));
}

/// A connection that also waits for the quit beside other events.
#[inline]
pub fn selected<T: Selects>(server: &T) {
    let connection = server.child();
    connection.while_selected(|| live(&connection));
}

#[inline]
fn live<T: Tree>(connection: &T) {
    for _ in 0..POLLS {
        _ = black_box(connection.is_told());
    }
    connection.tell();
}
