//! tokio-graceful-shutdown, as in its first example, with its log in the cases of docs/diagnosis.md.

use tokio_graceful_shutdown::{SubsystemBuilder, SubsystemHandle, Toplevel};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let case = peers::case();
    if peers::hangs::KINDS.contains(&&case[..]) {
        let log = tracing_subscriber::fmt()
            .with_max_level(tracing_subscriber::filter::LevelFilter::DEBUG);
        log.with_writer(std::io::stderr)
            .without_time()
            .with_ansi(false)
            .init();
    }
    let _local = peers::set_up(&case);
    Toplevel::new(async move |top: &mut SubsystemHandle| {
        top.start(SubsystemBuilder::new(
            "worker",
            async move |worker: &mut SubsystemHandle| {
                if case == "pending" {
                    return std::future::pending().await;
                }
                let told = worker.create_cancellation_token();
                let runtime = tokio::runtime::Handle::current();
                let work = move || peers::work(&case, || runtime.block_on(told.cancelled()));
                tokio::task::spawn_blocking(work).await
            },
        ));
    })
    .catch_signals()
    .handle_shutdown_requests(peers::TIMEOUT)
    .await
    .map_err(Into::into)
}
