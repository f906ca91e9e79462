use std::io;
use std::time::Duration;

use tokio_graceful_shutdown::{SubsystemBuilder, SubsystemHandle, Toplevel};

#[tokio::main]
async fn main() {
    let worker = async |s: &mut SubsystemHandle| {
        s.on_shutdown_requested().await;
        Ok::<(), io::Error>(())
    };
    let top = async move |s: &mut SubsystemHandle| {
        s.start(SubsystemBuilder::new("worker", worker));
    };
    let ended = Toplevel::new(top).catch_signals();
    ended.handle_shutdown_requests(Duration::from_secs(1)).await.unwrap();
}
