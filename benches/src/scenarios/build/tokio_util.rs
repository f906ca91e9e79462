use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

#[tokio::main]
async fn main() {
    let (token, tracker) = (CancellationToken::new(), TaskTracker::new());
    tracker.spawn(token.clone().cancelled_owned());
    tokio::signal::ctrl_c().await.unwrap();
    token.cancel();
    tracker.close();
    tracker.wait().await;
}
