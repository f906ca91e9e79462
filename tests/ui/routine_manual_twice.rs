use quitter::RoutineQuitter;

#[quitter::routine(manual, manual)]
fn heartbeat(q: &RoutineQuitter) {
    q.wait_quit();
}

fn main() {}
