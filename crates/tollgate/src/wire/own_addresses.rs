//! The addresses of this process's listeners, which are not members of an upstream: a request to one would come back to it again and
//! again.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use config::snapshot::Process;

/// The addresses of the listeners.
#[derive(Debug)]
pub(super) struct OwnAddresses(Vec<SocketAddr>);

impl OwnAddresses {
    /// Returns the addresses of a process, whose ports the system has selected already.
    pub(super) fn from_process(process: &Process) -> Self {
        Self(process.tcp_listeners().collect())
    }

    /// Returns whether a listener is at a host and a port. Names other than `localhost` are not looked up.
    pub(super) fn has(&self, host: &str, port: u16) -> bool {
        let ip = if host == "localhost" { Some(Ipv4Addr::LOCALHOST.into()) } else { host.parse().ok() };
        let Some(ip) = ip.map(|ip: IpAddr| ip.to_canonical()) else { return false };
        let is_at = |own: &SocketAddr| {
            let listener = own.ip().to_canonical();
            // A connection to the unspecified address is one to the loopback address.
            own.port() == port
                && (listener == ip
                    || listener.is_unspecified() && is_of_this_machine(ip)
                    || ip.is_unspecified() && listener.is_loopback())
        };
        self.0.iter().any(is_at)
    }
}

/// Returns whether an address is one of this machine: the system then sends from the same one. Nothing is sent.
fn is_of_this_machine(ip: IpAddr) -> bool {
    if ip.is_loopback() || ip.is_unspecified() {
        return true;
    }
    let any: IpAddr = if ip.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((any, 0)).and_then(|socket| {
        // The port is of no importance.
        socket.connect((ip, 9))?;
        socket.local_addr()
    });
    socket.is_ok_and(|from| from.ip() == ip)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_is_found_by_each_address_at_which_it_can_be_reached() {
        let own = |listener: &str| OwnAddresses(vec![listener.parse().unwrap()]);
        for (listener, host, port, expected) in [
            ("127.0.0.1:8080", "127.0.0.1", 8080, true),
            ("127.0.0.1:8080", "::ffff:127.0.0.1", 8080, true),
            ("127.0.0.1:8080", "localhost", 8080, true),
            ("127.0.0.1:8080", "0.0.0.0", 8080, true),
            ("127.0.0.1:8080", "127.0.0.1", 8081, false),
            ("127.0.0.1:8080", "127.0.0.2", 8080, false),
            ("127.0.0.1:8080", "users.internal", 8080, false),
            ("0.0.0.0:8080", "127.0.0.2", 8080, true),
            ("0.0.0.0:8080", "0.0.0.0", 8080, true),
            ("[::]:8080", "::1", 8080, true),
            ("[::]:8080", "127.0.0.1", 8080, true),
            // TEST-NET-1, which no machine has.
            ("0.0.0.0:8080", "192.0.2.1", 8080, false),
            ("192.0.2.1:8080", "192.0.2.1", 8080, true),
        ] {
            assert_eq!(own(listener).has(host, port), expected, "{listener} {host}:{port}");
        }
    }
}
