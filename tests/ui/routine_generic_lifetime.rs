use quitter::RoutineQuitter;

#[quitter::routine]
fn heartbeat<'a>(q: &'a RoutineQuitter) {
    q.wait_quit();
}

fn main() {}
