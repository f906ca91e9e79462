#[quitter::main(sources = [])]
fn main() {}
