use quitter::RoutineQuitter;

#[quitter::routine(name = " ")]
fn heartbeat(q: &RoutineQuitter) {
    q.wait_quit();
}

fn main() {}
