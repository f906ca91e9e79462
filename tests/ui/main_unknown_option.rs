#[quitter::main(timeuot = "2s")]
fn main() {}
