//! Code that is shut down by tokio-util's `CancellationToken` and `TaskTracker`, under a quitter.
//!
//! Shows the bridges, each a few lines: `on_quit` cancels the token, a routine that waits for the
//! tracker stands for its tasks, and a token that the code cancels itself asks the program to quit.
//!
//! Start it with `cargo run -p quitter-examples --bin tokio_util_bridge -- 100`. It counts to a hundred
//! and ends with exit code 0; press Ctrl-C to end it earlier. If the task that counts panics, as it does
//! when its output is closed (`| head -1`), the program ends with exit code 1.

use std::env;
use std::error::Error;
use std::time::Duration;

use quitter::MainQuitter;
use tokio::task::JoinHandle;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Code that knows nothing about quitter.
struct Library {
    token: CancellationToken,
    tasks: TaskTracker,
    counter: JoinHandle<()>,
}

impl Library {
    fn start(count_to: u32) -> Self {
        let (token, tasks) = (CancellationToken::new(), TaskTracker::new());
        let counts = token.clone();
        let counter = tasks.spawn(async move {
            let all = async {
                for number in 1..=count_to {
                    sleep(Duration::from_millis(10)).await;
                    println!("{number}");
                }
            };
            match counts.run_until_cancelled(all).await {
                Some(()) => counts.cancel(), // Everything is counted, so all tasks end.
                None => println!("cancelled"),
            }
        });
        tasks.close();
        Self {
            token,
            tasks,
            counter,
        }
    }
}

#[quitter::main(timeout = "2s")]
async fn main(main: &MainQuitter) -> Result<(), Box<dyn Error>> {
    let count_to = env::args().nth(1).unwrap_or("100".to_owned()).parse()?;
    let Library {
        token,
        tasks,
        counter,
    } = Library::start(count_to);

    // A quit cancels the token.
    let cancels = token.clone();
    main.on_quit(move || cancels.cancel()).detach();
    // The tasks of the tracker are waited for, and reported as one routine.
    main.routine("library").add_task(|_| async move {
        tasks.wait().await;
        counter.await // An error if the task has panicked, which the tracker does not tell.
    })?;
    // When the library ends by itself, the program ends, too.
    let root = main.clone();
    tokio::spawn(async move {
        token.cancelled().await;
        root.request_quit("the library has ended"); // Changes nothing if the program is quitting already.
    });
    Ok(())
}
