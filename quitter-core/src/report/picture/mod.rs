//! The picture of a quit on a terminal, for the feature `progress`; nothing where it is off, and where
//! there are no Unix terminals.
//!
//! The cursor stays where the program left it, and the picture is drawn below it. So output of the
//! program never is overwritten, resizing the terminal spoils nothing, and "erase what is below" takes
//! the picture away, whatever it was.

#[cfg(not(all(feature = "progress", unix)))]
mod off;
#[cfg(all(feature = "progress", unix))]
mod on;
#[cfg(all(feature = "progress", unix))]
mod render;

#[cfg(not(all(feature = "progress", unix)))]
pub(crate) use off::*;
#[cfg(all(feature = "progress", unix))]
pub(crate) use on::*;
