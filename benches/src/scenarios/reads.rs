//! Many threads that block in a read, are told to quit, and return.

use std::io::Read;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use quitter::{Quitter, RoutineQuitter};

use crate::flags::Flag;
use crate::muster::Muster;
use crate::workload::Figures;

/// The size of each thread's stack: small, so that there can be many threads.
const STACK: usize = 64 * 1024;

/// How many threads read from one stream, since the system limits how many streams a process may have.
const SHARING: usize = 100;

/// Each thread reads from a stream to which nobody writes.
pub fn interruptible(n: usize) -> Figures {
    let pairs = (0..n.div_ceil(SHARING)).map(|_| UnixStream::pair().expect("two descriptors"));
    let (ours, _theirs): (Vec<_>, Vec<_>) =
        pairs.map(|(ours, theirs)| (Arc::new(ours), theirs)).unzip();
    let each = (0..n).map(|at| Arc::clone(&ours[at / SHARING])).collect();
    blocked(each, |q, stream| {
        let read = q.interruptible(stream).read(&mut [0]);
        assert!(read.is_err(), "nobody writes");
    })
}

/// The floor: each thread only waits for the quit.
pub fn wait_quit(n: usize) -> Figures {
    blocked(vec![(); n], |q, ()| q.wait_quit())
}

fn blocked<T: Send + 'static>(
    each: Vec<T>,
    block: impl Fn(&RoutineQuitter, T) + Copy + Send + Sync + 'static,
) -> Figures {
    let root = <Quitter as Flag>::new();
    let muster = Arc::new(Muster::new(each.len()));
    for item in each {
        let muster = Arc::clone(&muster);
        let routine = root.routine("reader").stack_size(STACK);
        let body = move |q: &RoutineQuitter| muster.block(|| block(q, item));
        routine.add(body).expect("a thread");
    }
    // The waiter waits before the quit comes, as an exit does.
    let (from, done) = thread::scope(|scope| {
        let waiter = scope.spawn(|| {
            root.wait_done(Duration::MAX).expect("no limit");
            Instant::now()
        });
        muster.wait_until_all_block();
        let from = Instant::now();
        root.send_quit();
        (from, waiter.join().expect("no panic"))
    });
    vec![
        ("last", muster.last_return(from)),
        ("done", (done - from).as_nanos() as f64),
    ]
}
