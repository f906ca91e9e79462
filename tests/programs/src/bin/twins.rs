//! Two automatic routines of one name: does not start.

#[quitter::routine]
fn heartbeat(_: &quitter::RoutineQuitter) {}

mod elsewhere {
    #[quitter::routine(name = "heartbeat")]
    fn another(_: &quitter::RoutineQuitter) {}
}

#[quitter::main]
fn main() {
    eprintln!("the body runs");
}
