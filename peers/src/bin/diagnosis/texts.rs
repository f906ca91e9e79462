//! The full texts behind a table.

use std::fmt::Write;

use crate::run::Seen;

/// The cases whose texts are shown.
const SHOWN: [&str; 3] = ["shared-lock", "accept", "deep"];

pub(crate) fn of(seen: &[Seen]) -> String {
    let mut texts = String::new();
    for seen in seen.iter().filter(|seen| SHOWN.contains(&seen.case)) {
        let Seen {
            case,
            without_stacks,
            with_stacks,
            gdb,
        } = seen;
        let _ = write!(
            texts,
            "<details><summary><code>{case}</code> in full</summary>\n\n\
             Without `stacks`:\n\n```text\n{}\n```\n\n\
             With `stacks`:\n\n```text\n{}\n```\n\n\
             gdb, of the same process:\n\n```text\n",
            without_stacks.text, with_stacks.text
        );
        for routine in &with_stacks.routines {
            let _ = writeln!(
                texts,
                "Thread '{}':\n{}\n",
                routine.name,
                gdb.of(&routine.name).text
            );
        }
        let others = gdb.threads.len() - with_stacks.routines.len();
        let _ = write!(texts, "and {others} other threads\n```\n\n</details>\n\n");
    }
    texts
}
