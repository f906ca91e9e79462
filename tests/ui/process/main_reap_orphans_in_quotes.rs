#[quitter::main(reap_orphans = "yes")]
fn main() {}
