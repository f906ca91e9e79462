#[quitter::main(timeout, start = "before_body")]
fn main() {}
