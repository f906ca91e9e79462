//! Two attributes that make a runtime; the outer one is tokio's.

#[tokio::main]
#[quitter::main]
async fn main() {}
