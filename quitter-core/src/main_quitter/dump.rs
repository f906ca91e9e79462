//! Dumps the live tree on a signal.
//!
//! A thread of its own serves the requests, one at a time: it may wait for locks of the tree and for
//! stderr, so it must not be the signals' thread. Requests that come meanwhile become one.

use std::collections::HashSet;
use std::convert::Infallible;
use std::ffi::c_int;
use std::io;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded};

use crate::main_quitter::signal::QuitSignal;
use crate::quitter::Quitter;
use crate::report::console;
use crate::report::dump::Dump;
use crate::report::notice::Notice;
use crate::report::outside::{self, OutsideThread};
use crate::report::snapshot::{Snapshot, Taken};
use crate::report::timeouts::StuckRoutine;
use crate::routine::kind::RoutineKind;
use crate::stands::own;
use crate::threads;
use crate::tree::Node;

/// The signal that asks for dumps.
#[derive(Debug)]
pub(crate) struct DumpOn {
    number: c_int,
    /// Makes a dump. A program that asks for none does not have its code.
    dump: fn(&Arc<Node>, QuitSignal),
    /// There is room for one request.
    requests: Sender<()>,
    /// For the thread, which starts with the main quitter.
    served: Receiver<()>,
    /// The signal with its name, once it has come.
    signal: Arc<OnceLock<QuitSignal>>,
}

impl DumpOn {
    pub(crate) fn new(number: c_int) -> Self {
        let (requests, served) = bounded(1);
        Self {
            number,
            dump,
            requests,
            served,
            signal: Arc::default(),
        }
    }

    pub(crate) fn number(&self) -> c_int {
        self.number
    }

    /// Starts the thread that serves the requests.
    pub(crate) fn start(&self, root: Quitter) -> io::Result<()> {
        let (requests, signal) = (self.served.clone(), Arc::clone(&self.signal));
        let dump = self.dump;
        threads::start("quitter dump", move || {
            let _own = own::mark();
            for () in requests {
                if let Some(signal) = signal.get() {
                    dump(root.node(), *signal);
                }
            }
        })?;
        Ok(())
    }

    /// Takes a signal, if it asks for a dump.
    pub(crate) fn takes(&self, signal: QuitSignal) -> bool {
        let is_request = signal.number == self.number;
        if is_request {
            self.signal.get_or_init(|| signal);
            // If there is no room, a dump is about to be made.
            let _ = self.requests.try_send(());
        }
        is_request
    }
}

/// Returns when the dump is written: nothing piles up where stderr takes nothing.
fn dump(root: &Arc<Node>, signal: QuitSignal) {
    let taken = Taken::of(root);
    // At once: in the second that stacks may take, routines begin and end.
    let outside = outside(root, taken.snapshot());
    let snapshot = taken.in_full();
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
    let mut threads = outside::threads(|id| known.contains(&id) || own::is_or_was_own(id))?;
    let (live, _unread) = root.try_look(Instant::now() + AT_MOST);
    let live = live.iter().flat_map(|at| &at.routines);
    let began: HashSet<u64> = live.map(|record| record.os_id()).collect();
    threads.retain(|thread| !began.contains(&thread.os_id));
    Some(threads)
}
