#[quitter::main("2s")]
fn main() {}
