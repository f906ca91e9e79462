use quitter::RoutineQuitter;

#[quitter::routine]
fn heartbeat(q: &RoutineQuitter) -> Result<(), usize> {
    q.wait_quit();
    Err(1)
}

fn main() {}
