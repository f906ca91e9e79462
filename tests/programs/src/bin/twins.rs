//! Two automatic routines have one name: the program does not start. The first argument selects the `main`.
//!
//! The compiler finds this by itself only if the names are identifiers, within one crate.

#[quitter::routine(name = "heart beat")]
fn heartbeat(_: &quitter::RoutineQuitter) {}

mod elsewhere {
    #[quitter::routine(name = "heart beat")]
    fn another(_: &quitter::RoutineQuitter) {}
}

mod loud {
    #[quitter::main]
    pub(super) fn main() {
        eprintln!("the body runs");
    }
}

mod quiet {
    #[quitter::main(output = "quiet")]
    pub(super) fn main() {}
}

mod silent {
    #[quitter::main(output = "silent")]
    pub(super) fn main() {}
}

fn by_hand() -> quitter::ExitReport {
    let main = quitter::MainQuitter::builder().build();
    main.start_routines();
    main.exit()
}

fn main() -> quitter::ExitReport {
    match std::env::args().nth(1).as_deref() {
        Some("quiet") => quiet::main(),
        Some("silent") => silent::main(),
        Some("by_hand") => by_hand(),
        _ => loud::main(),
    }
}
