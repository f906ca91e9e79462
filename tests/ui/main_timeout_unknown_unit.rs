#[quitter::main(timeout = "2 parsecs")]
fn main() {}
