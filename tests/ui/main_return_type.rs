#[quitter::main]
fn main() -> Option<usize> {
    None
}
