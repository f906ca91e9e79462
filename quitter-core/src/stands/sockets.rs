//! The addresses of sockets, from the kernel's tables.
//!
//! The tables list the sockets of the whole network namespace, so only their beginnings are read. Listening
//! sockets come first.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Instant;

use super::proc::Files;

/// How many bytes of a table are read: some 1,700 sockets.
const MAX_BYTES: usize = 256 * 1024;

/// Socket descriptions by inode. The description is `None` if the inode is listed twice: one entry may then
/// be forged, since the name of a Unix socket may contain line ends.
#[derive(Default)]
pub(super) struct Sockets(HashMap<u64, Option<String>>);

impl Sockets {
    /// Reads the tables that the process with the directory `process` sees, until all of these inodes are
    /// found or the time is up.
    pub(super) fn find(files: &impl Files, process: &str, inodes: &[u64], until: Instant) -> Self {
        const TABLES: [(&str, &str); 5] = [
            ("tcp", "TCP"),
            ("tcp6", "TCP"),
            ("unix", ""),
            ("udp", "UDP"),
            ("udp6", "UDP"),
        ];
        let mut sockets = Self::default();
        for (name, protocol) in TABLES {
            let is_known = |inode: &u64| sockets.0.contains_key(inode);
            if inodes.iter().all(is_known) || Instant::now() > until {
                break;
            }
            let table = files.read(&format!("{process}/net/{name}"), MAX_BYTES);
            let table = table.unwrap_or_default();
            let lines = table.lines().skip(1);
            match protocol {
                "" => sockets.add(lines.filter_map(parse_unix)),
                _ => sockets.add(lines.filter_map(|line| parse_internet(line, protocol))),
            }
        }
        sockets
    }

    fn add(&mut self, found: impl Iterator<Item = (u64, String)>) {
        for (inode, text) in found {
            let entry = self.0.entry(inode);
            entry
                .and_modify(|known| *known = None)
                .or_insert(Some(text));
        }
    }

    /// The description of the socket with this inode: "TCP 127.0.0.1:8080".
    pub(super) fn get(&self, inode: u64) -> Option<&str> {
        self.0.get(&inode)?.as_deref()
    }
}

/// Parses a line of `tcp`, `tcp6`, `udp` or `udp6`: "0: 0100007F:1F90 00000000:0000 0A … inode …".
fn parse_internet(line: &str, protocol: &str) -> Option<(u64, String)> {
    let mut words = line.split_ascii_whitespace();
    let local = parse_address(words.nth(1)?)?;
    let peer = parse_address(words.next()?)?;
    let inode = words.nth(6)?.parse().ok()?;
    let text = match peer.port() {
        0 => format!("{protocol} {local}"),
        _ => format!("{protocol} {local}, peer {peer}"),
    };
    Some((inode, text))
}

/// Parses "0100007F:1F90": the address as 32-bit numbers in the machine's byte order, and the port.
fn parse_address(text: &str) -> Option<SocketAddr> {
    let (address, port) = text.split_once(':')?;
    let part = |from: usize| {
        let digits = address.get(from..from + 8)?;
        Some(u32::from_str_radix(digits, 16).ok()?.to_ne_bytes())
    };
    let address = match address.len() {
        8 => IpAddr::V4(Ipv4Addr::from(part(0)?)),
        32 => {
            let parts = [part(0)?, part(8)?, part(16)?, part(24)?];
            let bytes: [u8; 16] = parts.concat().try_into().ok()?;
            IpAddr::V6(Ipv6Addr::from(bytes))
        }
        _ => return None,
    };
    Some(SocketAddr::new(
        address,
        u16::from_str_radix(port, 16).ok()?,
    ))
}

/// Parses a line of `unix`: "0000000000000000: 00000002 00000000 00010000 0001 01 20154 /run/a.sock".
fn parse_unix(line: &str) -> Option<(u64, String)> {
    let mut words = line.splitn(7, ' ').filter(|word| !word.is_empty());
    // The inode is padded with spaces.
    let rest = words.nth(6)?.trim_start();
    let (inode, name) = rest.split_once(' ').unwrap_or((rest, ""));
    let text = match name {
        "" => "a Unix socket".to_owned(),
        name => format!("Unix socket {name}"),
    };
    Some((inode.parse().ok()?, text))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::proc::tests::Texts;
    use super::*;

    /// Reads all tables.
    fn find(texts: &Texts, process: &str) -> Sockets {
        let until = Instant::now() + Duration::from_secs(3600);
        Sockets::find(texts, process, &[u64::MAX], until)
    }

    const HEAD: &str = "  sl  local_address rem_address   st tx_queue\n";

    /// An address as the kernel of this machine writes it.
    fn hexadecimal(parts: &[[u8; 4]]) -> String {
        let parts = parts.iter().map(|part| u32::from_ne_bytes(*part));
        parts.map(|part| format!("{part:08X}")).collect()
    }

    fn line(local: &str, peer: &str, inode: u64) -> String {
        format!(
            "   0: {local} {peer} 0A 00000000:00000000 00:00000000 00000000     0        0 {inode} 1 0\n"
        )
    }

    #[test]
    fn an_internet_socket_has_its_address_and_its_peers() {
        let home = hexadecimal(&[[127, 0, 0, 1]]);
        let any = hexadecimal(&[[0; 4]]);
        let six = hexadecimal(&[[0; 4], [0; 4], [0; 4], [0, 0, 0, 1]]);
        let zero = hexadecimal(&[[0; 4]; 4]);
        let listens = line(&format!("{home}:1F90"), &format!("{any}:0000"), 11);
        let connected = line(&format!("{home}:1F90"), &format!("{home}:C000"), 12);
        let over_six = line(&format!("{six}:0035"), &format!("{zero}:0000"), 13);
        let texts = Texts::default()
            .file("/proc/self/net/tcp", &format!("{HEAD}{listens}{connected}"))
            .file("/proc/self/net/udp6", &format!("{HEAD}{over_six}"));
        let sockets = find(&texts, "/proc/self");
        assert_eq!(sockets.get(11), Some("TCP 127.0.0.1:8080"));
        let connected = "TCP 127.0.0.1:8080, peer 127.0.0.1:49152";
        assert_eq!(sockets.get(12), Some(connected));
        assert_eq!(sockets.get(13), Some("UDP [::1]:53"));
        assert_eq!(sockets.get(14), None);
    }

    #[test]
    fn a_unix_socket_has_its_path_and_a_forged_one_none() {
        let table = "Num       RefCount Protocol Flags    Type St Inode Path\n\
            000000000fea52b9: 00000003 00000000 00000000 0001 03 5556849\n\
            0000000082414956: 00000003 00000000 00010000 0001 01    34 /run/a b.sock\n\
            0000000082414957: 00000003 00000000 00010000 0001 01    35 @x\n\
            0000000082414958: 00000003 00000000 00010000 0001 01    34 /forged\n\
            0000000082414959: 00000003 00000000 00010000 0001 01    36 /run/b c.sock\n";
        let sockets = find(&Texts::default().file("/proc/1/net/unix", table), "/proc/1");
        assert_eq!(sockets.get(5556849), Some("a Unix socket"));
        assert_eq!(sockets.get(34), None);
        assert_eq!(sockets.get(35), Some("Unix socket @x"));
        assert_eq!(sockets.get(36), Some("Unix socket /run/b c.sock"));
    }

    #[test]
    fn strange_lines_are_left_out() {
        for line in [
            "",
            "0:",
            "0: a:b c:d",
            "0: 0100007F:1F90 zz:0000 0A a b c 0 0 7",
            "é: é:é é:é",
        ] {
            assert_eq!(parse_internet(line, "TCP"), None, "{line}");
        }
        for line in ["", "a: b", "a: b c d e f", "a: b c d e f x /p"] {
            assert_eq!(parse_unix(line), None, "{line}");
        }
    }
}
