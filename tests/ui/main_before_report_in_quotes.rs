#[quitter::main(before_report = "restore")]
fn main() {}
