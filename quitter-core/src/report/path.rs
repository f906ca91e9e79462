//! Paths of quitters that share what they have in common.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::ops::Deref;
use std::sync::{Arc, OnceLock};

use crate::report::escape::cut;

/// The path of a quitter in a report: the names from the root down, joined with slashes.
///
/// The paths of one report share the names that they have in common. The joined text is made when
/// it is first asked for, and kept: by [`Deref`], which everything a `str` can do goes through.
/// Comparing and displaying a path do without.
///
/// [`Display`](fmt::Display) writes the path as it is. Reports escape it, and leave out the middle of
/// a long one.
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

/// A name in a path, and all names above it.
struct Segment {
    name: Cow<'static, str>,
    parent: Option<Arc<Segment>>,
    /// The uppermost segment; `None`: this is it.
    top: Option<Arc<Segment>>,
    /// The joined text, once somebody has asked for it.
    text: OnceLock<Box<str>>,
}

impl QuitterPath {
    fn below(parent: Option<Arc<Segment>>, name: Cow<'static, str>) -> Self {
        let top_of = |parent: &Arc<Segment>| Arc::clone(parent.top.as_ref().unwrap_or(parent));
        Self(Arc::new(Segment {
            name,
            top: parent.as_ref().map(top_of),
            parent,
            text: OnceLock::new(),
        }))
    }

    /// The names from the last one up to the root's.
    fn upwards(&self) -> impl Iterator<Item = &str> {
        let segments = std::iter::successors(Some(&*self.0), |at| at.parent.as_deref());
        segments.map(|segment| &*segment.name)
    }

    /// The joined text, from its last byte to its first.
    fn bytes_backwards(&self) -> impl Iterator<Item = u8> {
        let mut upwards = self.upwards();
        let last = upwards.next().unwrap_or_default();
        let above = upwards.flat_map(|name| [b'/'].into_iter().chain(name.bytes().rev()));
        last.bytes().rev().chain(above)
    }

    /// The path on one line of at most `width` columns, escaped. Of a longer one the root and the last
    /// names are shown. Looks at no more names than it shows.
    pub(crate) fn shown(&self, width: usize) -> String {
        let mut names = Vec::new();
        let mut columns = 0;
        let mut upwards = self.upwards().peekable();
        while columns <= width
            && let Some(name) = upwards.next()
        {
            let name = cut(name, width);
            columns += name.chars().count() + 1;
            names.push(name);
        }
        if upwards.peek().is_none() {
            names.reverse();
            return cut(&names.join("/"), width);
        }
        let top = self.0.top.as_ref().map_or("", |top| &top.name);
        let mut shown = cut(top, width / 3) + "/…";
        let mut left = width.saturating_sub(shown.chars().count());
        let fits = |name: &&String| {
            let columns = name.chars().count() + 1;
            let fits = columns <= left;
            left = left.saturating_sub(columns);
            fits
        };
        let mut last: Vec<_> = names.iter().take_while(fits).map(String::as_str).collect();
        last.reverse();
        match &last[..] {
            [] => shown = shown + "/" + &cut(&names[0], width / 2),
            last => shown = shown + "/" + &last.join("/"),
        }
        shown
    }
}

/// Makes the paths of one report.
#[derive(Default)]
pub(crate) struct Paths {
    by_id: HashMap<u64, QuitterPath>,
}

impl Paths {
    /// The path of a quitter. `lineage` is its number and name, its parent's, and so on up to the root.
    pub(crate) fn of<'a>(
        &mut self,
        lineage: impl Iterator<Item = (u64, &'a Cow<'static, str>)>,
    ) -> QuitterPath {
        let mut known = None;
        let mut new = Vec::new();
        for (id, name) in lineage {
            known = self.by_id.get(&id).cloned();
            if known.is_some() {
                break;
            }
            new.push((id, name));
        }
        for (id, name) in new.into_iter().rev() {
            let parent = known.map(|path| path.0);
            let path = QuitterPath::below(parent, name.clone());
            self.by_id.insert(id, path.clone());
            known = Some(path);
        }
        known.unwrap_or_else(|| QuitterPath::from(String::new()))
    }
}

impl Deref for QuitterPath {
    type Target = str;

    fn deref(&self) -> &str {
        match self.0.parent {
            None => &self.0.name,
            Some(_) => self.0.text.get_or_init(|| self.to_string().into()),
        }
    }
}

impl fmt::Display for QuitterPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(text) = self.0.text.get() {
            return f.write_str(text);
        }
        let names: Vec<_> = self.upwards().collect();
        for (i, name) in names.iter().rev().enumerate() {
            if i > 0 {
                f.write_str("/")?;
            }
            f.write_str(name)?;
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
        Arc::ptr_eq(&self.0, &other.0) || self.bytes_backwards().eq(other.bytes_backwards())
    }
}

impl Eq for QuitterPath {}

impl PartialEq<str> for QuitterPath {
    fn eq(&self, other: &str) -> bool {
        self.bytes_backwards().eq(other.bytes().rev())
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
        Self::below(None, text.into())
    }
}

impl From<QuitterPath> for String {
    fn from(path: QuitterPath) -> Self {
        path.to_string()
    }
}

impl Drop for Segment {
    /// A path may have a million names: nothing recurses.
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

    /// The path of the last of these names, whose numbers are their positions.
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
        let names = names(["main", "db", "store"]);
        let store = path(&mut paths, &names);
        let db = path(&mut paths, &names[..2]);
        assert!(Arc::ptr_eq(&db.0, store.0.parent.as_ref().unwrap()));
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
        assert_eq!(path.shown(41), "level0/…/level19997/level19998/level19999");
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
