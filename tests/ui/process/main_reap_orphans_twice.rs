#[quitter::main(reap_orphans, timeout = "2s", reap_orphans = true)]
fn main() {}
