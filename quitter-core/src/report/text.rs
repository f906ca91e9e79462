//! Durations, places and line breaks, as a report shows them.

use std::fmt;
use std::panic::Location;
use std::time::Duration;

/// How many columns a line of a report may have. A single part that is longer stays whole.
pub(crate) const WIDTH: usize = 100;

/// A duration that was measured: "0.4 s".
pub(crate) struct Seconds(pub(crate) Duration);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.1} s", self.0.as_secs_f64())
    }
}

/// A duration that the program chose: "2 s", "1.5 s", "50 ms".
pub(crate) struct Rounded(pub(crate) Duration);

impl fmt::Display for Rounded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_millis() {
            0 => f.write_str("0 s"),
            ms @ ..100 => write!(f, "{ms} ms"),
            _ => write!(f, "{} s", (self.0.as_secs_f64() * 10.0).round() / 10.0),
        }
    }
}

/// The shortest and the longest of some measured durations: "0.4 s", "0.4 to 7.0 s".
#[derive(Clone, Copy)]
pub(crate) struct Span {
    pub(crate) shortest: Duration,
    pub(crate) longest: Duration,
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

/// File and line of a place.
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

/// Does what [`write_parts`] does, behind as many columns as `margin` has, with which further lines
/// begin.
pub(crate) fn write_parts_after(
    f: &mut fmt::Formatter<'_>,
    margin: &str,
    parts: &[String],
) -> fmt::Result {
    let comma = |at| if at + 1 == parts.len() { "" } else { "," };
    let pieces = parts.iter().enumerate();
    let pieces = pieces.map(|(at, part)| format!("{part}{}", comma(at)));
    write_pieces(f, margin.chars().count(), margin, pieces)
}

/// Writes `pieces` separated by spaces, starting at column `column`. Goes on in a new line, behind
/// `margin`, if the next piece does not fit.
pub(crate) fn write_pieces(
    f: &mut fmt::Formatter<'_>,
    mut column: usize,
    margin: &str,
    pieces: impl IntoIterator<Item = String>,
) -> fmt::Result {
    for (at, piece) in pieces.into_iter().enumerate() {
        let columns = piece.chars().count();
        if at > 0 && column + 1 + columns > WIDTH {
            write!(f, "\n{margin}")?;
            column = margin.chars().count();
        } else if at > 0 {
            f.write_str(" ")?;
            column += 1;
        }
        f.write_str(&piece)?;
        column += columns;
    }
    Ok(())
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
        assert_eq!(text(0), "0 s");
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
