use std::time::Duration;

use quitter::Quitter;

fn main() {
    let root = Quitter::root("main");
    let _ = root.add_task(|q| async move { q.quitting().await });
    let _ = root.routine("task").add_task(async |q| q.quitting().await);
    let _ = root.add_routine(|q| q.add_task(|q| q.quitting()).map(drop));
    let _ = root.wait_done_async(Duration::from_secs(1));
}
