#[quitter::main(dump_on = "SIGKILL")]
fn main() {}
