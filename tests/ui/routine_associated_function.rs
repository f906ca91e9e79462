use quitter::RoutineQuitter;

struct Service;

impl Service {
    #[quitter::routine]
    fn serve(q: &RoutineQuitter) {
        q.wait_quit();
    }
}

fn main() {}
