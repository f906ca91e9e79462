//! tokio-util's CancellationToken and TaskTracker, with a timeout around the wait. The runtime is made and
//! dropped as `#[tokio::main]` does it.

use std::process::ExitCode;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

fn main() -> ExitCode {
    let case = peers::case();
    let _local = peers::set_up(&case);
    let runtime = peers::tasks::runtime(&case).expect("a runtime");
    runtime.block_on(async {
        let token = CancellationToken::new();
        let tracker = TaskTracker::new();
        let told = token.clone();
        tracker.spawn(async move { peers::tasks::work(&case, told.cancelled()).await });
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
    })
}
