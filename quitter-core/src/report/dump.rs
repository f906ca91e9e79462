//! A dump: everything that lives in the program, which runs on.

use std::fmt;

use crate::main_quitter::signal::QuitSignal;
use crate::report::outside::{OutsideLine, OutsideThread};
use crate::report::snapshot::Snapshot;

/// Everything that lives in the program, as
/// [`dump_on`](crate::MainQuitterBuilder::dump_on) shows it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Dump {
    /// The signal that asked for it.
    pub signal: QuitSignal,
    /// The tree of the main quitter.
    pub snapshot: Snapshot,
    /// The threads that run no routine, except quitter's own. A thread that calls a function of the program,
    /// such as that for [notices](crate::MainQuitterBuilder::notices), is quitter's own except during the
    /// call. A thread in [`exit`](crate::MainQuitter::exit) is quitter's own, too. Under the attribute, so is
    /// the main thread of an async `main` in the exit, unless it runs the tasks of a `current_thread`
    /// runtime. `None` if the system does not list threads; Linux does.
    pub outside: Option<Vec<OutsideThread>>,
}

impl fmt::Display for Dump {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "Dump on {}:", self.signal.name)?;
        self.snapshot.fmt(f)?;
        match &self.outside {
            Some(threads) => write!(f, "\n{}", OutsideLine(threads)),
            None => Ok(()),
        }
    }
}
