use quitter::RoutineQuitter;

#[quitter::routine]
fn heartbeat<const N: usize>(q: &RoutineQuitter) {
    q.wait_quit();
}

fn main() {}
