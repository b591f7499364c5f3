//! Members from DNS: the addresses of a name, or its SRV records (RFC 2782).

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream;
use hickory_resolver::config::{NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts};
use hickory_resolver::lookup::Lookup;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::op::Query;
use hickory_resolver::proto::rr::{Name, RData, RecordType};
use hickory_resolver::system_conf::read_system_conf;
use hickory_resolver::{Hosts, TokioResolver};
use tokio::time::{sleep, timeout};

use super::observed::ObservedSource;
use super::source::{FOUND_MAX, FollowedName, FoundMember, scale};
use crate::source_error::SourceError;

/// Maximum time of all look-ups for one list.
const LIST_MAX: Duration = Duration::from_secs(10);
/// Maximum time of one attempt at one server.
const ATTEMPT_MAX: Duration = Duration::from_secs(2);
/// Minimum time between two look-ups, whatever the TTL.
const REFRESH_MIN: Duration = Duration::from_secs(1);
/// The time until the next look-up of a name without records, if the server does not limit it.
const ABSENT: Duration = Duration::from_secs(5);
/// Maximum time until the next look-up after a failure.
const RETRY_MAX: Duration = Duration::from_secs(30);
/// The parts of a weight, into which the addresses of a target divide it: up to ten addresses have whole parts.
const PARTS: u32 = 2_520;
/// Maximum number of look-ups at once for the targets of SRV records.
const TARGETS_AT_ONCE: usize = 16;

/// The addresses of a host by their family, each with the time until it is looked up again.
#[derive(Debug, Clone, Default)]
struct Addresses {
    families: [Vec<IpAddr>; 2],
}

/// The records of one look-up, and the time for which they are valid.
struct Answer {
    records: Vec<RData>,
    valid_for: Duration,
}

/// Looks a name up again and again, and reports each list. It ends only when it is dropped.
pub(super) async fn follow(followed: &FollowedName, observed: &ObservedSource) {
    let mut known = Addresses::default();
    let mut failures = 0_u32;
    loop {
        let listed = timeout(LIST_MAX, list(followed, &mut known)).await;
        let pause = match listed.unwrap_or(Err(SourceError::TimedOut(LIST_MAX))) {
            Ok((members, valid_for)) => {
                failures = 0;
                observed.found(members, None);
                valid_for.min(followed.refresh_max).max(REFRESH_MIN)
            }
            Err(error) => {
                observed.failed(&error);
                let pause = REFRESH_MIN.saturating_mul(1 << failures.min(6)).min(RETRY_MAX);
                failures = failures.saturating_add(1);
                pause.min(followed.refresh_max).max(REFRESH_MIN)
            }
        };
        sleep(pause).await;
    }
}

/// Returns the members of a name, and the time for which they are valid. `known` are the addresses of the last list.
async fn list(followed: &FollowedName, known: &mut Addresses) -> Result<(Vec<FoundMember>, Duration), SourceError> {
    let resolver = ListResolver::new(&followed.servers)?;
    let Some(port) = followed.port else { return service(&resolver, &followed.name).await };
    let valid_for = known.refresh(&resolver, &followed.name).await?;
    let member =
        |ip: &IpAddr| FoundMember { host: ip.to_string(), port, url: None, is_address: true, name: None, weight: None };
    Ok((known.all().map(member).collect(), valid_for))
}

/// A resolver that remembers nothing. It is built for each list, because the system's servers may change.
struct ListResolver {
    resolver: TokioResolver,
    /// The domains that are appended to short names, in their order.
    domains: Vec<Name>,
    /// The number of dots from which a name is first looked up as it is.
    ndots: usize,
    /// The hosts file, if the servers are those of the system.
    hosts: Hosts,
}

impl ListResolver {
    fn new(servers: &[SocketAddr]) -> Result<Self, SourceError> {
        if servers.is_empty() {
            let (config, options) = read_system_conf().map_err(|error| SourceError::System(error.to_string()))?;
            return Self::with_config(config, options, Hosts::from_system().unwrap_or_default());
        }
        let server = |address: &SocketAddr| {
            let mut server = NameServerConfig::udp_and_tcp(address.ip());
            server.connections.iter_mut().for_each(|connection| connection.port = address.port());
            server
        };
        let config = ResolverConfig::from_parts(None, Vec::new(), servers.iter().map(server).collect());
        Self::with_config(config, ResolverOpts::default(), Hosts::default())
    }

    fn with_config(config: ResolverConfig, mut options: ResolverOpts, hosts: Hosts) -> Result<Self, SourceError> {
        options.timeout = ATTEMPT_MAX;
        options.attempts = 2;
        options.cache_size = 0;
        options.use_hosts_file = ResolveHosts::Never;
        let mut domains: Vec<Name> = Vec::new();
        for domain in config.domain().into_iter().chain(config.search()) {
            if !domains.contains(domain) {
                domains.push(domain.clone());
            }
        }
        let ndots = options.ndots;
        let builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
        let resolver = builder.with_options(options).build().map_err(|error| SourceError::System(error.to_string()))?;
        Ok(Self { resolver, domains, ndots, hosts })
    }

    /// Looks up the records of one type. A name without them is not an error. If no name of the search list has records, the
    /// first failure is the result: the name that failed may have some.
    async fn answer(&self, name: &str, of: RecordType) -> Result<Answer, SourceError> {
        let invalid = |error: &dyn std::fmt::Display| SourceError::Lookup(format!("{name}: {error}"));
        let written = Name::from_utf8(name).map_err(|error| invalid(&error))?;
        if let Some(lookup) = self.hosts.lookup_static_host(&Query::query(written.clone(), of)) {
            return Ok(Answer::from_lookup(&lookup));
        }
        let mut absent = Answer { records: Vec::new(), valid_for: ABSENT };
        let mut failure = None;
        for name in self.candidates(written) {
            match self.resolver.lookup(name, of).await {
                Ok(lookup) => return Ok(Answer::from_lookup(&lookup)),
                Err(NetError::Dns(DnsError::NoRecordsFound(none))) => {
                    let ttl = none.negative_ttl.map_or(ABSENT, |seconds| Duration::from_secs(seconds.into()));
                    absent.valid_for = absent.valid_for.min(ttl);
                }
                Err(error) => failure = failure.or(Some(SourceError::Lookup(error.to_string()))),
            }
        }
        failure.map_or(Ok(absent), Err)
    }

    /// Returns the complete names for a name, in the order of their look-ups (resolv.conf(5)).
    fn candidates(&self, written: Name) -> Vec<Name> {
        if written.is_fqdn() {
            return vec![written];
        }
        let is_long = usize::from(written.num_labels()) > self.ndots;
        let mut names: Vec<Name> =
            self.domains.iter().filter_map(|domain| written.clone().append_domain(domain).ok()).collect();
        let mut complete = written;
        complete.set_fqdn(true);
        names.insert(if is_long { 0 } else { names.len() }, complete);
        names
    }
}

impl Answer {
    fn from_lookup(lookup: &Lookup) -> Self {
        let ttl = lookup.answers().iter().map(|record| record.ttl).min();
        let valid_for = ttl.map_or(ABSENT, |seconds| Duration::from_secs(seconds.into()));
        let records = lookup.answers().iter().map(|record| record.data.clone()).take(FOUND_MAX + 64).collect();
        Self { records, valid_for }
    }
}

impl Addresses {
    /// Looks up both families, and returns the time for which they are valid. If one family fails while the other one has
    /// addresses, those of the last list remain for it.
    async fn refresh(&mut self, resolver: &ListResolver, name: &str) -> Result<Duration, SourceError> {
        let (v4, v6) =
            futures_util::join!(resolver.answer(name, RecordType::A), resolver.answer(name, RecordType::AAAA));
        let has = |answer: &Result<Answer, SourceError>| answer.as_ref().is_ok_and(|found| !found.records.is_empty());
        let has_any = has(&v4) || has(&v6);
        let mut valid_for = Duration::MAX;
        for (family, answer) in self.families.iter_mut().zip([v4, v6]) {
            match answer {
                Ok(Answer { records, valid_for: own }) => {
                    *family = records.iter().filter_map(RData::ip_addr).collect();
                    // The negative TTL of a family that the name never has must not delay the other one.
                    valid_for = if family.is_empty() && has_any { valid_for } else { valid_for.min(own) };
                }
                Err(_) if has_any => valid_for = valid_for.min(ABSENT),
                Err(error) => return Err(error),
            }
        }
        Ok(valid_for)
    }

    fn all(&self) -> impl Iterator<Item = &IpAddr> {
        self.families.iter().flatten()
    }
}

/// Returns the members of SRV records with the lowest priority.
async fn service(resolver: &ListResolver, name: &str) -> Result<(Vec<FoundMember>, Duration), SourceError> {
    let Answer { records, mut valid_for } = resolver.answer(name, RecordType::SRV).await?;
    let mut targets: Vec<(String, u16, u16, u16)> = Vec::new();
    for record in records {
        if let RData::SRV(srv) = record
            && !srv.target.is_root()
        {
            targets.push((srv.target.to_string(), srv.port, srv.weight, srv.priority));
        }
    }
    let first = targets.iter().map(|(.., priority)| *priority).min();
    targets.retain(|(.., priority)| Some(*priority) == first);
    targets.truncate(FOUND_MAX);
    let look_ups = targets.into_iter().map(|(host, port, weight, _)| async move {
        let mut addresses = Addresses::default();
        let valid_for = addresses.refresh(resolver, &host).await?;
        let name = host.trim_end_matches('.').to_ascii_lowercase();
        Ok::<_, SourceError>((addresses, valid_for, name, (port, weight)))
    });
    let mut look_ups = stream::iter(look_ups).buffer_unordered(TARGETS_AT_ONCE);
    let mut members = Vec::new();
    let mut are_divided = false;
    while let Some(found) = look_ups.next().await {
        let (addresses, own, name, (port, weight)) = found?;
        valid_for = valid_for.min(own);
        // The addresses of a target share its weight. RFC 2782: 0 is a small chance beside other weights.
        let weight =
            Some(u32::from(weight).max(1) * PARTS / u32::try_from(addresses.all().count()).unwrap_or(1).max(1));
        are_divided |= addresses.all().count() > 1;
        members.extend(addresses.all().map(|ip| FoundMember {
            host: ip.to_string(),
            port,
            url: None,
            is_address: false,
            name: Some(name.clone()),
            weight,
        }));
    }
    if !are_divided {
        members.iter_mut().filter_map(|member| member.weight.as_mut()).for_each(|weight| *weight /= PARTS);
    }
    scale(&mut members);
    Ok((members, valid_for))
}

#[cfg(test)]
mod tests {
    use tokio::net::UdpSocket;
    use tokio::task::JoinSet;

    use super::*;

    /// Serves DNS: names of `broken` fail (SERVFAIL), and others do not exist (NXDOMAIN).
    async fn serve(socket: UdpSocket, broken: &'static str) {
        let mut query = [0; 512];
        loop {
            let (_, from) = socket.recv_from(&mut query).await.unwrap();
            let mut end = 12;
            let mut name = String::new();
            while query[end] > 0 {
                let label = &query[end + 1..=end + usize::from(query[end])];
                name.push_str(&format!("{}.", String::from_utf8_lossy(label)));
                end += label.len() + 1;
            }
            let code = if name == broken { 2 } else { 3 };
            let mut response = query[..end + 5].to_vec();
            response[2..12].copy_from_slice(&[0x81, 0x80 | code, 0, 1, 0, 0, 0, 0, 0, 0]);
            socket.send_to(&response, from).await.unwrap();
        }
    }

    #[tokio::test]
    async fn a_name_that_fails_is_not_absent_because_a_further_one_does_not_exist() {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let mut server = NameServerConfig::udp("127.0.0.1".parse().unwrap());
        server.connections[0].port = socket.local_addr().unwrap().port();
        let mut tasks = JoinSet::new();
        tasks.spawn(serve(socket, "users.internal."));
        let domains = ["corp.example.com.", "example.com."].map(|name| Name::from_utf8(name).unwrap());
        let config = ResolverConfig::from_parts(None, domains.to_vec(), vec![server]);
        let resolver = ListResolver::with_config(config, ResolverOpts::default(), Hosts::default()).unwrap();
        assert!(resolver.answer("users.internal", RecordType::A).await.is_err());
        let absent = resolver.answer("other.internal", RecordType::A).await.unwrap();
        assert!(absent.records.is_empty() && absent.valid_for <= ABSENT);
        let names = |written: &str| -> Vec<String> {
            resolver.candidates(Name::from_utf8(written).unwrap()).iter().map(ToString::to_string).collect()
        };
        assert_eq!(names("a.b"), ["a.b.", "a.b.corp.example.com.", "a.b.example.com."]);
        assert_eq!(names("a"), ["a.corp.example.com.", "a.example.com.", "a."]);
        assert_eq!(names("a.b."), ["a.b."]);
    }
}
