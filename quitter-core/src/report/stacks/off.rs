//! Without the feature: there are no stacks, and a report says how to get them.

use std::fmt;
use std::marker::PhantomData;

use super::{Called, hint};
use crate::report::text::write_broken;
use crate::report::timeouts::{StuckRoutine, Timeouts};

/// The stacks of routines that share a line.
#[derive(Default)]
pub(in crate::report) struct LineStacks<'a>(PhantomData<&'a StuckRoutine>);

impl<'a> LineStacks<'a> {
    pub(in crate::report) fn of(_: &'a StuckRoutine) -> Self {
        Self::default()
    }

    pub(in crate::report) fn include(&mut self, _: &'a StuckRoutine) {}

    pub(in crate::report) fn facts(&self) -> Vec<String> {
        Vec::new()
    }

    pub(in crate::report) fn lines(
        &self,
        _: Called<'a>,
        _: &mut ShownStacks<'a>,
        _: usize,
    ) -> Vec<String> {
        Vec::new()
    }
}

/// The stacks that a list has shown.
#[derive(Default)]
pub(in crate::report) struct ShownStacks<'a>(PhantomData<&'a StuckRoutine>);

/// Writes the hint to enable the feature, if stacks would help.
pub(in crate::report) fn write_note(
    f: &mut fmt::Formatter<'_>,
    timeouts: &Timeouts,
) -> fmt::Result {
    hint(timeouts).map_or(Ok(()), |hint| write_broken(f, &format!("\n{hint}")))
}
