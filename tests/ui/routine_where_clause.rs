use quitter::RoutineQuitter;

#[quitter::routine]
fn heartbeat(q: &RoutineQuitter)
where
    RoutineQuitter: Send,
{
    q.wait_quit();
}

fn main() {}
