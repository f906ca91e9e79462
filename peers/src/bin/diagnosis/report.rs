//! Parses the text of an exit report.

/// A routine of a report.
pub(crate) struct Routine {
    pub(crate) name: String,
    /// The call and its object: "accept4 (fd 6, TCP 127.0.0.1:8080)".
    pub(crate) stands: String,
    pub(crate) frames: Vec<Frame>,
}

/// A line of a stack.
#[derive(Clone)]
pub(crate) struct Frame {
    pub(crate) function: String,
    /// "src/main.rs:52"
    pub(crate) place: Option<String>,
}

impl Routine {
    /// The call, such as "accept4", or `None` if the thread runs.
    pub(crate) fn call(&self) -> Option<&str> {
        let is_blocked = !self.stands.starts_with("running");
        is_blocked.then(|| self.stands.split(' ').next().unwrap_or_default())
    }

    /// The file descriptor, such as "fd 6" in "accept4 (fd 6, TCP 127.0.0.1:8080)".
    pub(crate) fn descriptor(&self) -> Option<&str> {
        let (_, object) = self.stands.split_once('(')?;
        let descriptor = object.split([',', ')']).next()?;
        descriptor.strip_prefix("fd ")
    }

    /// The innermost call of the program's own.
    pub(crate) fn own(&self) -> Option<&Frame> {
        self.frames
            .iter()
            .find(|frame| is_own(&frame.function, frame.place.as_deref()))
    }
}

/// Whether a call is one of `stuck` itself.
pub(crate) fn is_own(function: &str, place: Option<&str>) -> bool {
    function.starts_with("stuck::") || place.is_some_and(|place| place.contains("13_stuck.rs:"))
}

/// The routines of a report, with their stacks. The report of an end by force has the stacks further down, with
/// only the names above them.
pub(crate) fn routines(report: &str) -> Vec<Routine> {
    let mut described: Vec<(String, String, Vec<Frame>)> = Vec::new();
    let mut current = 0;
    for line in report.lines() {
        let indent = line.len() - line.trim_start().len();
        let text = line.trim_start();
        match indent {
            4 => match text.split_once("  ") {
                Some((name, description)) => {
                    current = described.len();
                    let description = description.trim_start().to_owned();
                    described.push((name.to_owned(), description, Vec::new()));
                }
                None => {
                    let known = described.iter().position(|(name, ..)| name == text);
                    current = known.expect("listed above");
                }
            },
            6 => described[current].2.push(frame(text)),
            7.. => described[current].1 += &format!(" {text}"),
            _ => {}
        }
    }
    let mut routines: Vec<Routine> = Vec::new();
    for (name, description, frames) in described {
        let first = frames.first().map(|frame| &frame.function[..]);
        let frames = match first.and_then(|function| function.strip_prefix(SAME_PLACE)) {
            Some(other) => {
                let (other, _) = other.split_once('\'').expect("a name in quotes");
                let known = routines.iter().find(|routine| routine.name == other);
                known.expect("told before").frames.clone()
            }
            None => frames,
        };
        routines.push(Routine {
            stands: stands(&description),
            name,
            frames,
        });
    }
    routines
}

const SAME_PLACE: &str = "at the same place as '";

fn frame(text: &str) -> Frame {
    match text.split_once("  ") {
        Some((function, place)) => Frame {
            function: function.to_owned(),
            place: Some(place.trim().to_owned()),
        },
        None => Frame {
            function: text.to_owned(),
            place: None,
        },
    }
}

/// The text between "running 2.5 s, " and ", spawned at ".
fn stands(description: &str) -> String {
    let (_, rest) = description.split_once(" s, ").expect("an age");
    let (stands, _) = rest.split_once(", spawned at ").expect("a place");
    stands
        .strip_prefix("blocked in ")
        .unwrap_or(stands)
        .to_owned()
}
