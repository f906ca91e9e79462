#[quitter::main(signals = false)]
fn main() {}
