use quitter::RoutineQuitter;

#[quitter::routine(crate = "quitter")]
fn heartbeat(q: &RoutineQuitter) {
    q.wait_quit();
}

fn main() {}
