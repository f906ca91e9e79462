#[quitter::main(signal_exit_code = "7")]
fn main() {}
