use quitter::{FailuresWhileQuitting, RoutineQuitter};

#[quitter::routine(on_failure = FailuresWhileQuitting::Count)]
fn heartbeat(_: &RoutineQuitter) {}

#[quitter::main]
fn main() {}
