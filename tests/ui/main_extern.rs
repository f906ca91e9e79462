#[quitter::main]
extern "C" fn main() {}
