#[quitter::main(timeout = 2s)]
fn main() {}
