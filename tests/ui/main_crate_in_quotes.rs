#[quitter::main(crate = "quitter")]
fn main() {}
