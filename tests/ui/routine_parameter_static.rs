use quitter::RoutineQuitter;

#[quitter::routine]
fn heartbeat(q: &'static RoutineQuitter) {
    q.wait_quit();
}

fn main() {}
