//! The stacks in a report's text, for the feature `stacks`.

#[cfg(not(feature = "stacks"))]
mod off;
#[cfg(feature = "stacks")]
mod on;
#[cfg(feature = "stacks")]
mod unread;

use crate::report::path::QuitterPath;

#[cfg(not(feature = "stacks"))]
pub(super) use off::*;
#[cfg(feature = "stacks")]
pub(super) use on::*;

/// The name of the routines of one line of a list, and their quitter.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Called<'a> {
    pub(super) name: &'a str,
    pub(super) quitter: &'a QuitterPath,
}

/// Whether the feature reads stacks on this system.
#[cfg(any(test, not(feature = "stacks")))]
const SUPPORTED: bool = cfg!(all(
    target_os = "linux",
    target_endian = "little",
    target_pointer_width = "64",
    any(target_arch = "x86_64", target_arch = "aarch64")
));

/// The hint below a report that would say more with stacks. `None` if stacks would not help, or do not exist
/// on this system.
#[cfg(any(test, not(feature = "stacks")))]
fn hint(timeouts: &crate::report::timeouts::Timeouts) -> Option<&'static str> {
    use crate::routine::kind::RoutineKind;

    let is_thread = |kind: &RoutineKind| matches!(kind, RoutineKind::Thread { .. });
    let helps = SUPPORTED && timeouts.routines().any(|routine| is_thread(&routine.kind));
    helps.then_some(
        "For the lines on which these threads hang, build with quitter's feature \"stacks\"",
    )
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::Quitter;

    #[test]
    fn only_a_report_with_threads_hints_at_stacks() {
        let root = Quitter::root("main");
        let guard = root.guard("guard").unwrap();
        let timeouts = root.wait_done(Duration::ZERO).unwrap_err();
        assert_eq!(hint(&timeouts), None);
        root.add_routine(|q| q.wait_quit()).unwrap();
        let timeouts = root.wait_done(Duration::ZERO).unwrap_err();
        assert_eq!(hint(&timeouts).is_some(), SUPPORTED);
        drop(guard);
        root.quit_and_wait(Duration::MAX).unwrap();
    }
}
