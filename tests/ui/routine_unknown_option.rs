use quitter::RoutineQuitter;

#[quitter::routine(nam = "beat")]
fn heartbeat(q: &RoutineQuitter) {
    q.wait_quit();
}

fn main() {}
