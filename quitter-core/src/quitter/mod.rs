//! [`Quitter`], the handle that programs hold. It is thin: all locking is in the tree.

mod quitting;
mod snapshot;
mod start;
mod waiting;

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

pub(crate) use self::quitting::{quit_cause, request_quit, sleep, wait_quit};
use crate::error::Quitting;
use crate::report::failure::RoutineFailure;
use crate::tree::Node;

/// A node of the tree: it has a name, child quitters and live routines, and it is either running
/// or quitting.
///
/// A quitter quits when it, or a quitter above it, is told to; never because one below it quits. A quit is
/// final: from then on the quitter refuses children and routines.
///
/// This is a cheap handle: a clone refers to the same quitter. Dropping the last handle quits nothing: the
/// routines go on, supervised by the quitters above. A quitter with no handles, live routines or children
/// is freed.
///
/// # Examples
///
/// ```
/// # use quitter_core as quitter;
/// use std::time::Duration;
/// use quitter::Quitter;
///
/// let root = Quitter::root("main");
/// let child = root.child("childQuitter").unwrap();
/// child
///     .add_routine(|q| {
///         for _ in q.ticks(Duration::from_millis(10)) {
///             // Beat until told to quit.
///         }
///     })
///     .unwrap();
///
/// child.quit_and_wait(Duration::from_secs(2)).unwrap();
/// assert!(child.has_to_quit());
/// assert!(!root.has_to_quit());
/// ```
pub struct Quitter {
    node: Arc<Node>,
}

impl Clone for Quitter {
    fn clone(&self) -> Self {
        self.node.add_quitter();
        Self::of_new(Arc::clone(&self.node))
    }
}

impl Drop for Quitter {
    #[inline]
    fn drop(&mut self) {
        self.node.drop_quitter();
    }
}

impl Quitter {
    /// Creates the root of a separate tree, without any claim on the process. It is meant for libraries and
    /// tests; programs create a [`MainQuitter`](crate::MainQuitter).
    ///
    /// The tree quits when its owner tells it to, or when a routine fails and its
    /// [`OnFailure`](crate::OnFailure) says so.
    ///
    /// # Examples
    ///
    /// ```
    /// # use quitter_core as quitter;
    /// let root = quitter::Quitter::root("my library");
    /// assert_eq!(root.path(), "my library");
    /// ```
    #[must_use]
    pub fn root(name: impl Into<Cow<'static, str>>) -> Self {
        Self::of_new(Node::root(name.into(), None))
    }

    pub(crate) fn of_new(node: Arc<Node>) -> Self {
        Self { node }
    }

    pub(crate) fn node(&self) -> &Arc<Node> {
        &self.node
    }

    /// Creates a child quitter, which quits when this one does, or earlier on its own.
    ///
    /// The name is a literal, or a `String` if it is built at run time. Names may repeat: reports list two
    /// children with the same name separately. The policies of this quitter,
    /// [`on_failure`](Self::on_failure) and [`failures_while_quitting`](Self::failures_while_quitting),
    /// apply to the child, too, unless it has its own.
    ///
    /// # Errors
    ///
    /// [`Quitting`] if this quitter has been told to quit.
    ///
    /// # Examples
    ///
    /// ```
    /// # use quitter_core as quitter;
    /// let root = quitter::Quitter::root("main");
    /// let child = root.child("childQuitter").unwrap();
    /// assert_eq!(child.path(), "main/childQuitter");
    /// ```
    pub fn child(&self, name: impl Into<Cow<'static, str>>) -> Result<Self, Quitting> {
        Ok(Self::of_new(self.node.child(name.into())?))
    }

    /// Returns the failures of the whole tree so far, in the order in which they happened: the first
    /// thousand, and the one that made the root quit. Failures under
    /// [`OnFailure::Report`](crate::OnFailure::Report) are left out.
    ///
    /// To find the failures of certain routines, compare [`RoutineFailure::id`] with the
    /// [`id`](crate::RoutineHandle::id) of their handles: two quitters may have the same path.
    ///
    /// # Examples
    ///
    /// ```
    /// # use quitter_core as quitter;
    /// use std::time::Duration;
    ///
    /// let root = quitter::Quitter::root("main");
    /// root.routine("disk").add(|_| Err::<(), _>("disk full")).unwrap();
    /// root.wait_done(Duration::MAX).unwrap();
    /// assert!(root.has_to_quit());
    /// assert_eq!(root.failures()[0].name, "disk");
    /// ```
    #[must_use]
    pub fn failures(&self) -> Vec<RoutineFailure> {
        self.node.failures().listed
    }

    /// Returns the name that the quitter was created with.
    #[must_use]
    pub fn name(&self) -> &str {
        self.node.name()
    }

    /// Returns the names from the root down to this quitter, joined with slashes: `main/childQuitter`.
    ///
    /// # Examples
    ///
    /// ```
    /// # use quitter_core as quitter;
    /// let root = quitter::Quitter::root("main");
    /// assert_eq!(root.child("a").unwrap().child("b").unwrap().path(), "main/a/b");
    /// ```
    #[must_use]
    pub fn path(&self) -> String {
        self.node.path()
    }
}

impl fmt::Debug for Quitter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        debug(&mut f.debug_struct("Quitter"), &self.node)
    }
}

pub(crate) fn debug(f: &mut fmt::DebugStruct<'_, '_>, node: &Arc<Node>) -> fmt::Result {
    f.field("path", &node.path())
        .field("has_to_quit", &node.is_quitting())
        .field("live_routines", &node.live_routines())
        .finish()
}
