#[quitter::main(timeout = "2s", start = "before_body", timeout = "3s")]
fn main() {}
