//! tokio-graceful-shutdown, as in its first example. The runtime is made and dropped as `#[tokio::main]`
//! does it.

use tokio_graceful_shutdown::{SubsystemBuilder, SubsystemHandle, Toplevel};

fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let case = peers::case();
    let _local = peers::set_up(&case);
    let runtime = peers::tasks::runtime(&case)?;
    runtime.block_on(async {
        Toplevel::new(async move |top: &mut SubsystemHandle| {
            top.start(SubsystemBuilder::new(
                "worker",
                async move |worker: &mut SubsystemHandle| {
                    peers::tasks::work(&case, worker.on_shutdown_requested()).await;
                    Ok::<(), std::io::Error>(())
                },
            ));
        })
        .catch_signals()
        .handle_shutdown_requests(peers::TIMEOUT)
        .await
        .map_err(Into::into)
    })
}
