#[quitter::main(timeout = Duration::from_secs(2))]
fn main() {}
