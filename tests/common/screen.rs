//! A terminal in memory, which understands as much as a picture needs.

/// The cursor is at `line` and `column`, counted from 0.
pub(crate) struct Screen {
    lines: usize,
    columns: usize,
    /// All lines so far; the last ones are on the screen.
    all: Vec<Vec<char>>,
    /// The cursor's line among all.
    line: usize,
    column: usize,
    saved: (usize, usize),
    wraps: bool,
    pending: String,
    /// Control sequences that this terminal does not understand.
    pub(crate) unknown: Vec<String>,
}

impl Screen {
    pub(crate) fn new(lines: usize, columns: usize) -> Self {
        Self {
            lines,
            columns,
            all: vec![Vec::new()],
            line: 0,
            column: 0,
            saved: (0, 0),
            wraps: true,
            pending: String::new(),
            unknown: Vec::new(),
        }
    }

    /// Everything that was ever on the screen, as text.
    pub(crate) fn text(&self) -> String {
        let lines = self.all.iter().map(|line| line.iter().collect::<String>());
        let lines: Vec<_> = lines.map(|line| line.trim_end().to_owned()).collect();
        lines.join("\n").trim_end().to_owned()
    }

    /// The cursor's line up to the cursor.
    pub(crate) fn before_cursor(&self) -> String {
        self.all[self.line].iter().take(self.column).collect()
    }

    pub(crate) fn wraps(&self) -> bool {
        self.wraps
    }

    /// The first line on the screen.
    fn top(&self) -> usize {
        self.all.len().saturating_sub(self.lines)
    }

    fn down(&mut self) {
        self.line += 1;
        if self.line == self.all.len() {
            self.all.push(Vec::new());
        }
    }

    pub(crate) fn write(&mut self, text: &str) {
        let text = std::mem::take(&mut self.pending) + text;
        let mut rest = &text[..];
        while let Some(letter) = rest.chars().next() {
            if letter == '\x1b' {
                let Some(length) = sequence(rest) else {
                    self.pending = rest.to_owned();
                    return;
                };
                self.escape(&rest[1..length]);
                rest = &rest[length..];
                continue;
            }
            self.put(letter);
            rest = &rest[letter.len_utf8()..];
        }
    }

    fn put(&mut self, letter: char) {
        match letter {
            '\r' => self.column = 0,
            '\n' => self.down(),
            letter => {
                if self.column == self.columns && self.wraps {
                    self.down();
                    self.column = 0;
                }
                let at = self.column.min(self.columns - 1);
                let line = &mut self.all[self.line];
                line.resize(line.len().max(at + 1), ' ');
                line[at] = letter;
                self.column = at + 1;
            }
        }
    }

    fn escape(&mut self, sequence: &str) {
        match sequence {
            "D" => self.down(),
            "7" => self.saved = (self.line - self.top(), self.column),
            "8" => {
                self.line = self.top() + self.saved.0;
                self.column = self.saved.1;
            }
            "[J" => {
                self.all[self.line].truncate(self.column);
                self.all[self.line + 1..].iter_mut().for_each(Vec::clear);
            }
            "[K" => self.all[self.line].truncate(self.column),
            "[B" => self.line = (self.line + 1).min(self.all.len() - 1),
            "[?7l" => self.wraps = false,
            "[?7h" => self.wraps = true,
            up if up.starts_with('[') && up.ends_with('A') => {
                let by: usize = up[1..up.len() - 1].parse().unwrap_or(1);
                self.line = self.line.saturating_sub(by).max(self.top());
            }
            unknown => self.unknown.push(unknown.to_owned()),
        }
    }
}

/// The length of the control sequence at the start of `text`, or `None` if it is not complete.
fn sequence(text: &str) -> Option<usize> {
    let second = text[1..].chars().next()?;
    if second != '[' {
        return Some(1 + second.len_utf8());
    }
    let end = text[2..].find(|letter: char| ('@'..='~').contains(&letter))?;
    Some(2 + end + 1)
}
