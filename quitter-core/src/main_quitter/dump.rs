//! Dumps the live tree on a signal.
//!
//! A thread of its own serves the requests, one at a time: it may wait for locks of the tree and for
//! stderr, so it must not be the signals' thread. Requests that come meanwhile become one.

use std::collections::HashSet;
use std::convert::Infallible;
use std::ffi::c_int;
use std::sync::Arc;
use std::time::{Duration, Instant};
use std::{io, thread};

use crossbeam_channel::{Receiver, Sender, bounded};

use crate::main_quitter::builder::MainQuitterBuilder;
use crate::main_quitter::signal::{self, QuitSignal};
use crate::quitter::Quitter;
use crate::report::console;
use crate::report::dump::Dump;
use crate::report::notice::Notice;
use crate::report::outside::{self, OutsideThread};
use crate::report::snapshot::Snapshot;
use crate::report::timeouts::StuckRoutine;
use crate::routine::kind::RoutineKind;
use crate::stands::own;
use crate::tree::Node;

impl MainQuitterBuilder {
    /// Writes everything that lives in the program to stderr whenever this signal comes, and the program
    /// runs on: the tree as a [`Snapshot`](crate::Snapshot) shows it and, on Linux, the threads outside of
    /// it by name and state. Foreign work is often what hangs.
    ///
    /// The signal must not be a quit source. One that was ignored when the main quitter was made stays
    /// ignored; without this call it does what it always did, and most signals end a program.
    ///
    /// A thread of its own makes one dump at a time, before, during and after the quit. Requests that come
    /// meanwhile become one. A dump is a [`Notice`](crate::Notice): a function for
    /// [notices](Self::notices) gets it as data, [`Output::Quiet`](crate::Output::Quiet) writes it, and
    /// [`Output::Silent`](crate::Output::Silent) does not.
    ///
    /// # Examples
    ///
    /// `kill -USR1` asks this program what it is doing:
    ///
    /// ```no_run
    /// # use quitter_core as quitter;
    /// use quitter::{ExitReport, MainQuitter};
    ///
    /// fn main() -> ExitReport {
    ///     # const SIGUSR1: i32 = 10;
    ///     // The number differs between systems: `libc::SIGUSR1` knows it.
    ///     MainQuitter::builder().dump_on(SIGUSR1).run(|main| {
    ///         main.routine("worker").add(|q| q.wait_quit()).map(drop)
    ///     })
    /// }
    /// ```
    #[cfg(unix)]
    pub fn dump_on(mut self, signal: c_int) -> Self {
        self.dump_on = Some(signal);
        self
    }

    /// As the attribute asks for it. No effect where there is no signal of this name.
    #[doc(hidden)]
    pub fn dump_on_named(mut self, name: &str) -> Self {
        self.dump_on = signal::number(name).filter(|_| cfg!(unix));
        self
    }
}

/// The signal that asks for dumps.
pub(crate) struct DumpOn {
    number: c_int,
    /// There is room for one request.
    requests: Sender<QuitSignal>,
    /// For the thread, which starts with the main quitter.
    served: Receiver<QuitSignal>,
}

impl DumpOn {
    pub(crate) fn new(number: c_int) -> Self {
        let (requests, served) = bounded(1);
        Self {
            number,
            requests,
            served,
        }
    }

    pub(crate) fn number(&self) -> c_int {
        self.number
    }

    /// Starts the thread that serves the requests.
    pub(crate) fn start(&self, root: Quitter) -> io::Result<()> {
        let requests = self.served.clone();
        let thread = thread::Builder::new().name("quitter dump".to_owned());
        thread.spawn(move || {
            let _own = own::mark();
            for signal in requests {
                dump(root.node(), signal);
            }
        })?;
        Ok(())
    }

    /// Takes a signal, if it asks for a dump.
    pub(crate) fn takes(&self, signal: QuitSignal) -> bool {
        let is_request = signal.number == self.number;
        if is_request {
            // If there is no room, a dump is about to be made.
            let _ = self.requests.try_send(signal);
        }
        is_request
    }
}

/// Returns when the dump is written: nothing piles up where stderr takes nothing.
fn dump(root: &Arc<Node>, signal: QuitSignal) {
    let snapshot = Snapshot::of(root);
    let outside = outside(root, &snapshot);
    let dump = Notice::Dump(Box::new(Dump {
        signal,
        snapshot,
        outside,
    }));
    let (done, written) = bounded::<Infallible>(0);
    console::afterwards(move || {
        console::say_now(dump);
        drop(done);
    });
    let _closed = written.recv();
}

/// The threads that run no routine. Those that began one after the snapshot are looked for again.
fn outside(root: &Arc<Node>, snapshot: &Snapshot) -> Option<Vec<OutsideThread>> {
    const AT_MOST: Duration = Duration::from_millis(50);
    let thread = |one: &StuckRoutine| match one.kind {
        RoutineKind::Thread { os_id } => Some(os_id),
        _ => None,
    };
    let known: HashSet<u64> = snapshot.routines().filter_map(thread).collect();
    let mut threads = outside::threads(|id| known.contains(&id) || own::is_own(id))?;
    let (live, _unread) = root.try_look(Instant::now() + AT_MOST);
    let live = live.iter().flat_map(|at| &at.routines);
    let began: HashSet<u64> = live.map(|record| record.os_id()).collect();
    threads.retain(|thread| !began.contains(&thread.os_id));
    Some(threads)
}
