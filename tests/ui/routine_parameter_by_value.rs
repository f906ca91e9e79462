use quitter::RoutineQuitter;

#[quitter::routine]
fn heartbeat(q: RoutineQuitter) {
    q.wait_quit();
}

fn main() {}
