#[quitter::main(sources = ["SIGTERM"])]
fn main() {}
