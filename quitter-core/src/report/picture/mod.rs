//! The picture of a quit on a terminal. There is none without the feature `progress`, or without Unix
//! terminals.
//!
//! The cursor stays where the program left it, and the picture is drawn below it. So the program's output is
//! never overwritten, resizing the terminal spoils nothing, and erasing everything below the cursor removes
//! the picture, whatever it was.

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
