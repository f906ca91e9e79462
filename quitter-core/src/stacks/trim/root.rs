//! Shortens the paths of files by the directory in which the compiler was started.

use std::collections::HashMap;

use crate::stacks::{Frame, Stack};

/// Shortens the files in the stacks of a report to paths below the directory in which the program was
/// compiled. `stacks` pairs each stack with the place where its routine was added, which is relative to that
/// directory.
///
/// A single stack may not reveal the directory: a routine that `main.rs` adds may only have calls in
/// `lib.rs`. And a file has to be spelled the same in all stacks, since equal stacks are shown once.
pub(in crate::stacks) fn shorten_files<'a>(stacks: impl Iterator<Item = (&'a str, &'a mut Stack)>) {
    let mut stacks: Vec<_> = stacks.collect();
    let Some(root) = root(&stacks).map(str::to_owned) else {
        return;
    };
    let frames = stacks.iter_mut().flat_map(|(_, stack)| &mut stack.frames);
    for file in frames.filter_map(|frame| frame.file.as_mut()) {
        if let Some(below) = file.strip_prefix(&root) {
            *file = below.to_owned();
        }
    }
}

/// The directory that most stacks agree on, or the first of several. Another one may belong to a dependency
/// with a file of the same name.
fn root<'a>(stacks: &'a [(&str, &mut Stack)]) -> Option<&'a str> {
    let mut roots: HashMap<&str, usize> = HashMap::new();
    let mut most = None;
    for found in stacks
        .iter()
        .filter_map(|(place, stack)| root_of(&stack.frames, place))
    {
        let count = roots.entry(found).or_default();
        *count += 1;
        if most.is_none_or(|(_, most)| *count > most) {
            most = Some((found, *count));
        }
    }
    most.map(|(root, _)| root)
}

/// The directory according to the call of a stack that is nearest to the place.
fn root_of<'a>(frames: &'a [Frame], place: &str) -> Option<&'a str> {
    let files = frames.iter().filter_map(|frame| frame.file.as_deref());
    let mut roots = files.rev().filter_map(|file| file.strip_suffix(place));
    roots.find(|root| root.starts_with('/') && root.ends_with('/') && root.len() > 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stack(files: &[&str]) -> Stack {
        let frame = |file: &&str| Frame {
            function: "store::flush".to_owned(),
            file: Some((*file).to_owned()),
            line: Some(88),
            module: Some("store".to_owned()),
            offset: 0x1a2b,
        };
        Stack {
            frames: files.iter().map(frame).collect(),
            is_cut: false,
            names_unread: false,
            lacks_lines: false,
        }
    }

    /// The files of the stacks, each with the place of its routine.
    fn shortened(stacks: &[(&str, &[&str])]) -> Vec<String> {
        let of = stacks.iter().map(|(place, files)| (*place, stack(files)));
        let mut of: Vec<_> = of.collect();
        shorten_files(of.iter_mut().map(|(place, stack)| (*place, stack)));
        let frames = of.into_iter().flat_map(|(_, stack)| stack.frames);
        frames.filter_map(|frame| frame.file).collect()
    }

    #[test]
    fn files_are_shown_as_the_compiler_was_given_them() {
        let files = ["/home/me/store/src/db.rs", "/home/me/store/src/store.rs"];
        assert_eq!(
            shortened(&[("src/store.rs", &files)]),
            ["src/db.rs", "src/store.rs"]
        );
        for place in ["c/store.rs", files[1], "home/me/store/src/store.rs"] {
            assert_eq!(shortened(&[(place, &files)]), files);
        }
    }

    #[test]
    fn a_file_is_spelled_the_same_where_a_stack_has_no_call_near_its_routines_place() {
        let lib: &[&str] = &["/home/me/store/src/lib.rs"];
        for stacks in [
            [("src/main.rs", lib), ("src/lib.rs", lib)],
            [("src/lib.rs", lib), ("src/main.rs", lib)],
        ] {
            assert_eq!(shortened(&stacks), ["src/lib.rs", "src/lib.rs"]);
        }
    }

    #[test]
    fn a_dependency_with_a_file_of_the_same_name_keeps_its_folder() {
        let (own, other) = ("/home/me/store/src/lib.rs", "/home/me/db/src/lib.rs");
        // The dependency's call is the inner one.
        let both: &[&str] = &[other, own];
        assert_eq!(shortened(&[("src/lib.rs", both)]), [other, "src/lib.rs"]);
        let (others, owns): (&[&str], &[&str]) = (&[other], &[own]);
        let stacks = [others, owns, owns].map(|files| ("src/lib.rs", files));
        assert_eq!(shortened(&stacks), [other, "src/lib.rs", "src/lib.rs"]);
    }
}
