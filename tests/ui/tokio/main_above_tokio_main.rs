//! Two attributes that make a runtime; the outer one is quitter's.

#[quitter::main]
#[tokio::main]
async fn main() {}
