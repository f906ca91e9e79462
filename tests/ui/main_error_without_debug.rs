struct Silent;

#[quitter::main]
fn main() -> Result<(), Silent> {
    Err(Silent)
}
