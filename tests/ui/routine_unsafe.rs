use quitter::RoutineQuitter;

#[quitter::routine]
unsafe fn heartbeat(q: &RoutineQuitter) {
    q.wait_quit();
}

fn main() {}
