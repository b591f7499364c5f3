//! Members from DNS: the addresses of a name, or its SRV records (RFC 2782).

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream;
use hickory_resolver::TokioResolver;
use hickory_resolver::config::{NameServerConfig, ResolverConfig};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::rr::{RData, RecordType};
use tokio::time::{sleep, timeout};

use super::observed::Observed;
use super::source::{FOUND_MAX, FollowedName, FoundMember};
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
pub(super) async fn follow(followed: &FollowedName, observed: &Observed) {
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
    let resolver = resolver(&followed.servers)?;
    let Some(port) = followed.port else { return service(&resolver, &followed.name).await };
    let valid_for = known.refresh(&resolver, &followed.name).await?;
    let member =
        |ip: &IpAddr| FoundMember { host: ip.to_string(), port, url: None, is_address: true, name: None, weight: None };
    Ok((known.all().map(member).collect(), valid_for))
}

/// Returns a resolver that remembers nothing. It is built for each list, because the system's servers may change.
fn resolver(servers: &[SocketAddr]) -> Result<TokioResolver, SourceError> {
    let provider = TokioRuntimeProvider::default();
    let mut builder = if servers.is_empty() {
        TokioResolver::builder(provider).map_err(|error| SourceError::System(error.to_string()))?
    } else {
        let server = |address: &SocketAddr| {
            let mut server = NameServerConfig::udp_and_tcp(address.ip());
            server.connections.iter_mut().for_each(|connection| connection.port = address.port());
            server
        };
        let servers = servers.iter().map(server).collect();
        TokioResolver::builder_with_config(ResolverConfig::from_parts(None, Vec::new(), servers), provider)
    };
    let options = builder.options_mut();
    options.timeout = ATTEMPT_MAX;
    options.attempts = 2;
    options.cache_size = 0;
    builder.build().map_err(|error| SourceError::System(error.to_string()))
}

/// Looks up the records of one type. A name without them is not an error.
async fn answer(resolver: &TokioResolver, name: &str, of: RecordType) -> Result<Answer, SourceError> {
    match resolver.lookup(name, of).await {
        Ok(lookup) => {
            let ttl = lookup.answers().iter().map(|record| record.ttl).min();
            let valid_for = ttl.map_or(ABSENT, |seconds| Duration::from_secs(seconds.into()));
            let records = lookup.answers().iter().map(|record| record.data.clone()).take(FOUND_MAX + 64).collect();
            Ok(Answer { records, valid_for })
        }
        Err(NetError::Dns(DnsError::NoRecordsFound(absent))) => {
            let valid_for =
                absent.negative_ttl.map_or(ABSENT, |seconds| Duration::from_secs(seconds.into()).min(ABSENT));
            Ok(Answer { records: Vec::new(), valid_for })
        }
        Err(error) => Err(SourceError::Lookup(error.to_string())),
    }
}

impl Addresses {
    /// Looks up both families, and returns the time for which they are valid. If one family fails while the other one has
    /// addresses, those of the last list remain for it.
    async fn refresh(&mut self, resolver: &TokioResolver, name: &str) -> Result<Duration, SourceError> {
        let (v4, v6) =
            futures_util::join!(answer(resolver, name, RecordType::A), answer(resolver, name, RecordType::AAAA));
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
async fn service(resolver: &TokioResolver, name: &str) -> Result<(Vec<FoundMember>, Duration), SourceError> {
    let Answer { records, mut valid_for } = answer(resolver, name, RecordType::SRV).await?;
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
    while let Some(found) = look_ups.next().await {
        let (addresses, own, name, (port, weight)) = found?;
        valid_for = valid_for.min(own);
        members.extend(addresses.all().map(|ip| FoundMember {
            host: ip.to_string(),
            port,
            url: None,
            is_address: false,
            name: Some(name.clone()),
            // RFC 2782: 0 is a small chance beside other weights.
            weight: Some(u32::from(weight).clamp(1, 1_000)),
        }));
    }
    Ok((members, valid_for))
}
