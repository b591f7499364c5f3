//! The addresses of a host, which are checked before a connection is made: the name may resolve to an address that the
//! configuration could not see.

use std::io;
use std::net::{IpAddr, SocketAddr};

use access::credentials::issuer::{IssuerUrl, UrlScheme, is_link_local};
use tokio::net::lookup_host;

use crate::error::FetchError;

/// Maximum number of a name's addresses that are tried.
const ADDRESSES_MAX: usize = 4;

/// The reason why no address of a host is connected to.
#[derive(Debug)]
pub(crate) enum HostError {
    Resolve(io::Error),
    /// The host has a link-local or metadata address.
    LinkLocal,
}

/// Returns the addresses of a host. A host with one forbidden address is refused as a whole.
pub(crate) async fn of_host(host: &str, port: u16, allow_link_local: bool) -> Result<Vec<SocketAddr>, HostError> {
    let found: Vec<SocketAddr> = lookup_host((host, port)).await.map_err(HostError::Resolve)?.collect();
    let is_forbidden = !allow_link_local && found.iter().any(|address| is_link_local(address.ip()));
    if is_forbidden { Err(HostError::LinkLocal) } else { Ok(found) }
}

/// Returns the addresses of the host of `url`, at least one. A host with one forbidden address is refused as a whole.
pub(crate) async fn resolve(url: &IssuerUrl, allow_link_local: bool) -> Result<Vec<SocketAddr>, FetchError> {
    let found: Vec<SocketAddr> = match url.address() {
        Some(address) => vec![SocketAddr::new(address, url.port())],
        None => lookup_host((url.host(), url.port())).await.map_err(FetchError::Resolve)?.collect(),
    };
    check(found, url.scheme(), allow_link_local)
}

fn check(mut found: Vec<SocketAddr>, scheme: UrlScheme, allow_link_local: bool) -> Result<Vec<SocketAddr>, FetchError> {
    let mut addresses = found.iter().map(SocketAddr::ip);
    if !allow_link_local && addresses.clone().any(is_link_local) {
        return Err(FetchError::LinkLocal);
    }
    if scheme == UrlScheme::Http && !addresses.all(is_loopback) {
        return Err(FetchError::NotLoopback);
    }
    found.truncate(ADDRESSES_MAX);
    if found.is_empty() { Err(FetchError::NoAddress) } else { Ok(found) }
}

fn is_loopback(address: IpAddr) -> bool {
    address.to_canonical().is_loopback()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forbidden_addresses_are_found_after_the_resolution() {
        let check = |addresses: &[&str], scheme, allow| {
            let found = addresses.iter().map(|address| SocketAddr::new(address.parse().unwrap(), 443)).collect();
            check(found, scheme, allow).map(|found| found.len()).map_err(|error| error.to_string())
        };
        let local = Err(FetchError::LinkLocal.to_string());
        let other = Err(FetchError::NotLoopback.to_string());
        for (addresses, scheme, allow, expected) in [
            (&["203.0.113.9"] as &[_], UrlScheme::Https, false, Ok(1)),
            (&["10.0.0.1", "::1"], UrlScheme::Https, false, Ok(2)),
            (&["203.0.113.9"; 9], UrlScheme::Https, false, Ok(ADDRESSES_MAX)),
            (&["203.0.113.9", "169.254.169.254"], UrlScheme::Https, false, local.clone()),
            (
                &["203.0.113.9", "203.0.113.9", "203.0.113.9", "203.0.113.9", "fe80::1"],
                UrlScheme::Https,
                false,
                local.clone(),
            ),
            (&["fd00:ec2::254"], UrlScheme::Https, false, local),
            (&["169.254.169.254"], UrlScheme::Https, true, Ok(1)),
            (&["127.0.0.1", "::1"], UrlScheme::Http, false, Ok(2)),
            (&["127.0.0.1", "203.0.113.9"], UrlScheme::Http, false, other.clone()),
            (&["169.254.169.254"], UrlScheme::Http, true, other),
            (&[], UrlScheme::Https, false, Err(FetchError::NoAddress.to_string())),
        ] {
            assert_eq!(check(addresses, scheme, allow), expected, "{addresses:?}");
        }
    }
}
