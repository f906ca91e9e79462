//! Routines that return between the deadline and the report.
//!
//! They stay in the report: the end was not clean. A routine that was itself only waiting for others at the
//! deadline is left out once it has returned, so that the report names the routines that hang.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::report::path::{Paths, QuitterPath};
use crate::tree::{LiveAt, Node};

/// Selects the routines that stay in the report even if they return later, from those live at the deadline.
pub(crate) fn counting(live: &[LiveAt]) -> Vec<LiveAt> {
    let counting = live.iter().map(|at| {
        let routines = at.routines.iter().filter(|record| !record.is_waiting());
        LiveAt {
            node: Arc::clone(&at.node),
            routines: routines.cloned().collect(),
        }
    });
    counting.filter(|at| !at.routines.is_empty()).collect()
}

/// Merges the routines from the deadline that stay in the report with those that are live now.
pub(crate) fn merge(at_deadline: Vec<LiveAt>, live: Vec<LiveAt>) -> Vec<LiveAt> {
    if at_deadline.is_empty() {
        return live;
    }
    let mut merged = at_deadline;
    let listed = merged.iter().flat_map(|at| &at.routines);
    let listed: HashSet<u64> = listed.map(|record| record.id).collect();
    let known = merged.iter().map(|at| Arc::as_ptr(&at.node)).zip(0..);
    let known: HashMap<_, usize> = known.collect();
    for mut at in live {
        at.routines.retain(|record| !listed.contains(&record.id));
        match known.get(&Arc::as_ptr(&at.node)) {
            Some(index) => merged[*index].append(&mut at.routines),
            None => merged.push(at),
        }
    }
    merged.retain(|at| !at.routines.is_empty());
    merged
}

/// The paths of the quitters that could not be read at the deadline or now, each once.
pub(crate) fn merge_unread(at_deadline: Vec<Arc<Node>>, now: Vec<Arc<Node>>) -> Vec<QuitterPath> {
    let mut listed = HashSet::new();
    let mut paths = Paths::default();
    let unread = now.iter().chain(&at_deadline).map(|node| node.owner());
    let once = unread.filter(|node| listed.insert(Arc::as_ptr(node)));
    once.map(|node| paths.of(node.lineage())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quitter::Quitter;

    #[test]
    fn a_quitter_is_listed_once_and_each_of_its_routines_too() {
        let root = Quitter::root("main");
        let live = || root.node().look(None).err().unwrap();
        let _early = root.guard("early").unwrap();
        let at_deadline = live();
        let _late = root.guard("late").unwrap();
        let merged = merge(at_deadline, live());
        assert_eq!(merged.len(), 1);
        let names = merged[0].routines.iter().map(|record| &record.name[..]);
        assert_eq!(names.collect::<Vec<_>>(), ["early", "late"]);
    }

    #[test]
    fn what_could_not_be_read_is_named_once_however_deep_and_many_it_is() {
        let mut node = Node::root("main".into(), None);
        let mut chain = vec![Arc::clone(&node)];
        for _ in 0..20_000 {
            node = node.child("a level with a name".into()).unwrap();
            chain.push(Arc::clone(&node));
        }
        let paths = merge_unread(chain.clone(), chain.clone());
        assert_eq!(paths.len(), chain.len());
        assert_eq!(paths[1], "main/a level with a name");
    }
}
