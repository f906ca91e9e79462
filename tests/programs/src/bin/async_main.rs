//! An async `main` and async routines, beside a thread. The argument adds more.

use std::env;
use std::error::Error;
use std::future;
use std::thread;
use std::time::Duration;

use quitter::{MainQuitter, Quitting, RoutineQuitter};

#[quitter::routine]
async fn ticker(q: RoutineQuitter) -> Result<(), Quitting> {
    println!("ticker is a task");
    loop {
        q.cancel_on_quit(tokio::time::sleep(Duration::from_millis(10)))
            .await?;
    }
}

#[quitter::routine]
fn waiter(q: &RoutineQuitter) {
    println!("waiter is a thread");
    q.wait_quit();
}

pub(crate) async fn body(main: &MainQuitter) -> Result<(), Box<dyn Error>> {
    match env::args().nth(1).as_deref() {
        None => {}
        Some("pending") => {
            let pending = main.routine("pending");
            pending.add_task(|_| future::pending::<()>())?;
        }
        Some("spinning") => {
            let spinning = |q: RoutineQuitter| async move {
                q.quitting().await;
                loop {
                    thread::yield_now();
                }
            };
            main.routine("spinning").add_task(spinning)?;
        }
        Some("foreign") => {
            let (started, has_started) = tokio::sync::oneshot::channel();
            tokio::task::spawn_blocking(|| {
                let _ = started.send(());
                loop {
                    thread::park();
                }
            });
            has_started.await?;
        }
        Some("fails") => return Err("the set-up has failed".into()),
        Some("waits") => {
            println!("the body waits");
            main.cancel_on_quit(future::pending::<()>()).await?;
        }
        Some("hangs") => {
            let lock = tokio::sync::Mutex::new(());
            let _held = lock.lock().await;
            println!("the body hangs");
            let _never = lock.lock().await;
        }
        Some(other) => return Err(format!("unknown argument: {other}").into()),
    }
    println!("set up");
    Ok(())
}

#[allow(dead_code, reason = "the other program has another `main`")]
#[quitter::main(timeout = "1s", worker_threads = 2, dump_on = "SIGUSR1")]
async fn main(main: &MainQuitter) -> Result<(), Box<dyn Error>> {
    body(main).await
}
