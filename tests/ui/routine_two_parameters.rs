use quitter::RoutineQuitter;

#[quitter::routine]
fn heartbeat(q: &RoutineQuitter, beats: usize) {
    q.set_status(beats.to_string());
}

fn main() {}
