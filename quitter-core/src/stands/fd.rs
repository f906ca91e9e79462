//! File descriptors: what is open under a number.

use super::proc::{Files, Whose};

/// The object of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Object {
    pub(super) text: String,
    /// The sockets in it, from first to last. They are looked up at the end, since that takes long.
    pub(super) sockets: Vec<Socket>,
}

/// A socket that the text of its object does not describe yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Socket {
    pub(super) inode: u64,
    /// The position of its description in the text, in bytes.
    at: usize,
}

impl From<String> for Object {
    fn from(text: String) -> Self {
        let sockets = Vec::new();
        Self { text, sockets }
    }
}

impl Object {
    /// Appends another object.
    pub(super) fn add(&mut self, other: &Self) {
        self.text.push_str("; ");
        let from = self.text.len();
        self.text.push_str(&other.text);
        let others = other.sockets.iter().map(|socket| Socket {
            at: from + socket.at,
            ..*socket
        });
        self.sockets.extend(others);
    }

    /// The text with a description of every socket. `socket` describes an inode.
    pub(super) fn describe<'a>(mut self, socket: impl Fn(u64) -> &'a str) -> String {
        // Backwards, since a description moves what follows it.
        for Socket { inode, at } in self.sockets.into_iter().rev() {
            self.text.insert_str(at, &format!(", {}", socket(inode)));
        }
        self.text
    }
}

/// Describes what a process has open under a number that a system call was given: "fd 7, a pipe". Returns
/// `None` if the number is not a descriptor.
pub(super) fn describe(files: &impl Files, whose: Whose, arg: u64) -> Option<Object> {
    // The argument is a C int: its upper half is undefined.
    let fd = (arg as u32).cast_signed();
    if fd < 0 {
        return None;
    }
    let mut object = Object::from(format!("fd {fd}"));
    let standard = ["stdin", "stdout", "stderr"];
    if let Some(name) = usize::try_from(fd).ok().and_then(|fd| standard.get(fd)) {
        object.text = format!("{}, {name}", object.text);
    }
    let process = whose.process();
    let target = files.link(&format!("{process}/fd/{fd}"));
    if let Some(target) = target {
        match inode(&target, "socket:") {
            Some(inode) => object.sockets.push(Socket {
                inode,
                at: object.text.len(),
            }),
            None => object.text = format!("{}, {}", object.text, kind(&target)),
        }
    }
    Some(object)
}

/// Describes the target of a descriptor's link. Only paths of files begin with a slash.
fn kind(target: &str) -> &str {
    if inode(target, "pipe:").is_some() {
        return "a pipe";
    }
    match target.strip_prefix("anon_inode:") {
        Some("[eventpoll]") => "epoll",
        Some(kind) => kind.trim_matches(['[', ']']),
        None => target,
    }
}

/// The inode in a target such as `socket:[34]`.
fn inode(target: &str, kind: &str) -> Option<u64> {
    let number = target.strip_prefix(kind)?.strip_prefix('[')?;
    number.strip_suffix(']')?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::super::proc::tests::Texts;
    use super::*;

    fn described(target: &str, fd: u64) -> Option<Object> {
        let texts = Texts::new().link(&format!("/proc/self/fd/{}", fd as u32), target);
        describe(&texts, Whose::Thread(7), fd)
    }

    #[test]
    fn a_descriptor_is_shown_with_what_is_open_there() {
        let text = |target, fd| described(target, fd).unwrap().text;
        assert_eq!(text("pipe:[35]", 0), "fd 0, stdin, a pipe");
        assert_eq!(text("anon_inode:[eventpoll]", 3), "fd 3, epoll");
        assert_eq!(text("anon_inode:inotify", 3), "fd 3, inotify");
        let gone = "/var/log/a (deleted)";
        assert_eq!(text(gone, 12), "fd 12, /var/log/a (deleted)");
    }

    #[test]
    fn a_socket_is_known_by_its_inode_and_a_file_cannot_pass_for_one() {
        let socket = described("socket:[34]", 7).unwrap();
        assert_eq!((&socket.text[..], socket.sockets[0].inode), ("fd 7", 34));
        let file = described("/tmp/socket:[34]", 7).unwrap();
        assert_eq!(file, Object::from("fd 7, /tmp/socket:[34]".to_owned()));
    }

    #[test]
    fn every_socket_of_several_objects_is_described_in_its_place() {
        let mut object = described("socket:[34]", 7).unwrap();
        object.add(&described("pipe:[1]", 8).unwrap());
        object.add(&described("socket:[35]", 9).unwrap());
        object.text.push_str(", at the end");
        let text = object.describe(|inode| if inode == 34 { "TCP" } else { "a socket" });
        assert_eq!(text, "fd 7, TCP; fd 8, a pipe; fd 9, a socket, at the end");
    }

    #[test]
    fn the_upper_half_of_an_argument_does_not_count_and_a_negative_one_is_none() {
        let null = described("/dev/null", 0xdead_beef_0000_0007).unwrap();
        assert_eq!(null.text, "fd 7, /dev/null");
        assert_eq!(described("/dev/null", u64::from(u32::MAX)), None);
    }
}
