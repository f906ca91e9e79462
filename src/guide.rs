//! Pages for people: how to test a shutdown, recipes, where it hangs, and what to rely on.

#[doc = include_str!("guide/testing.md")]
pub mod testing {}

#[doc = include_str!("guide/recipes.md")]
pub mod recipes {}

#[doc = include_str!("guide/diagnosis.md")]
pub mod diagnosis {}

#[doc = include_str!("guide/guarantees.md")]
pub mod guarantees {}
