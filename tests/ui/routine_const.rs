use quitter::RoutineQuitter;

#[quitter::routine]
const fn heartbeat(_: &RoutineQuitter) {}

fn main() {}
