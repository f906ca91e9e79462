#[quitter::routine]
fn heartbeat() {}

fn main() {}
