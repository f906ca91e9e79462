//! Routines that are added without a name.

use std::any::{TypeId, type_name};
use std::borrow::Cow;
use std::sync::Arc;

use super::builder::RoutineBuilder;
use super::registry;
use crate::tree::Node;

/// Returns the builder for a routine that is added without one: with the settings of its attribute, or else
/// with only a name.
pub(crate) fn describe<F: 'static>(node: &Arc<Node>) -> RoutineBuilder<'_> {
    match registry::find(TypeId::of::<F>()) {
        Some(registered) => registered.describe(node),
        None => RoutineBuilder::new(node, name_from_type(type_name::<F>())),
    }
}

/// The last segment of a type's name; for a closure, that of the enclosing function.
fn name_from_type(type_name: &'static str) -> Cow<'static, str> {
    let path = type_name.trim_end_matches("::{{closure}}");
    match last_segment(path) {
        "" => "routine".into(),
        name if path != type_name => format!("closure in {name}").into(),
        name => name.into(),
    }
}

/// The text after the last `::` outside generic arguments, without its own generic arguments.
fn last_segment(path: &str) -> &str {
    let mut depth = 0_usize;
    let (mut from, mut to) = (0, None);
    let mut before = ' ';
    for (at, c) in path.char_indices() {
        match c {
            '<' | '(' | '[' => {
                if depth == 0 {
                    to = to.or(Some(at));
                }
                depth += 1;
            }
            // The arrow of a function pointer.
            '>' if before == '-' => {}
            '>' | ')' | ']' => depth = depth.saturating_sub(1),
            ':' if depth == 0 => (from, to) = (at + 1, None),
            _ => {}
        }
        before = c;
    }
    path[from..to.unwrap_or(path.len())].trim_start_matches('&')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_from_the_last_segment_of_the_type() {
        assert_eq!(name_from_type("app::beat::heartbeat"), "heartbeat");
        assert_eq!(name_from_type("app::main::{{closure}}"), "closure in main");
        assert_eq!(
            name_from_type("app::main::{{closure}}::{{closure}}"),
            "closure in main"
        );
        assert_eq!(
            name_from_type("app::Db<app::main::{{closure}}>::run::{{closure}}"),
            "closure in run"
        );
        assert_eq!(name_from_type("app::work<fn(u8) -> [u8; 3]>"), "work");
        assert_eq!(name_from_type("app::work<alloc::string::String>"), "work");
        assert_eq!(name_from_type("<app::Db as app::Work>::run"), "run");
        assert_eq!(
            name_from_type("app::Db<alloc::vec::Vec<u8>>::run::{{closure}}"),
            "closure in run"
        );
        assert_eq!(
            name_from_type("alloc::boxed::Box<dyn core::ops::function::FnOnce(&u8)>"),
            "Box"
        );
        assert_eq!(name_from_type("fn(&app::RoutineQuitter)"), "fn");
    }
}
