use quitter::RoutineQuitter;

#[quitter::routine]
async fn heartbeat(q: &RoutineQuitter) {
    q.quitting().await;
}

fn main() {}
