#[quitter::main(start = "at_once")]
fn main() {}
