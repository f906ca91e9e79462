#[quitter::main]
async fn main() {}
