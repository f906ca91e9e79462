use quitter::RoutineQuitter;

#[quitter::routine]
fn heartbeat(q: impl AsRef<RoutineQuitter>) {
    q.as_ref().wait_quit();
}

fn main() {}
