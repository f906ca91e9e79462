#[quitter::main(hold_output = "for_ever")]
fn main() {}
