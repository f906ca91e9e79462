//! Pages for people: how to test a shutdown, recipes, the shape of its JSON, and what to rely on.

#[doc = include_str!("guide/testing.md")]
pub mod testing {}

#[doc = include_str!("guide/recipes.md")]
pub mod recipes {}

#[doc = include_str!("guide/json.md")]
pub mod json {}

#[doc = include_str!("guide/guarantees.md")]
pub mod guarantees {}
