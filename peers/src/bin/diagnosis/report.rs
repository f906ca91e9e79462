//! Reads the text of an exit report.

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
    /// "accept4"; `None` of a thread that runs.
    pub(crate) fn call(&self) -> Option<&str> {
        let is_blocked = !self.stands.starts_with("running");
        is_blocked.then(|| self.stands.split(' ').next().unwrap_or_default())
    }

    /// "fd 6" of "accept4 (fd 6, TCP 127.0.0.1:8080)".
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

/// Whether a call is of `stuck` itself.
pub(crate) fn is_own(function: &str, place: Option<&str>) -> bool {
    function.starts_with("stuck::") || place.is_some_and(|place| place.contains("13_stuck.rs:"))
}

/// The routines of a report, with their stacks.
pub(crate) fn routines(report: &str) -> Vec<Routine> {
    let mut described: Vec<(String, Vec<Frame>)> = Vec::new();
    for line in report.lines() {
        let indent = line.len() - line.trim_start().len();
        let text = line.trim_start();
        match (indent, described.last_mut()) {
            (4, _) => described.push((text.to_owned(), Vec::new())),
            (6, Some((_, frames))) => frames.push(frame(text)),
            (7.., Some((description, _))) => *description += &format!(" {text}"),
            _ => {}
        }
    }
    let mut routines: Vec<Routine> = Vec::new();
    for (description, frames) in described {
        let (name, description) = description.split_once("  ").expect("name, description");
        let frames = match frames
            .first()
            .and_then(|frame| frame.function.strip_prefix(SAME_PLACE))
        {
            Some(other) => {
                let other = other.trim_end_matches('\'');
                let known = routines.iter().find(|routine| routine.name == other);
                known.expect("told before").frames.clone()
            }
            None => frames,
        };
        routines.push(Routine {
            name: name.to_owned(),
            stands: stands(description),
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

/// What stands between "running 2.5 s, " and ", spawned at ".
fn stands(description: &str) -> String {
    let (_, rest) = description.trim_start().split_once(" s, ").expect("an age");
    let (stands, _) = rest.split_once(", spawned at ").expect("a place");
    stands
        .strip_prefix("blocked in ")
        .unwrap_or(stands)
        .to_owned()
}
