//! The line that Linux keeps for each process and thread in `stat` below `/proc`: see proc_pid_stat(5).

/// A line of `stat`.
#[cfg_attr(
    not(all(target_os = "linux", feature = "process")),
    allow(dead_code, reason = "only some systems and features need all of it")
)]
pub(crate) struct Stat<'a> {
    /// The id of the process or thread.
    #[cfg_attr(
        not(feature = "process"),
        allow(dead_code, reason = "only child processes are told apart by it")
    )]
    pub(crate) number: u32,
    /// The first 15 bytes of its name, which may be anything.
    pub(crate) name: &'a str,
    /// Its state, a letter.
    pub(crate) state: char,
    /// The values after the state.
    rest: &'a str,
}

#[cfg_attr(not(target_os = "linux"), allow(dead_code, reason = "nothing to read"))]
impl<'a> Stat<'a> {
    /// Parses a line. The name may look like the rest of the line, so it ends at the last parenthesis.
    pub(crate) fn parse(line: &'a str) -> Option<Self> {
        let (number, rest) = line.split_once(" (")?;
        let (name, rest) = rest.rsplit_once(") ")?;
        let mut letters = rest.chars();
        Some(Self {
            number: number.parse().ok()?,
            name,
            state: letters.next()?,
            rest: letters.as_str(),
        })
    }

    /// The value with the number `at`, as the manual page counts: the id and the name are 1 and 2.
    pub(crate) fn value<T: std::str::FromStr>(&self, at: usize) -> Option<T> {
        const FIRST: usize = 4;
        let mut values = self.rest.split_ascii_whitespace();
        values.nth(at.checked_sub(FIRST)?)?.parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_may_look_like_the_rest_of_the_line() {
        let stat = Stat::parse("17 (a) R (b\n) S 1 16 16 0 -1 4\n").unwrap();
        assert_eq!((stat.number, stat.name, stat.state), (17, "a) R (b\n", 'S'));
        assert_eq!((stat.value(4), stat.value(5)), (Some(1), Some(16)));
        assert_eq!(stat.value(8), Some(-1));
        assert_eq!(stat.value::<u64>(22), None);
    }

    #[test]
    fn a_line_that_is_cut_or_strange_is_none() {
        for line in ["", "7", "7 (worker", "7 (worker) ", "x (worker) S 1"] {
            assert!(Stat::parse(line).is_none(), "{line:?}");
        }
    }
}
