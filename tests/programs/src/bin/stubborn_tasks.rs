//! Tasks that hang, each in its own way. The first argument is the case. With `current` as the second, the
//! runtime has a single thread.

use std::env;
use std::error::Error;
use std::future::pending;
use std::thread;

use quitter::{ExitReport, MainQuitter};

mod several_threads {
    use super::*;

    #[quitter::main(timeout = "1s", worker_threads = 2)]
    pub(crate) async fn main(main: &MainQuitter) -> Result<(), Box<dyn Error>> {
        body(main).await
    }
}

mod single_thread {
    use super::*;

    #[quitter::main(timeout = "1s", flavor = "current_thread")]
    pub(crate) async fn main(main: &MainQuitter) -> Result<(), Box<dyn Error>> {
        body(main).await
    }
}

fn hang() -> ! {
    loop {
        thread::park();
    }
}

/// Hangs when dropped.
struct Held;

impl Drop for Held {
    fn drop(&mut self) {
        hang();
    }
}

async fn body(main: &MainQuitter) -> Result<(), Box<dyn Error>> {
    let case = env::args().nth(1).unwrap_or_default();
    let task = main.routine("worker");
    match case.as_str() {
        "pending" => drop(task.add_task(|_| pending::<()>())?),
        "blocking" => drop(task.add_task(|_| async { hang() })?),
        "spinning" => drop(task.add_task(|_| async {
            loop {
                std::hint::spin_loop();
            }
        })?),
        "awaits-blocking" => {
            let blocks = tokio::task::spawn_blocking(|| hang());
            task.add_task(|_| async { drop(blocks.await) })?;
        }
        // The tree does not know about this one, so nothing waits for it.
        "foreign-blocking" => drop(tokio::task::spawn_blocking(|| hang())),
        "drop" => drop(task.add_task(|_| async {
            let _held = Held;
            pending::<()>().await;
        })?),
        other => return Err(format!("unknown case: {other}").into()),
    }
    println!("ready");
    Ok(())
}

fn main() -> ExitReport {
    match env::args().nth(2).as_deref() {
        Some("current") => single_thread::main(),
        _ => several_threads::main(),
    }
}
