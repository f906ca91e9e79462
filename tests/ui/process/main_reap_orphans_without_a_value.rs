#[quitter::main(reap_orphans =)]
fn main() {}
