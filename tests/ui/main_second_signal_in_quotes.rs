#[quitter::main(second_signal = "ignore")]
fn main() {}
