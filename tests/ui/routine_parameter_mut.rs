use quitter::RoutineQuitter;

#[quitter::routine]
fn heartbeat(q: &mut RoutineQuitter) {
    q.wait_quit();
}

fn main() {}
