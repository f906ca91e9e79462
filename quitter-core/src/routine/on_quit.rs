//! Calls a function when a quitter is told to quit.

use std::fmt;
use std::mem;
use std::panic::Location;
use std::sync::Arc;

use super::live::Live;
use super::quitter::RoutineQuitter;
use super::record::Place;
use crate::error::Quitting;
use crate::quitter::Quitter;
use crate::report::failure::FailureKind;
use crate::tree::{Calling, Hook, Node};

/// A function that is called when its quitter is told to quit. Made by
/// [`Quitter::on_quit`](crate::Quitter::on_quit).
///
/// Dropping this removes the function: it is not called, unless it already has been.
/// [`detach`](Self::detach) leaves it in place. Until it is dropped or detached, it keeps its quitter: the
/// function is called even if all handles of that quitter are dropped before the quit.
#[must_use = "dropping it removes the function; `detach` leaves it in place"]
pub struct OnQuit {
    /// `None`: the function was called at once, or was detached.
    hook: Option<(Arc<Node>, Arc<Hook>)>,
}

impl OnQuit {
    /// Leaves the function in place for as long as its quitter lives. If that is dropped before the quit, the
    /// function is not called.
    ///
    /// A function that holds a handle of its own quitter, or of one below, keeps that quitter in memory
    /// until the quit.
    ///
    /// # Examples
    ///
    /// ```
    /// # use quitter_core as quitter;
    /// let root = quitter::Quitter::root("main");
    /// let (quits, told) = std::sync::mpsc::channel();
    /// root.on_quit(move || quits.send(()).unwrap()).detach();
    /// root.send_quit();
    /// told.recv().unwrap();
    /// ```
    pub fn detach(mut self) {
        self.hook = None;
    }
}

impl Drop for OnQuit {
    fn drop(&mut self) {
        if let Some((node, hook)) = &self.hook {
            node.remove_hook(hook);
        }
    }
}

impl fmt::Debug for OnQuit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OnQuit").finish_non_exhaustive()
    }
}

impl Quitter {
    /// Calls `f` once when this quitter is told to quit. Use it to tell other code to end, such as a
    /// library with its own shutdown handle. If the quitter is quitting already, `f` is called on this
    /// thread before this returns, like any function: a panic goes on to the caller.
    ///
    /// `f` runs as a routine named `on_quit`, on its own thread, which is started at the quit: whatever `f`
    /// does, it does not delay the quit for others. Like any routine it is waited for and reported, and a
    /// panic is its failure, to which the program responds as the quitter's policy says. Until the quit it is
    /// not a routine, and no wait waits for it. If the system refuses the thread, that is the failure, and `f`
    /// is not called.
    ///
    /// Calls that the quit ends, such as [`sleep`](Self::sleep), may return before `f` has run. So to find
    /// out whether it was told to quit, a routine should ask [`has_to_quit`](Self::has_to_quit), not a flag
    /// that `f` sets.
    ///
    /// Dropping the returned [`OnQuit`] removes `f`. Keep it, or [`detach`](OnQuit::detach) it.
    ///
    /// # Examples
    ///
    /// ```
    /// # use quitter_core as quitter;
    /// use std::sync::Arc;
    /// use std::sync::atomic::{AtomicBool, Ordering};
    /// use std::time::Duration;
    ///
    /// let root = quitter::Quitter::root("main");
    /// let library = Arc::new(AtomicBool::new(true)); // Ends when this is false.
    /// let is_on = Arc::clone(&library);
    /// let _told = root.on_quit(move || is_on.store(false, Ordering::Release));
    ///
    /// root.quit_and_wait(Duration::from_secs(2)).unwrap();
    /// assert!(!library.load(Ordering::Acquire));
    /// ```
    #[track_caller]
    pub fn on_quit<F>(&self, f: F) -> OnQuit
    where
        F: FnOnce() + Send + 'static,
    {
        on_quit(self.node(), f, Location::caller())
    }
}

impl RoutineQuitter {
    /// Calls `f` once when the routine is told to quit, like [`Quitter::on_quit`]. The call is a routine
    /// beside this one, and remains in place when this one ends.
    #[track_caller]
    pub fn on_quit<F>(&self, f: F) -> OnQuit
    where
        F: FnOnce() + Send + 'static,
    {
        on_quit(self.record_call(), f, Location::caller())
    }
}

fn on_quit<F>(node: &Arc<Node>, f: F, at: Place) -> OnQuit
where
    F: FnOnce() + Send + 'static,
{
    let call = move |calling: Calling<'_>| match calling {
        Calling::Here => f(),
        Calling::Routine(node, record) => Live::of_listed(node, record).call(f),
        Calling::Refused(node, record, error) => {
            let live = Live::of_listed(node, record);
            live.fail(FailureKind::of_error(error));
            // Dropping `f` runs the user's code, and this thread is telling others to quit.
            mem::forget(f);
        }
    };
    let hook = Hook::new(at, Box::new(call));
    let hook = match node.add_hook(&hook) {
        Ok(()) => Some((Arc::clone(node.owner()), hook)),
        Err(Quitting) => {
            hook.call_here();
            None
        }
    };
    OnQuit { hook }
}
