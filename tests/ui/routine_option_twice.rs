use quitter::RoutineQuitter;

#[quitter::routine(name = "beat", manual, name = "pulse")]
fn heartbeat(q: &RoutineQuitter) {
    q.wait_quit();
}

fn main() {}
