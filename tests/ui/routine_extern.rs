use quitter::RoutineQuitter;

#[quitter::routine]
extern "C" fn heartbeat(q: &RoutineQuitter) {
    q.wait_quit();
}

fn main() {}
