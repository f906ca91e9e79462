//! Paths of quitters, which share the names that they have in common.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::ops::Deref;
use std::sync::{Arc, OnceLock};

use crate::report::escape::{cut, suffix};

/// The path of a quitter in a report: the names from the root down, joined with slashes.
///
/// Derefs to [`str`]. The paths of one report share the names that they have in common, so that many
/// deep paths take little memory. The joined text is made, and kept, at the first deref; comparing,
/// displaying and converting a path do not need it.
///
/// The [`Display`](fmt::Display) form is the path unchanged. A report escapes the paths that it shows, and
/// leaves out the middle of long ones.
///
/// # Examples
///
/// ```
/// # use quitter_core as quitter;
/// use std::time::Duration;
/// use quitter::{Quitter, QuitterPath};
///
/// let root = Quitter::root("main");
/// let child = root.child("db").unwrap();
/// let _flusher = child.guard("flusher").unwrap();
/// let timeouts = root.wait_done(Duration::ZERO).unwrap_err();
///
/// let path: QuitterPath = timeouts.into_iter().next().unwrap().quitter;
/// assert_eq!(path, "main/db");
/// assert!(path.starts_with("main/"));
/// assert_eq!(String::from(path), child.path());
/// ```
#[derive(Clone)]
pub struct QuitterPath(Arc<Segment>);

/// Some consecutive names, and all names above them.
struct Segment {
    names: Cow<'static, str>,
    parent: Option<Arc<Segment>>,
    /// The uppermost segment; `None` if this is it.
    top: Option<Arc<Segment>>,
    /// The number of names from the root's to the last one of this segment.
    depth: usize,
    /// The joined text, made at the first deref.
    text: OnceLock<Box<str>>,
}

impl QuitterPath {
    fn below(parent: Option<Self>, names: Cow<'static, str>, depth: usize) -> Self {
        let parent = parent.map(|path| path.0);
        let top_of = |parent: &Arc<Segment>| Arc::clone(parent.top.as_ref().unwrap_or(parent));
        Self(Arc::new(Segment {
            names,
            top: parent.as_ref().map(top_of),
            parent,
            depth,
            text: OnceLock::new(),
        }))
    }

    /// The names of each segment, from the last one up to the root's.
    fn upwards(&self) -> impl Iterator<Item = &str> {
        let segments = std::iter::successors(Some(&*self.0), |at| at.parent.as_deref());
        segments.map(|segment| &*segment.names)
    }

    /// The joined text, from its last character to its first.
    fn chars_backwards(&self) -> impl Iterator<Item = char> {
        let mut upwards = self.upwards();
        let last = upwards.next().unwrap_or_default();
        let above = upwards.flat_map(|names| ['/'].into_iter().chain(names.chars().rev()));
        last.chars().rev().chain(above)
    }

    /// The path unchanged if it has at most `length` characters, otherwise the root's name and as many of the
    /// last names as fit, with "…" between. Reads little more of the path than it returns.
    #[cfg(feature = "serde")]
    pub(crate) fn text_within(&self, length: usize) -> String {
        let mut last: Vec<char> = self.chars_backwards().take(length + 1).collect();
        let is_whole = last.len() <= length;
        last.reverse();
        if is_whole {
            return last.into_iter().collect();
        }
        let top = self.0.top.as_ref().unwrap_or(&self.0);
        let root: String = top
            .names
            .split('/')
            .next()
            .unwrap_or_default()
            .chars()
            .take(length / 3)
            .collect();
        let end = &last[root.chars().count() + 3..];
        // Begin with a whole name, unless the last one alone is too long.
        let names = end
            .iter()
            .position(|c| *c == '/')
            .map_or(end, |at| &end[at..]);
        format!("{root}/…{}", names.iter().collect::<String>())
    }

    /// The path in at most `width` columns, escaped. A longer path is cut to the root's name and the last
    /// names. Reads little more of the path than it shows.
    pub(crate) fn shown(&self, width: usize) -> String {
        let Some(top) = &self.0.top else {
            return cut(&self.0.names, width);
        };
        let last: Vec<char> = self.chars_backwards().take(width + 1).collect();
        let text: String = last.iter().rev().collect();
        if last.len() <= width {
            return cut(&text, width);
        }
        let root = top.names.split('/').next().unwrap_or_default();
        let root = cut(root, width / 3);
        let end = suffix(&text, width.saturating_sub(root.chars().count() + 2));
        // Begin with a whole name, unless the last one alone is too long.
        let names = end.find('/').map_or(&end[..], |at| &end[at..]);
        format!("{root}/…{names}")
    }
}

/// Makes the paths of one report.
#[derive(Default)]
pub(crate) struct Paths {
    by_id: HashMap<u64, QuitterPath>,
}

impl Paths {
    /// The number of names after which a segment ends, so that other paths can share it. Not larger, since a
    /// path copies up to that many names; not smaller, since each segment takes memory.
    const APART: usize = 64;

    /// The path of a quitter. `lineage` has its id and name, then its parent's, and so on up to the root.
    pub(crate) fn of<'a>(
        &mut self,
        lineage: impl Iterator<Item = (u64, &'a Cow<'static, str>)>,
    ) -> QuitterPath {
        let mut known: Option<QuitterPath> = None;
        let mut new = Vec::new();
        for (id, name) in lineage {
            known = self.by_id.get(&id).cloned();
            if known.is_some() {
                break;
            }
            new.push((id, name));
        }
        let mut depth = known.as_ref().map_or(0, |path| path.0.depth);
        let mut names: Option<Cow<'static, str>> = None;
        for (above, (id, name)) in new.into_iter().enumerate().rev() {
            depth += 1;
            names = Some(match names {
                None => name.clone(),
                Some(names) => Cow::Owned(names.into_owned() + "/" + name),
            });
            // A segment ends at the quitter itself, at its parent, because siblings share it, and at some
            // quitters further up.
            if above < 2 || depth.is_multiple_of(Self::APART) {
                let path = QuitterPath::below(known, names.take().unwrap_or_default(), depth);
                self.by_id.insert(id, path.clone());
                known = Some(path);
            }
        }
        known.unwrap_or_else(|| QuitterPath::from(String::new()))
    }
}

impl Deref for QuitterPath {
    type Target = str;

    fn deref(&self) -> &str {
        match self.0.parent {
            None => &self.0.names,
            Some(_) => self.0.text.get_or_init(|| self.to_string().into()),
        }
    }
}

impl fmt::Display for QuitterPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(text) = self.0.text.get() {
            return f.write_str(text);
        }
        let segments: Vec<_> = self.upwards().collect();
        for (i, names) in segments.iter().rev().enumerate() {
            if i > 0 {
                f.write_str("/")?;
            }
            f.write_str(names)?;
        }
        Ok(())
    }
}

impl fmt::Debug for QuitterPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.to_string())
    }
}

impl PartialEq for QuitterPath {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.chars_backwards().eq(other.chars_backwards())
    }
}

impl Eq for QuitterPath {}

impl PartialEq<str> for QuitterPath {
    fn eq(&self, other: &str) -> bool {
        self.chars_backwards().eq(other.chars().rev())
    }
}

impl PartialEq<&str> for QuitterPath {
    fn eq(&self, other: &&str) -> bool {
        *self == **other
    }
}

impl PartialEq<String> for QuitterPath {
    fn eq(&self, other: &String) -> bool {
        *self == **other
    }
}

impl From<String> for QuitterPath {
    fn from(text: String) -> Self {
        Self::below(None, text.into(), 1)
    }
}

impl From<QuitterPath> for String {
    fn from(path: QuitterPath) -> Self {
        path.to_string()
    }
}

impl Drop for Segment {
    /// Iterates instead of recursing: a path may have a million names.
    fn drop(&mut self) {
        let mut above = self.parent.take();
        while let Some(segment) = above {
            above = Arc::into_inner(segment).and_then(|mut segment| segment.parent.take());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The path of the quitter with the last of these names, whose ids are their positions.
    fn path(paths: &mut Paths, names: &[Cow<'static, str>]) -> QuitterPath {
        let lineage = names.iter().enumerate().rev();
        paths.of(lineage.map(|(id, name)| (id as u64, name)))
    }

    fn names(of: impl IntoIterator<Item = impl Into<String>>) -> Vec<Cow<'static, str>> {
        of.into_iter().map(|name| name.into().into()).collect()
    }

    #[test]
    fn paths_of_one_report_share_their_names() {
        let mut paths = Paths::default();
        let names = names((0..1000).map(|level| level.to_string()));
        let deep = path(&mut paths, &names);
        let parent = path(&mut paths, &names[..999]);
        assert!(Arc::ptr_eq(&parent.0, deep.0.parent.as_ref().unwrap()));
        assert!(paths.by_id.len() < 20, "{} segments", paths.by_id.len());
        let other = path(&mut paths, &names[..500]);
        assert!(paths.by_id.contains_key(&(448 - 1)));
        assert_eq!(other.0.depth, 500);
        assert_eq!(other.0.parent.as_ref().unwrap().depth, 499);
        assert_eq!(String::from(other), names[..500].join("/"));
        assert_eq!(String::from(deep), names.join("/"));
    }

    #[test]
    fn a_path_is_equal_to_its_text_however_it_was_made() {
        let made = path(&mut Paths::default(), &names(["main", "d/b", "", "store"]));
        assert_eq!(made, "main/d/b//store");
        assert_eq!(made, String::from("main/d/b//store"));
        assert_eq!(made, QuitterPath::from("main/d/b//store".to_owned()));
        assert_ne!(made, "main/d/b/store");
        assert_ne!(made, "n/d/b//store");
        assert_eq!(&made[..], "main/d/b//store");
        assert_eq!(made.to_string(), "main/d/b//store");
        assert_eq!(format!("{made:?}"), "\"main/d/b//store\"");
    }

    #[test]
    fn a_long_path_is_shown_by_its_root_and_its_last_names() {
        let names = names((0..20_000).map(|level| format!("level{level}")));
        let path = path(&mut Paths::default(), &names);
        assert_eq!(path.shown(42), "level0/…/level19997/level19998/level19999");
        assert!(path.0.text.get().is_none());
    }

    #[test]
    fn what_is_shown_fits_whatever_the_names_are() {
        let long = "x".repeat(1000);
        for names in [
            names(["main", &long]),
            names([&long[..], "a", "b"]),
            names(["a", &long, &long, &long]),
            names(vec![""; 1000]),
            names(["main\n"; 50]),
        ] {
            let shown = path(&mut Paths::default(), &names).shown(40);
            assert!(shown.chars().count() <= 41, "{shown}");
            assert!(shown.contains('…') && !shown.contains('\n'), "{shown}");
        }
    }

    #[test]
    fn a_short_path_is_shown_whole_and_escaped() {
        let path = path(&mut Paths::default(), &names(["main", "db", "a\nb"]));
        assert_eq!(path.shown(40), r"main/db/a\nb");
    }

    #[test]
    fn a_path_of_many_names_is_made_read_and_dropped() {
        let names = vec![Cow::Borrowed("n"); 200_000];
        let path = path(&mut Paths::default(), &names);
        assert_eq!(path.len(), 399_999);
        drop(path);
    }
}
