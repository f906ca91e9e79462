//! Dumps the live tree on a signal.
//!
//! A dedicated thread serves the requests, one at a time: it may wait for locks of the tree and for stderr,
//! which the signal thread must never do. Requests that arrive meanwhile become one.

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
    /// Makes a dump. A pointer, so that programs without dumps do not contain the code.
    dump: fn(&Arc<Node>, QuitSignal),
    /// Has room for one request.
    requests: Sender<()>,
    /// The receiving end, for the thread, which starts with the main quitter.
    served: Receiver<()>,
    /// The signal with its name, once it has arrived.
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

    /// Requests a dump if this is the signal for dumps. Returns whether it is.
    pub(crate) fn takes(&self, signal: QuitSignal) -> bool {
        let is_request = signal.number == self.number;
        if is_request {
            self.signal.get_or_init(|| signal);
            // If there is no room, a dump is already due.
            let _ = self.requests.try_send(());
        }
        is_request
    }
}

/// Returns once the dump is written, so that no dumps pile up while stderr is blocked.
fn dump(root: &Arc<Node>, signal: QuitSignal) {
    let taken = Taken::of(root);
    // Before the stacks are read: that may take a second, in which routines begin and end.
    let outside = outside(root, taken.snapshot());
    let snapshot = taken.in_full();
    let dump = Notice::Dump(Box::new(Dump {
        signal,
        snapshot,
        outside,
    }));
    let (done, written) = bounded::<Infallible>(0);
    console::queue_and_wake(move || {
        console::say_now(dump);
        drop(done);
    });
    let _closed = written.recv();
}

/// The threads that run no routine. A second look leaves out those that began one after the snapshot.
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

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::cell::OnceCell;

    use super::*;
    use crate::system;

    struct WaitsWhenDropped(Receiver<Infallible>);

    impl Drop for WaitsWhenDropped {
        fn drop(&mut self) {
            let _closed = self.0.recv();
        }
    }

    thread_local! {
        static AT_THE_END: OnceCell<WaitsWhenDropped> = const { OnceCell::new() };
    }

    #[test]
    fn a_thread_that_is_shown_with_its_routine_is_not_outside_though_the_routine_has_returned() {
        let root = Quitter::root("root");
        let (let_go, waits) = bounded(0);
        let (tell, told) = bounded(1);
        let routine = root.add_routine(move |q| {
            AT_THE_END.with(|cell| {
                cell.get_or_init(move || WaitsWhenDropped(waits));
            });
            tell.send(system::thread_id()).unwrap();
            q.wait_quit();
        });
        let thread = told.recv().unwrap();
        let taken = Taken::of(root.node());
        root.send_quit();
        root.wait_done(Duration::from_secs(10)).unwrap();
        let is_outside = |snapshot| {
            let outside = outside(root.node(), snapshot).unwrap();
            outside.iter().any(|one| one.os_id == thread)
        };
        let without_it = Taken::of(root.node());
        assert!(is_outside(without_it.snapshot()), "the thread goes on");
        assert!(!is_outside(taken.snapshot()));
        drop((let_go, routine));
    }
}
