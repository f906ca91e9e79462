#[quitter::main(progress_lines = "no")]
fn main() {}
