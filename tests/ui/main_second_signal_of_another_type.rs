#[quitter::main(second_signal = 130.min(3))]
fn main() {}
