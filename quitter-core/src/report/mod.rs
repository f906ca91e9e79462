//! What is said of a quit, as data and as text, and the thread that writes it.

pub(crate) mod cause;
pub(crate) mod console;
pub(crate) mod escape;
pub(crate) mod exit;
pub(crate) mod failure;
mod listing;
pub(crate) mod path;
mod text;
pub(crate) mod timeouts;
pub(crate) mod waiting;
