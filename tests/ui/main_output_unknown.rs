#[quitter::main(output = "loud")]
fn main() {}
