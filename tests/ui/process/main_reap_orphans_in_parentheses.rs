#[quitter::main(reap_orphans(true))]
fn main() {}
