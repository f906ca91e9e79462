#[quitter::main(end = "at_dawn")]
fn main() {}
