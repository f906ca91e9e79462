//! When registered routines start. The first argument selects the `main` that runs.

use std::env;

use quitter::{ExitReport, MainQuitter, OnFailure, QuitSource, RoutineQuitter};

#[quitter::routine(name = "automatic", on_failure = OnFailure::Report)]
fn first(q: &RoutineQuitter) -> Result<(), &'static str> {
    assert_eq!(q.name(), "automatic");
    // Without format arguments, the line is written in one piece, so no other line can split it.
    eprintln!("'automatic' runs");
    if env::args().nth(1).as_deref() == Some("fails") {
        return Err("no such device");
    }
    q.wait_quit();
    Ok(())
}

/// Starts only if a body adds it.
#[quitter::routine(manual)]
fn manual(q: &RoutineQuitter) {
    assert_eq!(q.name(), "manual");
    eprintln!("'manual' runs");
}

/// A second routine of the same name, which is an error only for automatic routines.
mod elsewhere {
    #[quitter::routine(manual)]
    pub(super) fn manual(_: &quitter::RoutineQuitter) {}
}

mod after_body {
    use super::*;

    #[quitter::main(timeout = "2s")]
    pub(super) fn main(main: &MainQuitter) {
        let snapshot = main.snapshot();
        assert!(
            snapshot.routines().all(|one| one.name == "main"),
            "{snapshot}"
        );
        eprintln!("the body returns");
    }
}

mod after_long_body {
    use super::*;

    #[quitter::main(timeout = "2s")]
    pub(super) fn main(main: &MainQuitter) {
        main.wait_quit();
    }
}

mod before_body {
    use super::*;

    #[quitter::main(timeout = "2s", start = "before_body")]
    pub(super) fn main(main: &MainQuitter) {
        eprintln!("the body runs");
        main.wait_quit();
    }
}

mod by_hand {
    use super::*;

    #[quitter::main(timeout = "2s")]
    pub(super) fn main(main: &MainQuitter) {
        eprintln!("the body runs");
        main.start_routines();
        main.start_routines();
        main.wait_quit();
    }
}

mod by_hand_beside_the_attribute {
    use super::*;

    pub(super) fn main() -> ExitReport {
        let two_seconds = std::time::Duration::from_secs(2);
        let main = MainQuitter::new(two_seconds, [QuitSource::os_signal()]);
        main.add_routine(manual).expect("there are threads");
        main.add_routine(elsewhere::manual)
            .expect("there are threads");
        main.start_routines();
        main.exit()
    }
}

mod fails {
    use super::*;

    #[quitter::main(timeout = "2s", sources = [QuitSource::all_done()])]
    pub(super) fn main() {}
}

mod never {
    use super::*;

    pub(super) fn main() -> ExitReport {
        let two_seconds = std::time::Duration::from_secs(2);
        MainQuitter::new(two_seconds, [QuitSource::all_done()]).exit()
    }
}

mod never_since_it_quits {
    use super::*;

    pub(super) fn main() -> ExitReport {
        let two_seconds = std::time::Duration::from_secs(2);
        let main = MainQuitter::new(two_seconds, [QuitSource::os_signal()]);
        main.send_quit();
        main.exit()
    }
}

fn main() -> ExitReport {
    let program = match env::args().nth(1).as_deref() {
        Some("after_body") => after_body::main,
        Some("after_long_body") => after_long_body::main,
        Some("before_body") => before_body::main,
        Some("by_hand") => by_hand::main,
        Some("by_hand_beside_the_attribute") => by_hand_beside_the_attribute::main,
        Some("fails") => fails::main,
        Some("never") => never::main,
        Some("never_since_it_quits") => never_since_it_quits::main,
        other => panic!("no main {other:?}"),
    };
    program()
}
