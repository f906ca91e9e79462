//! ctrlc with a channel, a condition variable and a wait with a deadline, by hand.

use std::process::ExitCode;
use std::sync::{Arc, Condvar, Mutex, mpsc};
use std::thread;

fn main() -> ExitCode {
    let case = peers::case();
    let _local = peers::set_up(&case);
    let (event, events) = mpsc::channel();
    let forward = move || {
        let _ = event.send(());
    };
    ctrlc::set_handler(forward).expect("the only handler");
    let told = Arc::new((Mutex::new(false), Condvar::new()));
    let (done, is_done) = mpsc::channel::<()>();
    let worker = Arc::clone(&told);
    thread::spawn(move || {
        let _done = done;
        peers::work(&case, || {
            let told = worker.0.lock().unwrap();
            drop(worker.1.wait_while(told, |told| !*told).unwrap());
        });
    });
    let _ = events.recv();
    *told.0.lock().unwrap() = true;
    told.1.notify_all();
    match is_done.recv_timeout(peers::TIMEOUT) {
        Err(mpsc::RecvTimeoutError::Timeout) => {
            eprintln!("the worker did not return in time");
            ExitCode::FAILURE
        }
        _ => {
            eprintln!("done");
            ExitCode::SUCCESS
        }
    }
}
