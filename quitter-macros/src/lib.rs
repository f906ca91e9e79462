//! The attributes [`#[quitter::main]`](macro@main) and [`#[quitter::routine]`](macro@routine).
//!
//! This crate is part of [`quitter`](https://docs.rs/quitter). Depend on `quitter`, which exports both
//! attributes and everything that their expansions call. Both attributes are sugar: each is documented
//! beside the same program written without it.
//!
//! ```no_run
//! use std::time::Duration;
//!
//! use quitter::RoutineQuitter;
//!
//! #[quitter::routine]
//! fn heartbeat(q: &RoutineQuitter) {
//!     for _ in q.ticks(Duration::from_secs(1)) {
//!         println!("beat");
//!     }
//! }
//!
//! #[quitter::main(timeout = "2s")]
//! fn main() {}
//! ```

mod args;
mod function;
mod main_attr;
mod place;
mod routine_attr;
mod runtime;

use proc_macro::TokenStream;

#[doc = include_str!("docs/main.md")]
#[doc = include_str!("docs/main_options.md")]
#[doc = include_str!("docs/main_misuse.md")]
#[proc_macro_attribute]
pub fn main(args: TokenStream, item: TokenStream) -> TokenStream {
    main_attr::attribute(args.into(), item.into()).into()
}

#[doc = include_str!("docs/routine.md")]
#[proc_macro_attribute]
pub fn routine(args: TokenStream, item: TokenStream) -> TokenStream {
    routine_attr::attribute(args.into(), item.into()).into()
}
