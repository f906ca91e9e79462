#[quitter::main]
struct Program;

fn main() {}
