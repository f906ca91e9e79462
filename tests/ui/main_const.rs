#[quitter::main]
const fn main() {}
