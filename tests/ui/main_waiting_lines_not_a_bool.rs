#[quitter::main(waiting_lines = "no")]
fn main() {}
