//! The polls of a routine that is a task. Reports with stacks ask what it awaits; without the feature
//! `stacks` nobody asks.

#[cfg(feature = "stacks")]
pub(super) use crate::stacks::tasks::Polls;
#[cfg(not(feature = "stacks"))]
pub(super) use off::Polls;

#[cfg(not(feature = "stacks"))]
mod off {
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
            _thread: u64,
        ) -> Poll<F::Output> {
            future.poll(cx)
        }

        pub(crate) fn end(&self) {}
    }
}
