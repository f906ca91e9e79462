//! Durations, counts, places and line breaks, as a report shows them.

use std::cell::Cell;
use std::fmt;
use std::panic::Location;
use std::time::Duration;

use crate::report::escape::CONTINUED;

/// The maximum width of a line of a report, in columns. A single word that is longer stays whole.
pub(crate) const WIDTH: usize = 100;

thread_local! {
    static COLUMNS: Cell<usize> = const { Cell::new(WIDTH) };
}

/// The maximum width of the lines that this thread makes: [`WIDTH`], or that of a narrower terminal.
///
/// A thread-local, since the texts are made by `Display`, which takes no arguments.
pub(crate) fn width() -> usize {
    COLUMNS.get()
}

/// Calls `make`, which makes a text for a terminal with this many columns.
pub(crate) fn for_columns<T>(columns: usize, make: impl FnOnce() -> T) -> T {
    /// In a narrower terminal, the text would be more line breaks than words.
    const MIN_WIDTH: usize = 40;
    let before = COLUMNS.replace(columns.clamp(MIN_WIDTH, WIDTH));
    let made = make();
    COLUMNS.set(before);
    made
}

/// Tenths of a second, rounded. An integer, since std's code for writing floating-point numbers takes 15 KB.
struct Tenths(u64);

impl Tenths {
    fn of(time: Duration) -> Self {
        const TENTH: u32 = 100_000_000;
        let tenths = (time.subsec_nanos() + TENTH / 2) / TENTH;
        Self(
            time.as_secs()
                .saturating_mul(10)
                .saturating_add(tenths.into()),
        )
    }
}

impl fmt::Display for Tenths {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.0 / 10, self.0 % 10)
    }
}

/// A duration that was measured: "0.4 s".
pub(crate) struct Seconds(pub(crate) Duration);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} s", Tenths::of(self.0))
    }
}

/// A duration that the program chose: "2 s", "1.5 s", "50 ms".
pub(crate) struct Rounded(pub(crate) Duration);

impl fmt::Display for Rounded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_millis() {
            0 => f.write_str("0 s"),
            ms @ ..100 => write!(f, "{ms} ms"),
            _ => match Tenths::of(self.0) {
                Tenths(whole) if whole % 10 == 0 => write!(f, "{} s", whole / 10),
                tenths => write!(f, "{tenths} s"),
            },
        }
    }
}

/// The shortest and the longest of some measured durations: "0.4 s", "0.4 to 7.0 s".
#[derive(Clone, Copy)]
pub(crate) struct Span {
    pub(super) shortest: Duration,
    pub(super) longest: Duration,
}

impl Span {
    pub(crate) fn of(one: Duration) -> Self {
        Self {
            shortest: one,
            longest: one,
        }
    }

    pub(crate) fn include(&mut self, other: Duration) {
        self.shortest = self.shortest.min(other);
        self.longest = self.longest.max(other);
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shortest = Seconds(self.shortest).to_string();
        let longest = Seconds(self.longest).to_string();
        match shortest == longest {
            true => f.write_str(&longest),
            false => write!(f, "{} to {longest}", shortest.trim_end_matches(" s")),
        }
    }
}

/// A number and what it counts: "1 routine", "3 routines".
pub(crate) struct Count(pub(crate) usize, pub(crate) &'static str);

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(count, what) = self;
        let ending = if *count == 1 { "" } else { "s" };
        write!(f, "{count} {what}{ending}")
    }
}

/// The file and the line of a location.
pub(crate) struct Line(pub(crate) &'static Location<'static>);

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.0.file(), self.0.line())
    }
}

/// Writes `parts` separated by commas, starting at column `from`. Breaks the line after a comma if the
/// next part does not fit.
pub(crate) fn write_parts(
    f: &mut fmt::Formatter<'_>,
    from: usize,
    parts: &[String],
) -> fmt::Result {
    write_parts_after(f, &" ".repeat(from), parts)
}

/// Like [`write_parts`], starting at the column where `margin` ends. Further lines begin with `margin`.
pub(crate) fn write_parts_after(
    f: &mut fmt::Formatter<'_>,
    margin: &str,
    parts: &[String],
) -> fmt::Result {
    let comma = |at| if at + 1 == parts.len() { "" } else { "," };
    let pieces = parts.iter().enumerate();
    let pieces = pieces.map(|(at, part)| format!("{part}{}", comma(at)));
    write_pieces(f, columns(margin), margin, pieces)
}

/// Writes `pieces` separated by spaces, starting at column `column`. Continues on a new line, after
/// `margin`, if the next piece does not fit. A piece that fits on no line is broken between its words.
pub(crate) fn write_pieces(
    f: &mut fmt::Formatter<'_>,
    column: usize,
    margin: &str,
    pieces: impl IntoIterator<Item = String>,
) -> fmt::Result {
    let room = width().saturating_sub(columns(margin));
    let mut lines = Lines {
        f,
        margin,
        column,
        is_empty: true,
    };
    for piece in pieces {
        match columns(&piece) > room {
            true => piece.split(' ').try_for_each(|word| lines.write(word))?,
            false => lines.write(&piece)?,
        }
    }
    Ok(())
}

/// Writes `text`, and breaks lines that are too long between words. The rest of a broken line is indented at
/// least as far as the further lines of a message, so that it cannot pass for a line of the report.
pub(crate) fn write_broken(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    for (at, line) in text.split('\n').enumerate() {
        if at > 0 {
            f.write_str("\n")?;
        }
        if columns(line) <= width() {
            f.write_str(line)?;
            continue;
        }
        let words = line.trim_start_matches([' ', '\t']);
        let indent = &line[..line.len() - words.len()];
        let margin = match columns(indent) {
            of if of > CONTINUED.len() && of < width() / 2 => indent,
            _ => CONTINUED,
        };
        f.write_str(indent)?;
        let words = words.split(' ').map(str::to_owned);
        write_pieces(f, columns(indent), margin, words)?;
    }
    Ok(())
}

/// Lines that are being written.
struct Lines<'a, 'f> {
    f: &'a mut fmt::Formatter<'f>,
    /// The beginning of each line but the first.
    margin: &'a str,
    column: usize,
    is_empty: bool,
}

impl Lines<'_, '_> {
    /// Writes a piece after a space, or on a new line if it does not fit.
    fn write(&mut self, piece: &str) -> fmt::Result {
        let columns_of_piece = columns(piece);
        if self.is_empty {
            self.is_empty = false;
        } else if self.column + 1 + columns_of_piece > width() {
            write!(self.f, "\n{}", self.margin)?;
            self.column = columns(self.margin);
        } else {
            self.f.write_str(" ")?;
            self.column += 1;
        }
        self.column += columns_of_piece;
        self.f.write_str(piece)
    }
}

/// The width of a line: one column for each character, and eight for a tab, which never takes more.
fn columns(text: &str) -> usize {
    let of = |c| if c == '\t' { 8 } else { 1 };
    text.chars().map(of).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chosen_durations_read_as_they_were_written() {
        let text = |ms| Rounded(Duration::from_millis(ms)).to_string();
        assert_eq!(text(2000), "2 s");
        assert_eq!(text(2004), "2 s");
        assert_eq!(text(1500), "1.5 s");
        assert_eq!(text(50), "50 ms");
        assert_eq!(text(1960), "2 s");
        assert_eq!(text(0), "0 s");
    }

    #[test]
    fn measured_durations_are_rounded_to_tenths() {
        let text = |ms| Seconds(Duration::from_millis(ms)).to_string();
        assert_eq!(
            [0, 49, 50, 949, 950, 59_960].map(text),
            ["0.0 s", "0.0 s", "0.1 s", "0.9 s", "1.0 s", "60.0 s"]
        );
        let longest = Seconds(Duration::MAX).to_string();
        assert!(longest.ends_with(" s"), "{longest}");
    }

    #[test]
    fn a_narrow_terminal_has_shorter_lines_and_a_wide_one_no_longer_ones() {
        let words = ["word"; 40].join(" ");
        for (columns, longest) in [(0, 40), (72, 70), (WIDTH, 100), (1000, 100)] {
            let text = for_columns(columns, || broken(&words));
            let lines = text.lines().map(|line| line.chars().count());
            assert_eq!(lines.max(), Some(longest), "{text}");
        }
        assert_eq!(width(), WIDTH);
    }

    struct Broken<'a>(&'a str);

    impl fmt::Display for Broken<'_> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write_broken(f, self.0)
        }
    }

    fn broken(text: &str) -> String {
        Broken(text).to_string()
    }

    #[test]
    fn a_line_that_fits_stays_as_it_is_and_a_longer_one_goes_on_further_in() {
        let fits = format!("  {}  a\n\n\tb ", "x".repeat(95));
        assert_eq!(broken(&fits), fits);
        let (words, more) = (["word"; 20].join(" "), ["more"; 20].join(" "));
        let text = format!("{words} {}\n  {more}\n        {words} ü", "é".repeat(9));
        let expected = format!(
            "{words}\n      {}\n  {}\n      more\n        {}\n        word word ü",
            "é".repeat(9),
            ["more"; 19].join(" "),
            ["word"; 18].join(" "),
        );
        assert_eq!(broken(&text), expected);
    }

    #[test]
    fn a_word_is_never_broken_and_no_line_begins_where_those_of_a_report_do() {
        let url = format!("https://host/{}", "x".repeat(200));
        let padding = "x".repeat(95);
        let text = format!("{padding} Quit: all routines returned {url} (see there)");
        let expected =
            format!("{padding}\n      Quit: all routines returned\n      {url}\n      (see there)");
        assert_eq!(broken(&text), expected);
        let text = format!("{}a {padding} Quit: ok", "\t".repeat(100));
        assert!(broken(&text).ends_with(&format!("a\n      {padding}\n      Quit: ok")));
    }

    #[test]
    fn a_piece_that_fits_on_no_line_is_broken_between_its_words() {
        struct Parts;
        impl fmt::Display for Parts {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write_parts(
                    f,
                    40,
                    &["a".to_owned(), ["word"; 15].join(" "), "b".to_owned()],
                )
            }
        }
        let (text, margin) = (Parts.to_string(), " ".repeat(40));
        let expected = format!(
            "a, {}\n{margin}word word word word, b",
            ["word"; 11].join(" ")
        );
        assert_eq!(text, expected);
    }

    #[test]
    fn durations_that_look_alike_are_one() {
        let ms = Duration::from_millis;
        let mut span = Span::of(ms(700));
        span.include(ms(703));
        assert_eq!(span.to_string(), "0.7 s");
        span.include(ms(100));
        assert_eq!(span.to_string(), "0.1 to 0.7 s");
    }
}
