use quitter::RoutineQuitter;

#[quitter::routine(crate = ::quiter)]
fn heartbeat(q: &RoutineQuitter) {
    q.wait_quit();
}

fn main() {}
