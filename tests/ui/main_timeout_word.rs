#[quitter::main(timeout = "soon")]
fn main() {}
