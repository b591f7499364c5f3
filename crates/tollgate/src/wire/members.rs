//! The sources of members in the configuration in force, and where their lists go.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use access::Clock;
use config::snapshot::{
    Backend, ConsulSettings, Discovery, DnsSettings, EtcdSettings, MEMBERS_MAX, MemberList, MemberPart, MemberSource,
    Origin, Scheme, SourceStatus,
};
use config::{Live, Snapshot};
use discovery::{
    EtcdCluster, FollowedList, FollowedName, FollowedPlace, FollowedPrefix, FollowedService, FollowedSource,
    FoundMember, MemberFollowing, MemberRefresh, SourceServers, SourceUrl,
};
use jobs::Runner;
use telemetry::Metrics;
use tokio::sync::watch;
use tokio::time::timeout;

use super::own_addresses::OwnAddresses;
use super::parts::ServerContext;

/// The file of the lists, in the data folder.
const FILE: &str = "members.json";

/// Maximum time for which a start waits for the first lists.
const SETTLED_WITHIN: Duration = Duration::from_secs(3);

/// Starts to follow the members of upstreams, and waits for up to [`SETTLED_WITHIN`] for the first lists.
pub(super) async fn start(base: &ServerContext, jobs: &mut Runner) {
    let (following, mut has_settled) = following(&base.live, base.metrics.clone(), base.clock.clone());
    jobs.add(discovery::members::SPEC, move || MemberRefresh::new(following.clone()));
    if timeout(SETTLED_WITHIN, has_settled.wait_for(|settled| *settled)).await.is_err() {
        tracing::warn!("not all sources of members have responded; their upstreams have no members yet");
    }
}

/// The sources of a snapshot.
type FollowedSnapshot = (Arc<Snapshot>, Arc<[FollowedSource]>);

/// Returns what connects the job to the configuration in force, and whether all sources have responded or failed.
fn following(live: &Arc<Live>, metrics: Arc<Metrics>, clock: Clock) -> (MemberFollowing, watch::Receiver<bool>) {
    let snapshot = live.load_full();
    let file: PathBuf = snapshot.process.data.join(FILE);
    let own = OwnAddresses::from_process(&snapshot.process);
    let tls = proxy::tls_config();
    let (settled, has_settled) = watch::channel(false);
    let of = live.clone();
    let published = live.clone();
    let last: Mutex<Option<Arc<Snapshot>>> = Mutex::default();
    let publish = Arc::new(move |lists: &[FollowedList], has_changed: bool| {
        let snapshot = published.load_full();
        let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
        if has_changed || !last.as_ref().is_some_and(|last| Arc::ptr_eq(last, &snapshot)) {
            publish(&snapshot, lists, &own);
            *last = Some(snapshot);
        }
        if lists.iter().all(|list| list.members.is_some() || list.error.is_some()) {
            settled.send_replace(true);
        }
    });
    (MemberFollowing { sources: sources(of), publish, file, tls, metrics, clock }, has_settled)
}

/// Returns a function that lists the sources of the configuration in force. It builds the list once per snapshot.
fn sources(live: Arc<Live>) -> Arc<dyn Fn() -> Arc<[FollowedSource]> + Send + Sync> {
    let built: Mutex<Option<FollowedSnapshot>> = Mutex::default();
    Arc::new(move || {
        let snapshot = live.load_full();
        let mut built = built.lock().unwrap_or_else(PoisonError::into_inner);
        match &*built {
            Some((of, sources)) if Arc::ptr_eq(of, &snapshot) => sources.clone(),
            _ => {
                let mut sources: Vec<FollowedSource> = Vec::new();
                for part in discoveries(&snapshot).flat_map(|discovery| &discovery.parts) {
                    if let Some(source) = followed(part).filter(|source| !sources.contains(source)) {
                        sources.push(source);
                    }
                }
                let sources: Arc<[FollowedSource]> = sources.into();
                *built = Some((snapshot, sources.clone()));
                sources
            }
        }
    })
}

fn discoveries(snapshot: &Snapshot) -> impl Iterator<Item = &Arc<Discovery>> {
    let traffic = &snapshot.traffic;
    let of_upstreams = traffic.upstreams.iter().filter_map(|upstream| upstream.discovery.as_ref());
    of_upstreams.chain(traffic.known_providers().filter_map(|provider| provider.discovery.as_ref()))
}

/// Returns the source of a part; `None` if its backend is fixed.
fn followed(part: &MemberPart) -> Option<FollowedSource> {
    let MemberPart::Found { source, template, .. } = part else { return None };
    let name = |settings: &DnsSettings, port| FollowedName {
        name: template.host.as_str().into(),
        port,
        servers: settings.servers.clone(),
        refresh_max: settings.refresh_max,
    };
    let place = match source {
        MemberSource::Dns { settings } => FollowedPlace::Dns(name(settings, Some(template.port))),
        MemberSource::Srv { settings } => FollowedPlace::Dns(name(settings, None)),
        MemberSource::Etcd { settings, prefix } => {
            FollowedPlace::Etcd(FollowedPrefix { prefix: prefix.clone(), cluster: cluster(settings) })
        }
        MemberSource::Consul { settings, service } => {
            let ConsulSettings { url, token, datacenter, tls } = &**settings;
            let servers = SourceServers { urls: vec![server(url)], tls: tls.clone() };
            let service = service.clone();
            let datacenter = datacenter.clone();
            let token = token.clone();
            FollowedPlace::Consul(FollowedService { service, datacenter, servers, token })
        }
    };
    Some(FollowedSource { place, allow_link_local: template.allow_link_local })
}

/// Returns the cluster of the section `etcd`.
pub(super) fn cluster(EtcdSettings { urls, user, tls }: &EtcdSettings) -> EtcdCluster {
    let servers = SourceServers { urls: urls.iter().map(server).collect(), tls: tls.clone() };
    EtcdCluster { servers, user: user.clone() }
}

fn server(url: &Origin) -> SourceUrl {
    SourceUrl {
        is_tls: url.scheme == Scheme::Https,
        host: url.host.clone(),
        port: url.port,
        authority: url.authority.clone(),
        path: url.path.clone(),
    }
}

/// Replaces the members of each upstream by those of its sources, except listeners of this process. The members of an upstream
/// remain if a source of it has no list yet.
fn publish(snapshot: &Snapshot, lists: &[FollowedList], own: &OwnAddresses) {
    for discovery in discoveries(snapshot) {
        let mut backends: Vec<Backend> = Vec::new();
        let mut sources: Vec<SourceStatus> = Vec::new();
        let mut is_complete: bool = true;
        for part in &discovery.parts {
            let MemberPart::Found { template, weight, .. } = part else {
                let MemberPart::Fixed(backend) = part else { continue };
                backends.push(backend.clone());
                continue;
            };
            let Some(list) = followed(part).and_then(|of| lists.iter().find(|list| list.source == of)) else {
                is_complete = false;
                continue;
            };
            is_complete &= list.members.is_some();
            let members = list.members.as_deref().unwrap_or_default();
            let (left_out, members): (Vec<_>, Vec<_>) =
                members.iter().partition(|member| own.has(&member.host, member.port));
            backends.extend(members.iter().filter_map(|member| backend(member, template, *weight)));
            let remark = left_out.first().map(|FoundMember { host, port, .. }| {
                format!("{host} at port {port} is this gateway's own address, so it is left out").into()
            });
            sources.push(SourceStatus {
                name: list.source.name().into(),
                members: list.members.is_some().then_some(members.len()),
                responded_at: list.responded_at,
                error: list.error.clone().or(remark),
            });
        }
        distinct(&mut backends);
        let backends = if is_complete { backends.into() } else { discovery.list().backends.clone() };
        discovery.replace(MemberList { backends, sources: sources.into() });
    }
}

/// Removes backends with the same origin as an earlier one, and those beyond the maximum.
fn distinct(backends: &mut Vec<Backend>) {
    let mut known = std::collections::HashSet::new();
    backends.retain(|backend| known.insert(backend.origin.clone()));
    backends.truncate(MEMBERS_MAX);
}

/// Returns the backend of a member; `None` if its URL is invalid.
fn backend(member: &FoundMember, template: &Origin, weight: u32) -> Option<Backend> {
    let at = template.with_address(member.host.clone(), member.port);
    let named = |host: &str| Origin::parse(&template.with_address(host.to_owned(), member.port).to_string()).ok();
    let origin = match (&member.url, &member.name) {
        (Some(url), _) => Origin::parse(url).ok()?,
        (None, _) if member.is_address => at,
        // Requests and certificates have the name of the target, which need not be a valid host name in a URL.
        (None, Some(name)) => named(name).map_or(at, |origin| origin.with_address(member.host.clone(), member.port)),
        // The host is the member's own, so it is the authority of requests too.
        (None, None) => named(&member.host)?,
    };
    let origin = Origin { allow_link_local: template.allow_link_local, ..origin };
    Some(Backend { origin, weight: member.weight.unwrap_or(weight) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(host: &str, name: Option<&str>, is_address: bool) -> FoundMember {
        let name = name.map(str::to_owned);
        FoundMember { host: host.to_owned(), port: 8443, url: None, is_address, name, weight: None }
    }

    #[test]
    fn the_name_of_requests_is_that_of_the_source() {
        let template = Origin::parse("https://_https._tcp.users.internal:1/v1").unwrap();
        for (member, shown, authority, server_name) in [
            (
                member("10.0.0.7", Some("a.internal"), false),
                "https://10.0.0.7:8443/v1",
                "a.internal:8443",
                "a.internal",
            ),
            (
                member("10.0.0.7", Some("a b"), false),
                "https://10.0.0.7:8443/v1",
                &*template.authority,
                "_https._tcp.users.internal",
            ),
            (
                member("10.0.0.7", None, true),
                "https://10.0.0.7:8443/v1",
                &*template.authority,
                "_https._tcp.users.internal",
            ),
            (member("fd00::7", None, false), "https://[fd00::7]:8443/v1", "[fd00::7]:8443", "fd00::7"),
        ] {
            let Backend { origin, weight } = backend(&member, &template, 3).unwrap();
            let found = (origin.to_string(), origin.authority.as_str(), origin.server_name(), weight);
            assert_eq!(found, (shown.to_owned(), authority, server_name, 3));
        }
    }
}
