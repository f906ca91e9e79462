//! A snapshot as a diagram, in the colours of the README: for Mermaid and for Graphviz.

use std::fmt::Write;
use std::time::Duration;

use super::rows::{Item, Row, more, rows};
use super::{LiveQuitter, Snapshot};
use crate::report::escape::cut;

/// The maximum width of a status or a call in a diagram, in columns.
const STATUS_WIDTH: usize = 30;

impl Snapshot {
    /// Returns the tree as a flowchart for [Mermaid](https://mermaid.js.org), which GitHub, GitLab and most
    /// wikis draw in a code block marked `mermaid`.
    ///
    /// Quitters are blue boxes, and routines are amber, or red once their time to quit is up. The node of a
    /// blocked thread shows the name of the call. As in the [`Display`](std::fmt::Display) form, equal
    /// routines share a node. If there are more than a hundred nodes, one node counts the rest. Nothing in a
    /// name can end its label.
    ///
    /// # Examples
    ///
    /// ```
    /// # use quitter_core as quitter;
    /// let root = quitter::Quitter::root("main");
    /// let _flusher = root.child("db").unwrap().guard("flusher").unwrap();
    /// let chart = root.snapshot().to_mermaid();
    /// let nodes: Vec<_> = chart.lines().take(5).map(str::trim).collect();
    /// assert_eq!(nodes, [
    ///     "flowchart LR",
    ///     r#"n0["main"]:::quitter"#,
    ///     r#"n1["db"]:::quitter"#,
    ///     "n0 --> n1",
    ///     r#"n2("flusher<br/>running 0.0 s"):::routine"#,
    /// ]);
    /// ```
    #[must_use]
    pub fn to_mermaid(&self) -> String {
        let mut chart = String::from("flowchart LR\n");
        for (at, node) in nodes(self).iter().enumerate() {
            let (open, close) = match node.class {
                Class::Quitter => ('[', ']'),
                _ => ('(', ')'),
            };
            let lines: Vec<_> = node.lines.iter().map(|line| mermaid(line)).collect();
            let (mut label, class) = (lines.join("<br/>"), node.class.name());
            if label.is_empty() {
                label.push(' '); // Mermaid refuses an empty label.
            }
            chart += &format!("    n{at}{open}\"{label}\"{close}:::{class}\n");
            if let Some(above) = node.above {
                chart += &format!("    n{above} --> n{at}\n");
            }
        }
        for class in Class::ALL {
            let (fill, text, line) = class.colors();
            let name = class.name();
            chart += &format!("    classDef {name} fill:{fill},color:{text},stroke:{line}\n");
        }
        chart
    }

    /// Returns the tree in the language of [Graphviz](https://graphviz.org), for `dot -Tsvg`. The nodes are
    /// those of [`to_mermaid`](Self::to_mermaid).
    ///
    /// # Examples
    ///
    /// ```
    /// # use quitter_core as quitter;
    /// let root = quitter::Quitter::root("main");
    /// let _flusher = root.child("db").unwrap().guard("flusher").unwrap();
    /// let graph = root.snapshot().to_dot();
    /// assert!(graph.starts_with("digraph quitter {\n"));
    /// assert!(graph.contains("n1 -> n2;"));
    /// ```
    #[must_use]
    pub fn to_dot(&self) -> String {
        let mut graph = String::from(
            "digraph quitter {\n    rankdir=LR;\n    node [shape=box, fontname=\"sans-serif\"];\n",
        );
        for (at, node) in nodes(self).iter().enumerate() {
            let style = match node.class {
                Class::Quitter => "filled",
                _ => "filled,rounded",
            };
            let lines: Vec<_> = node.lines.iter().map(|line| dot(line)).collect();
            let (label, (fill, text, line)) = (lines.join("\\n"), node.class.colors());
            graph += &format!(
                "    n{at} [label=\"{label}\", style=\"{style}\", \
                 fillcolor=\"{fill}\", fontcolor=\"{text}\", color=\"{line}\"];\n"
            );
            if let Some(above) = node.above {
                graph += &format!("    n{above} -> n{at};\n");
            }
        }
        graph + "}\n"
    }
}

struct Node {
    /// The index of the node above.
    above: Option<usize>,
    class: Class,
    /// Safe to print, but not escaped for a diagram.
    lines: Vec<String>,
}

#[derive(Clone, Copy)]
enum Class {
    Quitter,
    Routine,
    /// A routine whose time is up.
    Stuck,
    More,
}

impl Class {
    const ALL: [Self; 4] = [Self::Quitter, Self::Routine, Self::Stuck, Self::More];

    fn name(self) -> &'static str {
        match self {
            Self::Quitter => "quitter",
            Self::Routine => "routine",
            Self::Stuck => "stuck",
            Self::More => "more",
        }
    }

    /// The colours of fill, text and outline.
    fn colors(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Quitter => ("#1f4e79", "#ffffff", "#0b2a45"),
            Self::Routine => ("#e9a23b", "#1b1b1b", "#8a5a10"),
            Self::Stuck => ("#c0392b", "#ffffff", "#7b241c"),
            Self::More => ("#ffffff", "#1b1b1b", "#8a8a8a"),
        }
    }
}

fn nodes(snapshot: &Snapshot) -> Vec<Node> {
    let rows = rows(snapshot);
    rows.iter()
        .enumerate()
        .map(|(at, row)| node(at, row))
        .collect()
}

fn node(at: usize, row: &Row<'_>) -> Node {
    let (class, lines) = match &row.item {
        Item::Quitter { quitter, name } => (Class::Quitter, quitter_lines(quitter, name)),
        Item::Routines { of, alike } => {
            let class = if of.is_overdue() {
                Class::Stuck
            } else {
                Class::Routine
            };
            let mut state = format!("running {}", alike.running_for);
            if let Some(words) = alike.first.state.words() {
                let _ = write!(state, ", {words}");
            }
            let status = alike.first.status.as_ref();
            let status = status.map(|status| cut(status, STATUS_WIDTH));
            let call = alike.call();
            let call = call.map(|call| format!("blocked in {}", cut(call, STATUS_WIDTH)));
            let lines = [alike.name(), state].into_iter().chain(call).chain(status);
            (class, lines.collect())
        }
        Item::More { routines, quitters } => (Class::More, vec![more(*routines, *quitters)]),
    };
    Node {
        // The node that counts the rest is below the first one.
        above: row.above.or((at > 0).then_some(0)),
        class,
        lines,
    }
}

fn quitter_lines(quitter: &LiveQuitter, name: &str) -> Vec<String> {
    let quit = quitter.quit.as_ref().map(|quit| match quit.left() {
        Some(left) if !quit.inherited => format!("quitting, {left}"),
        _ => "quitting".to_owned(),
    });
    [name.to_owned()].into_iter().chain(quit).collect()
}

/// Escapes a line of a label in quotes. Every character that means something to Mermaid, to its Markdown or
/// to HTML is written as its number, and so are the two characters with which Mermaid marks such numbers.
fn mermaid(line: &str) -> String {
    let mut escaped = String::new();
    let mut is_start = true;
    for c in line.chars() {
        let is_harmless = match c {
            ' ' => true,
            // At the beginning of a line, these start a list or a heading.
            '_' | '.' | ',' | '-' | '/' => !is_start,
            'ﬂ' | '¶' => false,
            _ => c.is_ascii_alphanumeric() || !c.is_ascii(),
        };
        is_start &= !c.is_alphabetic();
        match is_harmless {
            true => escaped.push(c),
            false => _ = write!(escaped, "#{};", u32::from(c)),
        }
    }
    escaped
}

/// Escapes a line of a label in quotes. Graphviz reads entities as HTML does.
fn dot(line: &str) -> String {
    let mut escaped = String::new();
    for c in line.chars() {
        match c {
            '"' | '\\' => escaped.extend(['\\', c]),
            '&' => escaped += "&amp;",
            _ => escaped.push(c),
        }
    }
    escaped
}

impl LiveQuitter {
    /// Whether the quitter's time to quit is up.
    pub(super) fn is_overdue(&self) -> bool {
        let quit = self.quit.as_ref();
        quit.is_some_and(|quit| quit.time_left == Some(Duration::ZERO))
    }
}
