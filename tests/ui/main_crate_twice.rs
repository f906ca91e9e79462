#[quitter::main(crate = quitter, crate = quitter)]
fn main() {}
