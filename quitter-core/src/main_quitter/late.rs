//! Routines that had not returned at the deadline, but have by the time the report is made.
//!
//! They stay in the report: the end was not clean. A routine that itself only waited for others is
//! left out once it has returned, so that the report names the routines that hang.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::routine::record::Record;
use crate::tree::LiveAt;

/// Merges the routines that were live at the deadline and count with those that are live now.
pub(crate) fn merge(at_deadline: &[LiveAt], live: Vec<LiveAt>) -> Vec<LiveAt> {
    if at_deadline.is_empty() {
        return live;
    }
    let counting = at_deadline.iter().map(|at| LiveAt {
        node: Arc::clone(&at.node),
        routines: at.routines.iter().filter(counts).cloned().collect(),
    });
    let mut merged: Vec<LiveAt> = counting.collect();
    let listed = merged.iter().flat_map(|at| &at.routines);
    let listed: HashSet<u64> = listed.map(|record| record.id).collect();
    let known = merged.iter().map(|at| Arc::as_ptr(&at.node)).zip(0..);
    let known: HashMap<_, usize> = known.collect();
    for mut at in live {
        at.routines.retain(|record| !listed.contains(&record.id));
        match known.get(&Arc::as_ptr(&at.node)) {
            Some(index) => {
                let routines = &mut merged[*index].routines;
                routines.append(&mut at.routines);
                routines.sort_unstable_by_key(|record| record.id);
            }
            None => merged.push(at),
        }
    }
    merged.retain(|at| !at.routines.is_empty());
    merged
}

fn counts(record: &&Arc<Record>) -> bool {
    !(record.is_finished() && record.is_waiting())
}
