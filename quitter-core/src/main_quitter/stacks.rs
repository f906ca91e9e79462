//! The stacks in the messages about a quit. Without the feature `stacks` there are none, and nothing waits
//! for them.

use std::time::Duration;

use crate::main_quitter::ending::Ending;
use crate::report::exit::ExitReport;
use crate::tree::LiveAt;

/// How long stacks may hold up an end by force.
#[cfg(feature = "stacks")]
pub(crate) const AT_MOST: Duration = crate::stacks::TIME_LIMIT;
#[cfg(not(feature = "stacks"))]
pub(crate) const AT_MOST: Duration = Duration::ZERO;

#[cfg(not(feature = "stacks"))]
impl Ending {
    pub(crate) fn add_stacks(&self, _: &mut ExitReport, _: &[LiveAt]) {}

    pub(crate) fn say_stacks(&self, _: ExitReport) {}
}

#[cfg(feature = "stacks")]
mod with {
    use std::time::Instant;

    use super::{AT_MOST, Ending, ExitReport, LiveAt};
    use crate::report::console;
    use crate::report::notice::Notice;
    use crate::stacks;

    impl Ending {
        /// Adds the stacks of the live routines to the report of an exit. An end by force allows time for
        /// that; if the thread hangs in here, the end by force makes a report of its own.
        pub(crate) fn add_stacks(&self, report: &mut ExitReport, live: &[LiveAt]) {
            let until = Instant::now() + AT_MOST;
            self.state().held_until = Some(until);
            let records = live.iter().flat_map(|at| &at.routines);
            report.timeouts.add_stacks(stacks::of_exit(records, until));
            self.state().held_until = Some(Instant::now());
        }

        /// Says where the routines of a report that was just printed hang. Runs on the console's thread.
        pub(crate) fn say_stacks(&self, report: ExitReport) {
            let until = Instant::now() + AT_MOST;
            let look = self.look();
            let records = look.live.iter().flat_map(|at| &at.routines);
            let mut routines = report.timeouts;
            routines.add_stacks(stacks::of_exit(records, until));
            if routines.has_stacks() {
                console::say_now(Notice::Stacks { routines });
            }
        }
    }
}
