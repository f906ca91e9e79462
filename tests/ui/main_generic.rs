#[quitter::main]
fn main<T>() {}
