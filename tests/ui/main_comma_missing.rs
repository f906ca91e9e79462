#[quitter::main(timeout = "2s" start = "before_body")]
fn main() {}
