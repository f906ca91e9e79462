#[quitter::main]
unsafe fn main() {}
