use quitter::RoutineQuitter;

#[quitter::routine]
fn heartbeat<T>(q: &RoutineQuitter) {
    q.wait_quit();
}

fn main() {}
