#[quitter::main(crate = ::quiter)]
fn main() {}
