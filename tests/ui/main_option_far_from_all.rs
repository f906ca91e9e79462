#[quitter::main(tokio)]
fn main() {}
