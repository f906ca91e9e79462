#[quitter::main(failures_while_quitting = "ignore")]
fn main() {}
