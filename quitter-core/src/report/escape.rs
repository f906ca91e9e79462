//! Makes foreign text safe to print.
//!
//! Names, paths, labels, statuses and error messages come from the program, and often from its
//! input. Printed as they are, they could move the cursor, hide lines, or forge lines of the
//! report. They could also be megabytes long. A status is shown between quotes, which it cannot end.

use std::fmt::{self, Write};

/// The maximum width of a name in columns, unless there is less room.
const NAME_WIDTH: usize = 100;

/// The maximum length of a message in bytes. A longer one is cut.
const LONGEST_MESSAGE: usize = 8 * 1024;

/// The indent of all lines of a message but the first, so that they cannot pass for lines of the report.
pub(crate) const CONTINUED: &str = "      ";

/// A name, label or status: escaped, on one line, and cut in the middle if it is long.
pub(crate) struct Name<'a>(pub(crate) &'a str);

/// The text of an error or a message: escaped, but with its lines and tabs. All lines after the first
/// are indented. Cut in the middle if it is very long.
pub(crate) struct Message<'a>(pub(crate) &'a str);

/// The first line of such a text, with "…" if there are others.
pub(crate) struct FirstLine<'a>(pub(crate) &'a str);

impl fmt::Display for FirstLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.0.trim_end();
        match text.split_once('\n') {
            Some((first, _)) => write!(f, "{} …", Message(first)),
            None => Message(text).fmt(f),
        }
    }
}

impl fmt::Display for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&cut(self.0, NAME_WIDTH))
    }
}

impl fmt::Display for Message<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.0.trim_end();
        if text.len() <= LONGEST_MESSAGE {
            return write_lines(f, text);
        }
        let (head, tail) = ends(text, LONGEST_MESSAGE / 2);
        write_lines(f, head)?;
        f.write_str(" … ")?;
        write_lines(f, tail)
    }
}

/// Escapes `text`, and leaves out the middle if it has more than `width` columns. Reads no more of the
/// text than it shows. Counts each character as one column.
pub(crate) fn cut(text: &str, width: usize) -> String {
    cut_as(text, width, is_hostile)
}

/// Leaves out the middle of a text if it has more than `width` characters, and escapes nothing: for data,
/// which is escaped when it is printed.
#[cfg(feature = "process")]
pub(crate) fn shortened(text: &str, width: usize) -> String {
    cut_as(text, width, |_| false)
}

/// Like [`cut`], with the count of the things that have this name, unless it is one: "worker ×997".
pub(crate) fn counted(name: &str, count: usize, width: usize) -> String {
    let count = match count {
        1 => String::new(),
        n => format!(" ×{n}"),
    };
    cut(name, width - count.chars().count()) + &count
}

/// Like [`cut`], between double quotes: the text cannot end them, since quotes and backslashes in it are
/// escaped, too.
pub(crate) fn quoted(text: &str, width: usize) -> String {
    let is_escaped = |c| is_hostile(c) || matches!(c, '"' | '\\');
    format!("\"{}\"", cut_as(text, width, is_escaped))
}

fn cut_as(text: &str, width: usize, is_escaped: fn(char) -> bool) -> String {
    let whole = prefix(text, width, is_escaped);
    if whole.bytes == text.len() {
        return whole.text;
    }
    let kept = width.saturating_sub(1);
    let head = prefix(text, kept.div_ceil(2), is_escaped);
    let tail = suffix_as(text, kept / 2, is_escaped);
    head.text + "…" + &tail
}

/// The first part of a text, as much as fits into some number of columns.
struct Prefix {
    /// Escaped.
    text: String,
    /// The number of bytes of the original text.
    bytes: usize,
}

fn prefix(text: &str, width: usize, is_escaped: fn(char) -> bool) -> Prefix {
    let mut prefix = Prefix {
        text: String::new(),
        bytes: 0,
    };
    let mut columns = 0;
    for c in text.chars() {
        columns += columns_of(c, is_escaped);
        if columns > width {
            break;
        }
        prefix.bytes += c.len_utf8();
        match is_escaped(c) {
            true => prefix.text.extend(c.escape_default()),
            false => prefix.text.push(c),
        }
    }
    prefix
}

/// The last part of `text` that fits into `width` columns, escaped.
pub(crate) fn suffix(text: &str, width: usize) -> String {
    suffix_as(text, width, is_hostile)
}

fn suffix_as(text: &str, width: usize, is_escaped: fn(char) -> bool) -> String {
    let mut columns = 0;
    let fits = |c: &char| {
        columns += columns_of(*c, is_escaped);
        columns <= width
    };
    let length: usize = text
        .chars()
        .rev()
        .take_while(fits)
        .map(char::len_utf8)
        .sum();
    prefix(&text[text.len() - length..], width, is_escaped).text
}

fn columns_of(c: char, is_escaped: fn(char) -> bool) -> usize {
    match is_escaped(c) {
        true => c.escape_default().len(),
        false => 1,
    }
}

fn write_lines(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    for (i, line) in text.lines().enumerate() {
        if i > 0 {
            write!(f, "\n{CONTINUED}")?;
        }
        for c in line.chars() {
            match is_hostile(c) && c != '\t' {
                true => write!(f, "{}", c.escape_default())?,
                false => f.write_char(c)?,
            }
        }
    }
    Ok(())
}

/// The first and the last `length` bytes of `text`, or slightly fewer, so that no character is split.
fn ends(text: &str, length: usize) -> (&str, &str) {
    let mut head = length.min(text.len());
    while !text.is_char_boundary(head) {
        head -= 1;
    }
    let mut tail = text.len() - head;
    while !text.is_char_boundary(tail) {
        tail += 1;
    }
    (&text[..head], &text[tail..])
}

/// Whether a terminal may do anything else with `c` than show it: a control character, a line end, a
/// change of the writing direction, or an invisible character, which may make two names look alike. The
/// joiners and variation selectors that emoji, Persian and others need are harmless.
fn is_hostile(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{ad}'
                | '\u{34f}'
                | '\u{61c}'
                | '\u{115f}'..='\u{1160}'
                | '\u{17b4}'..='\u{17b5}'
                | '\u{180e}'
                | '\u{200b}'
                | '\u{200e}'
                | '\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{3164}'
                | '\u{feff}'
                | '\u{ffa0}'
                | '\u{fff0}'..='\u{fffb}'
                | '\u{1bca0}'..='\u{1bca3}'
                | '\u{1d173}'..='\u{1d17a}'
                | '\u{e0000}'..='\u{e00ff}'
                | '\u{e01f0}'..='\u{e0fff}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_stays_on_its_line_and_cannot_move_the_cursor() {
        assert_eq!(
            Name("a\u{1b}[2J\r\nQuit: all routines returned").to_string(),
            r"a\u{1b}[2J\r\nQuit: all routines returned"
        );
        assert_eq!(Name("a\u{202e}b\u{9b}c").to_string(), r"a\u{202e}b\u{9b}c");
    }

    #[test]
    fn a_name_that_does_no_harm_is_shown_as_it_is() {
        for name in ["worker 1", r"C:\new", "l'été", "工人", "👩‍🚀", "\"quoted\""] {
            assert_eq!(Name(name).to_string(), name);
        }
    }

    #[test]
    fn an_invisible_character_shows() {
        let fillers = "\u{3164}\u{115f}\u{1160}\u{ffa0}\u{34f}\u{17b4}";
        let controls = "\u{200b}\u{feff}\u{fff0}\u{1bca0}\u{1d173}\u{e0020}\u{e0fff}";
        for c in fillers.chars().chain(controls.chars()) {
            let shown = Name(&format!("worker{c}")).to_string();
            assert_eq!(shown, format!("worker{}", c.escape_default()));
        }
    }

    #[test]
    fn a_long_name_is_cut_in_the_middle_whatever_it_is_made_of() {
        assert_eq!(cut("abcdefghij", 10), "abcdefghij");
        assert_eq!(cut("abcdefghijk", 10), "abcde…hijk");
        assert_eq!(cut("éééééééééééé", 5), "éé…éé");
        assert_eq!(cut("\n\n\n\n\n\n", 9), r"\n\n…\n\n");
        assert_eq!(cut("abc", 0), "…");
        assert_eq!(cut("", 0), "");
        let long = "\u{1b}".repeat(1 << 20);
        assert!(Name(&long).to_string().chars().count() <= NAME_WIDTH);
    }

    #[test]
    fn a_quoted_text_cannot_end_its_quotes() {
        assert_eq!(quoted("3/10", 50), r#""3/10""#);
        let forged = r#"busy", dropped unfinished, status "b"#;
        assert_eq!(
            quoted(forged, 50),
            r#""busy\", dropped unfinished, status \"b""#
        );
        assert_eq!(quoted("a\\", 50), r#""a\\""#);
        assert_eq!(quoted("\"\n\u{1b}", 50), r#""\"\n\u{1b}""#);
        assert_eq!(quoted(&"\"".repeat(9), 5), r#""\"…\"""#);
    }

    #[test]
    fn a_message_keeps_its_lines_and_none_begins_where_ours_do() {
        assert_eq!(
            Message("cannot parse\r\n\tat line 3\nQuit: all\u{1b}[A\n").to_string(),
            "cannot parse\n      \tat line 3\n      Quit: all\\u{1b}[A"
        );
        assert_eq!(Message("a\rb").to_string(), r"a\rb");
    }

    #[test]
    fn a_long_message_keeps_its_ends() {
        let message = format!("begin {} end", "é".repeat(1 << 20));
        let shown = Message(&message).to_string();
        assert!(shown.len() < LONGEST_MESSAGE + 10);
        assert!(shown.starts_with("begin é") && shown.ends_with("é end"));
    }
}
