use quitter::RoutineQuitter;

#[quitter::routine(name = heart::beat)]
fn heartbeat(q: &RoutineQuitter) {
    q.wait_quit();
}

fn main() {}
