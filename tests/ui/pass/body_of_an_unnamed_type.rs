//! A body with a parameter must say that its result does not borrow from that.

#![deny(warnings)]

use std::fmt;

use quitter::{MainOutcome, MainQuitter, QuitSource};

mod with_parameter {
    use super::*;

    #[quitter::main(sources = [QuitSource::all_done()])]
    pub(super) fn main(_: &MainQuitter) -> Result<(), impl fmt::Debug + use<>> {
        Ok::<_, fmt::Error>(())
    }
}

mod as_a_whole {
    use super::*;

    #[quitter::main(sources = [QuitSource::all_done()])]
    pub(super) fn main() -> impl MainOutcome {}
}

fn main() -> quitter::ExitReport {
    let _others = [with_parameter::main, as_a_whole::main];
    with_parameter::main()
}
