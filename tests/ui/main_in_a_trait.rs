trait Program {
    #[quitter::main]
    fn main() {}
}

fn main() {}
