use quitter::RoutineQuitter;

trait Serve {
    #[quitter::routine]
    fn serve(q: &RoutineQuitter);
}

fn main() {}
