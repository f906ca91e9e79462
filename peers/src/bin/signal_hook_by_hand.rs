//! signal-hook's iterator on the main thread, a flag, and a join. `register_conditional_shutdown` handles a
//! second signal, as in its documentation.

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use signal_hook::consts::TERM_SIGNALS;
use signal_hook::flag;
use signal_hook::iterator::Signals;

fn main() -> ExitCode {
    let case = peers::case();
    let told = Arc::new(AtomicBool::new(false));
    for signal in TERM_SIGNALS {
        flag::register_conditional_shutdown(*signal, 1, Arc::clone(&told)).expect("a handler");
        flag::register(*signal, Arc::clone(&told)).expect("a handler");
    }
    let mut signals = Signals::new(TERM_SIGNALS).expect("a handler");
    let _local = peers::set_up(&case);
    let flag = Arc::clone(&told);
    let worker = thread::spawn(move || {
        peers::work(&case, || {
            while !flag.load(Ordering::Relaxed) {
                thread::sleep(Duration::from_millis(10));
            }
        });
    });
    signals.forever().next();
    let code = match worker.join() {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    };
    eprintln!("done");
    code
}
