//! Programs that end badly, for more than one test.

use quitter::{ExitReport, MainQuitterBuilder};

use crate::common::hang;

/// A program in which a routine hangs.
pub(crate) fn stuck(builder: MainQuitterBuilder) -> ExitReport {
    builder.run(|main| {
        main.routine("hangs").add(|_| hang()).map(drop)?;
        main.send_quit();
        Ok::<_, quitter::AddRoutineError>(())
    })
}

/// A program whose body hangs, so that it has to be ended by force.
pub(crate) fn forced(builder: MainQuitterBuilder) -> ExitReport {
    builder.run(|main| -> () {
        main.send_quit();
        hang()
    })
}
