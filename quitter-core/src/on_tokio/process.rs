//! Async waits for the end of a child process, with a timeout.

use std::time::Duration;

use super::wait::wait_for;
use crate::report::timeouts::Timeouts;
use crate::routine::process::{ProcessEnd, ProcessHandle};

impl ProcessHandle {
    /// Waits for the process to end, for at most `timeout`, and returns how it ended: the async form of
    /// [`wait`](Self::wait). The wait begins when the future is first polled.
    ///
    /// Does not tell the process to end, and closes no pipe. The future borrows nothing, may be dropped at
    /// any time, and several tasks may wait for one process. Like [`wait`](Self::wait), it ends by the
    /// deadline of a quit; [`ended`](Self::ended) does not.
    ///
    /// # Errors
    ///
    /// Returns [`Timeouts`], which lists this one routine, if the time is up.
    ///
    /// # Panics
    ///
    /// Panics like [`Quitter::wait_done_async`](crate::Quitter::wait_done_async).
    ///
    /// # Examples
    ///
    /// ```
    /// # use quitter_core as quitter;
    /// # #[cfg(unix)]
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// use std::process::Command;
    /// use std::time::Duration;
    ///
    /// let root = quitter::Quitter::root("main");
    /// let mut command = Command::new("sleep");
    /// command.arg("100");
    /// let sleep = root.add_process(command).unwrap();
    /// assert!(sleep.wait_async(Duration::from_millis(10)).await.is_err());
    /// root.send_quit();
    /// assert!(sleep.wait_async(Duration::MAX).await.unwrap().is_by_quit());
    /// # }
    /// # #[cfg(not(unix))]
    /// # fn main() {}
    /// ```
    pub fn wait_async(
        &self,
        timeout: Duration,
    ) -> impl Future<Output = Result<ProcessEnd, Timeouts>> + Send + use<> {
        let (node, record) = (self.node().clone(), self.record().clone());
        let end = self.end_once_finished();
        async move {
            wait_for(&node, &record, timeout).await?;
            Ok(end())
        }
    }
}
