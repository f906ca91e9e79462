use quitter::RoutineQuitter;

#[quitter::routine(manual name = "beat")]
fn heartbeat(q: &RoutineQuitter) {
    q.wait_quit();
}

fn main() {}
