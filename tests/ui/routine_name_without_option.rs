use quitter::RoutineQuitter;

#[quitter::routine("beat")]
fn heartbeat(q: &RoutineQuitter) {
    q.wait_quit();
}

fn main() {}
