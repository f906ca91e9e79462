struct Program;

impl Program {
    #[quitter::main]
    fn main() {}
}

fn main() {
    let _ = Program::main();
}
