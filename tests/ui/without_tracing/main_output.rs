#[quitter::main(output = "tracing")]
fn main() {}
