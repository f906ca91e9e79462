#[quitter::main(timeout = "2")]
fn main() {}
