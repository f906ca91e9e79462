#[quitter::routine]
pub struct Heartbeat;

fn main() {}
