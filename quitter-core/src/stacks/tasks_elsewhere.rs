//! The polls of tasks where there are no stacks, or without the feature: tasks are only polled.

use std::pin::Pin;
use std::task::{Context, Poll};

#[derive(Debug, Default)]
pub(crate) struct Polls;

impl Polls {
    pub(crate) fn is_empty(&self) -> bool {
        true
    }

    pub(crate) fn leave_out(&self) {}

    pub(crate) fn poll<F: Future>(
        &self,
        future: Pin<&mut F>,
        cx: &mut Context<'_>,
        _: u64,
    ) -> Poll<F::Output> {
        future.poll(cx)
    }

    pub(crate) fn end(&self) {}
}
