//! Futures that are dropped when their quitter is told to quit.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use crate::error::Quitting;
use crate::pinned::Inner;
use crate::quitter::Quitter;
use crate::routine::quitter::RoutineQuitter;
use crate::tree::{Node, QuitWait};

/// A future that ends when its quitter is told to quit. Made by
/// [`Quitter::cancel_on_quit`](crate::Quitter::cancel_on_quit).
#[must_use = "a future does nothing unless it is awaited"]
pub struct CancelOnQuit<F> {
    pub(crate) future: Inner<F>,
    pub(crate) quits: Quits,
}

pub(crate) struct Quits {
    wait: QuitWait,
    has_begun: bool,
}

impl<F: Future> CancelOnQuit<F> {
    fn new(node: &Arc<Node>, future: F) -> Self {
        Self {
            future: Inner::new(Some(future)),
            quits: Quits {
                wait: QuitWait::new(node),
                has_begun: false,
            },
        }
    }
}

impl<F: Future> Future for CancelOnQuit<F> {
    type Output = Result<F::Output, Quitting>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let (mut future, quits) = self.parts();
        // The first poll checks whether to begin at all. From then on the future comes first, so that a
        // result that is ready is not lost.
        let begins = !std::mem::replace(&mut quits.has_begun, true);
        if !(begins && quits.wait.is_over())
            && let Some(running) = future.as_mut().get()
            && let Poll::Ready(output) = running.poll(cx)
        {
            future.clear_pinned();
            return Poll::Ready(Ok(output));
        }
        ready!(Pin::new(&mut quits.wait).poll(cx));
        future.clear_pinned();
        Poll::Ready(Err(Quitting))
    }
}

impl<F> fmt::Debug for CancelOnQuit<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CancelOnQuit").finish_non_exhaustive()
    }
}

impl Quitter {
    /// Awaits `future` until this quitter is told to quit: then the future is dropped, and the result is
    /// [`Quitting`]. Works on any executor.
    ///
    /// If the quitter is quitting already when this is first polled, `future` is not polled at all. So a
    /// loop around it ends, even if its future is always ready. After that, if the future becomes ready at
    /// the moment of the quit, the future's output counts: nothing that was received is lost.
    ///
    /// If a future must not be dropped half-way, such as a write, await it directly, and
    /// [`quitting`](Self::quitting) beside it.
    ///
    /// The future may borrow. If this is polled again after its output was taken, it is pending until the
    /// quit, and then yields [`Quitting`].
    ///
    /// # Errors
    ///
    /// [`Quitting`] if told to quit before the future was ready.
    ///
    /// # Examples
    ///
    /// ```
    /// # use quitter_core as quitter;
    /// # use std::pin::pin;
    /// # use std::task::{Context, Poll, Waker};
    /// use quitter::{Quitter, Quitting};
    ///
    /// struct Connection;
    /// impl Connection {
    ///     async fn read_frame(&mut self) -> Option<Vec<u8>> {
    /// #       std::future::pending::<()>().await;
    ///         None
    ///     }
    /// }
    ///
    /// async fn serve(q: &Quitter, mut connection: Connection) -> Result<(), Quitting> {
    ///     while let Some(frame) = q.cancel_on_quit(connection.read_frame()).await? {
    ///         println!("{} bytes", frame.len());
    ///     }
    ///     Ok(())
    /// }
    /// # let root = Quitter::root("main");
    /// # let mut served = pin!(serve(&root, Connection));
    /// # let mut cx = Context::from_waker(Waker::noop());
    /// # assert!(served.as_mut().poll(&mut cx).is_pending());
    /// # root.send_quit();
    /// # assert_eq!(served.as_mut().poll(&mut cx), Poll::Ready(Err(Quitting)));
    /// ```
    pub fn cancel_on_quit<F: Future>(&self, future: F) -> CancelOnQuit<F> {
        CancelOnQuit::new(self.node(), future)
    }
}

impl RoutineQuitter {
    /// Awaits `future` until the routine is told to quit, like [`Quitter::cancel_on_quit`]. Reports show
    /// where and when this was last called.
    ///
    /// # Errors
    ///
    /// [`Quitting`] if told to quit before the future was ready. A routine that returns this error
    /// has not failed.
    #[track_caller]
    pub fn cancel_on_quit<F: Future>(&self, future: F) -> CancelOnQuit<F> {
        CancelOnQuit::new(self.record_timed_call(), future)
    }
}
