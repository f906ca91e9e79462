//! Two automatic routines have one name: the program does not start.
//!
//! The compiler finds this by itself only if the names are identifiers, within one crate.

#[quitter::routine(name = "heart beat")]
fn heartbeat(_: &quitter::RoutineQuitter) {}

mod elsewhere {
    #[quitter::routine(name = "heart beat")]
    fn another(_: &quitter::RoutineQuitter) {}
}

#[quitter::main]
fn main() {
    eprintln!("the body runs");
}
