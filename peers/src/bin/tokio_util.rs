//! tokio-util's CancellationToken and TaskTracker, with a timeout around the wait.

use std::process::ExitCode;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

#[tokio::main]
async fn main() -> ExitCode {
    let case = peers::case();
    let _local = peers::set_up(&case);
    let token = CancellationToken::new();
    let tracker = TaskTracker::new();
    let told = token.clone();
    let runtime = tokio::runtime::Handle::current();
    tracker.spawn_blocking(move || {
        peers::work(&case, || runtime.block_on(told.cancelled()));
    });
    tracker.close();
    tokio::signal::ctrl_c().await.expect("a handler");
    token.cancel();
    match tokio::time::timeout(peers::TIMEOUT, tracker.wait()).await {
        Ok(()) => {
            eprintln!("done");
            ExitCode::SUCCESS
        }
        Err(_) => {
            eprintln!("something did not return in time");
            ExitCode::FAILURE
        }
    }
}
