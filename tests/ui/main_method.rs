struct Program;

impl Program {
    #[quitter::main]
    fn main(&self) {}
}

fn main() {}
