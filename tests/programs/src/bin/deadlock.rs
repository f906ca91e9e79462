//! A routine runs a job on its own thread, and the job waits for a lock that nobody releases.

use std::sync::Mutex;

use quitter::{AddRoutineError, RoutineQuitter};

#[quitter::routine]
fn worker(q: &RoutineQuitter) -> Result<(), AddRoutineError> {
    let job = q.guard("job")?;
    job.run(|_| {
        let lock = Mutex::new(());
        let _held = lock.lock();
        println!("the job hangs");
        let _never = lock.lock();
    });
    Ok(())
}

#[quitter::main(timeout = "500ms")]
fn main() {}
