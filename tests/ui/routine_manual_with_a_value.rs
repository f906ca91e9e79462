use quitter::RoutineQuitter;

#[quitter::routine(manual = true)]
fn heartbeat(q: &RoutineQuitter) {
    q.wait_quit();
}

fn main() {}
