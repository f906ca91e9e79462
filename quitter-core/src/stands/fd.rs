//! Descriptors: what is open under a number.

use super::look::Context;
use super::proc::{Files, Whose};

/// Describes what is open in a process under a number, as a system call gets it: "fd 7, TCP
/// 127.0.0.1:8080". `None`: that is no descriptor.
pub(super) fn describe<F: Files>(
    context: &Context<'_, F>,
    whose: Whose,
    arg: u64,
) -> Option<String> {
    // A C int: what is above it is not said to be anything.
    let fd = i32::from_ne_bytes((arg as u32).to_ne_bytes());
    if fd < 0 {
        return None;
    }
    let mut text = format!("fd {fd}");
    let standard = ["stdin", "stdout", "stderr"];
    if let Some(name) = usize::try_from(fd).ok().and_then(|fd| standard.get(fd)) {
        text.push_str(", ");
        text.push_str(name);
    }
    let process = whose.process();
    let target = context.files.link(&format!("{process}/fd/{fd}"));
    if let Some(target) = target {
        text.push_str(", ");
        text.push_str(&object(context, whose, &target));
    }
    Some(text)
}

/// What the link of a descriptor says: the paths of files begin with a slash, and all else does not.
fn object<F: Files>(context: &Context<'_, F>, whose: Whose, target: &str) -> String {
    if let Some(inode) = inode(target, "socket:") {
        let socket = context.socket(whose, inode);
        return socket.unwrap_or_else(|| "a socket".to_owned());
    }
    if inode(target, "pipe:").is_some() {
        return "a pipe".to_owned();
    }
    match target.strip_prefix("anon_inode:") {
        Some("[eventpoll]") => "epoll".to_owned(),
        Some(kind) => kind.trim_matches(['[', ']']).to_owned(),
        None => target.to_owned(),
    }
}

/// "socket:[34]".
fn inode(target: &str, kind: &str) -> Option<u64> {
    let number = target.strip_prefix(kind)?.strip_prefix('[')?;
    number.strip_suffix(']')?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::super::proc::tests::Texts;
    use super::*;

    fn described(target: &str, fd: u64) -> Option<String> {
        let texts = Texts::new().link(&format!("/proc/self/fd/{}", fd as u32), target);
        let table = "Num\n0: 00000003 00000000 00000000 0001 03 34 /run/a.sock\n";
        let texts = texts.file("/proc/self/net/unix", table);
        describe(&Context::new(&texts), Whose::Thread(7), fd)
    }

    #[test]
    fn a_descriptor_is_shown_with_what_is_open_there() {
        let text = |target, fd| described(target, fd).unwrap();
        assert_eq!(text("socket:[34]", 7), "fd 7, Unix socket /run/a.sock");
        assert_eq!(text("socket:[35]", 7), "fd 7, a socket");
        assert_eq!(text("pipe:[35]", 0), "fd 0, stdin, a pipe");
        assert_eq!(text("anon_inode:[eventpoll]", 3), "fd 3, epoll");
        assert_eq!(text("anon_inode:inotify", 3), "fd 3, inotify");
        assert_eq!(
            text("/var/log/a (deleted)", 12),
            "fd 12, /var/log/a (deleted)"
        );
    }

    #[test]
    fn the_upper_half_of_an_argument_does_not_count_and_a_negative_one_is_none() {
        let text = described("/dev/null", 0xdead_beef_0000_0007);
        assert_eq!(text.as_deref(), Some("fd 7, /dev/null"));
        assert_eq!(described("/dev/null", u64::from(u32::MAX)), None);
    }

    #[test]
    fn a_file_cannot_pass_for_a_socket() {
        let text = described("/tmp/socket:[34]", 7);
        assert_eq!(text.as_deref(), Some("fd 7, /tmp/socket:[34]"));
    }
}
