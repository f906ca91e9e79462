#[quitter::routine(on_failure = "report")]
fn heartbeat(_: &quitter::RoutineQuitter) {}

#[quitter::main]
fn main() {}
