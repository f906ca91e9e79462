use quitter::RoutineQuitter;

#[quitter::routine]
fn heartbeat(q: &RoutineQuitter) {
    q.wait_quit();
}

mod elsewhere {
    #[quitter::routine(name = "heartbeat")]
    fn another(q: &quitter::RoutineQuitter) {
        q.wait_quit();
    }
}

fn main() {}
