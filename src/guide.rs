//! Pages for people: how to test a shutdown, recipes, and what to rely on.

#[doc = include_str!("guide/testing.md")]
pub mod testing {}

#[doc = include_str!("guide/recipes.md")]
pub mod recipes {}

#[doc = include_str!("guide/guarantees.md")]
pub mod guarantees {}

#[cfg(all(unix, feature = "io"))]
#[doc = include_str!("guide/io.md")]
pub mod io {}
