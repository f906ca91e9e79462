//! quitter, with the builder behind the attribute, so that `main` can have a local that hangs.

use quitter::{ExitReport, MainQuitter};

fn main() -> ExitReport {
    let case = peers::case();
    let _local = peers::set_up(&case);
    MainQuitter::builder()
        .timeout(peers::TIMEOUT)
        .run(|main: &MainQuitter| {
            let worker = main.routine("worker");
            worker
                .add(move |q| peers::work(&case, || q.wait_quit()))
                .map(drop)
        })
}
