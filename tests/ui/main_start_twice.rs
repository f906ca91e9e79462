#[quitter::main(start = "before_body", start = "after_body")]
fn main() {}
