use quitter::RoutineQuitter;

#[quitter::routine]
fn heartbeat(q: &RoutineQuitter) -> Result<usize, std::fmt::Error> {
    q.wait_quit();
    Ok(1)
}

fn main() {}
