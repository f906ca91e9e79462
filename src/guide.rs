//! Pages for people: how to test a shutdown, recipes, tokio, where it hangs, the shape of the JSON, and what to
//! rely on.

#[doc = include_str!("guide/testing.md")]
pub mod testing {}

#[doc = include_str!("guide/recipes.md")]
pub mod recipes {}

// Its programs need the feature.
#[cfg(any(not(doctest), feature = "tokio"))]
#[doc = include_str!("guide/tokio.md")]
pub mod tokio {}
#[doc = include_str!("guide/json.md")]
pub mod json {}
#[doc = include_str!("guide/processes.md")]
pub mod processes {}
#[doc = include_str!("guide/diagnosis.md")]
pub mod diagnosis {}

#[doc = include_str!("guide/guarantees.md")]
pub mod guarantees {}

#[cfg(all(unix, feature = "io"))]
#[doc = include_str!("guide/io.md")]
pub mod io {}
