use quitter::RoutineQuitter;

#[quitter::routine]
async fn heartbeat(q: &RoutineQuitter) {
    q.wait_quit();
}

fn main() {}
