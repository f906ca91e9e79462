//! Measures what a program with threads pays for the feature `stacks`. `diagnosis` builds it with the
//! feature and without, and runs it: `threads start 1000`, `threads report 64`. Prints microseconds.

use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use quitter::{MainQuitter, QuitSource, Quitter};

const TIMEOUT: Duration = Duration::from_millis(500);

fn main() {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let [what, count] = &arguments[..] else {
        panic!("usage: threads start|report N");
    };
    let count = count.parse().expect("a number");
    let took = match &what[..] {
        "start" => start(count),
        _ => report(count),
    };
    println!("{:.1}", took.as_secs_f64() * 1e6);
}

/// The time from the start of a routine to its end, for `count` routines one after the other.
fn start(count: u32) -> Duration {
    let root = Quitter::root("root");
    let from = Instant::now();
    for _ in 0..count {
        let routine = root.add_routine(|_| ()).expect("a thread");
        routine.wait(Duration::MAX).expect("it returns");
    }
    from.elapsed() / count
}

/// The time from the deadline to the report on `count` hanging threads.
fn report(count: u32) -> Duration {
    static HANGING: AtomicU32 = AtomicU32::new(0);

    let main = MainQuitter::new(TIMEOUT, [QuitSource::os_signal()]);
    for _ in 0..count {
        let routine = main.routine("worker").add(|_| -> ! {
            HANGING.fetch_add(1, Ordering::Relaxed);
            loop {
                thread::park();
            }
        });
        routine.expect("a thread");
    }
    while HANGING.load(Ordering::Relaxed) < count {
        thread::yield_now();
    }
    main.send_quit();
    let from = Instant::now();
    let report = main.exit();
    let took = from.elapsed();
    assert_eq!(report.timeouts.routines().count(), count as usize);
    took.saturating_sub(TIMEOUT)
}
