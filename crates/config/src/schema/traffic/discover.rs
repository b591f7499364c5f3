//! The keys of discovery: `dns`, and `discover` of an upstream.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::UpstreamTlsInput;
use super::forms::ANY_NAME;
use crate::snapshot::{Origin, Scheme};
use access::Secret;
use settings::field::{ValueList, default, list, maybe_nested, optional, required};
use settings::form::{DurationForm, Scalar, TextForm, Words, accept, bad};
use settings::input::Input;
use settings::section;
use settings::section::setting::Value;
use settings::spec::Rule;

/// Maximum number of entries of `dns.servers`.
const SERVERS_MAX: usize = 8;
const DNS_PORT: u16 = 53;
/// The bounds of `dns.refresh_max`.
const REFRESH: DurationForm = DurationForm::new(Duration::from_secs(1), Duration::from_hours(24));
pub(crate) const REFRESH_DEFAULT: Duration = Duration::from_secs(60);

const SERVER: TextForm<SocketAddr> = TextForm {
    parse: |text| {
        let address = || text.parse::<IpAddr>().ok().map(|ip| SocketAddr::new(ip, DNS_PORT));
        text.parse().ok().or_else(address).ok_or_else(|| bad("an address with an optional port, such as 10.0.0.2:53"))
    },
    shown: |server| Value::text(server),
    cell: "address with an optional port",
    pattern: r"^[0-9A-Fa-f:.\[\]]+$",
    scalar: Scalar::Text,
};

/// A name with an optional port. A name that begins with `_` is one of SRV records, which have ports.
const MEMBER_NAME: TextForm<String> = TextForm {
    parse: |text| {
        let is_srv = text.starts_with('_');
        let is_valid = Origin::parse(&format!("http://{text}"))
            .is_ok_and(|origin| origin.path.is_empty() && origin.host.parse::<IpAddr>().is_err());
        let has_port = text.contains(':');
        let has_slash = text.contains('/');
        accept(
            text,
            is_valid && !has_slash && !(is_srv && has_port),
            "a name with a port, such as users.internal:8080, or a name of SRV records, such as _http._tcp.users.internal",
        )
    },
    shown: |name| Value::text(name),
    cell: "`NAME[:PORT]`, or `_SERVICE._tcp.NAME`",
    pattern: "^([A-Za-z0-9-][A-Za-z0-9._-]*(:[0-9]{1,5})?|_[A-Za-z0-9._-]+)$",
    scalar: Scalar::Text,
};

/// A prefix of keys, of at most 1,024 bytes.
const KEY_PREFIX: TextForm<String> = TextForm {
    parse: |text| {
        let is_valid = (1..=1_024).contains(&text.len()) && text.bytes().all(|byte| (0x21..0x7f).contains(&byte));
        accept(text, is_valid, "1 to 1,024 visible ASCII characters, such as /services/user/")
    },
    shown: |prefix| Value::text(prefix),
    cell: "prefix of keys",
    pattern: "^[!-~]{1,1024}$",
    scalar: Scalar::Any,
};

/// The name of a service or a data center.
const SERVICE: TextForm<String> = TextForm {
    parse: |text| {
        let is_plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'));
        accept(text, (1..=128).contains(&text.len()) && is_plain, "a name such as user-service")
    },
    shown: |name| Value::text(name),
    cell: "name",
    pattern: "^[A-Za-z0-9_.-]{1,128}$",
    scalar: Scalar::Any,
};

/// The URL of a server of a source.
const SOURCE: TextForm<Origin> = TextForm {
    parse: |text| match Origin::parse(text) {
        Ok(origin) if origin.scheme != Scheme::H2c => Ok(origin),
        Ok(_) | Err(_) => Err(bad("a URL: http://HOST[:PORT][/PATH] or https://…")),
    },
    shown: |origin| Value::text(origin),
    cell: "`http` or `https` URL",
    pattern: "^[Hh][Tt][Tt][Pp][Ss]?://[^?#@]+$",
    scalar: Scalar::Text,
};

const SECRET: TextForm<Secret> = TextForm {
    parse: |text| {
        let is_valid = (1..=1_024).contains(&text.len()) && text.bytes().all(|byte| (0x21..0x7f).contains(&byte));
        accept(text, is_valid, "1 to 1,024 visible ASCII characters without a space").map(Secret::new)
    },
    shown: |secret| Value::secret(secret),
    cell: "1 to 1,024 visible ASCII characters",
    pattern: "^[!-~]{1,1024}$",
    scalar: Scalar::Any,
};

/// The protocol of members.
const SCHEME: Words<Scheme> = Words::new(&[("http", Scheme::Http), ("https", Scheme::Https), ("h2c", Scheme::H2c)]);

section! {
    DnsInput {
        /// The DNS servers, instead of the system's.
        servers: ValueList<SocketAddr> = list(SERVER, SERVERS_MAX, "from `/etc/resolv.conf`");
        /// Maximum time between look-ups. A TTL shortens it, to at least 1 s.
        refresh_max: Input<Duration> = default(REFRESH, || REFRESH_DEFAULT);
    }
}

section! {
    DiscoverInput {
        /// A name with addresses or [SRV records](discovery.md#dns).
        dns: Option<Input<String>> = optional(MEMBER_NAME, "");
        /// A prefix of [etcd](discovery.md#etcd) keys with URLs as values.
        etcd: Option<Input<String>> = optional(KEY_PREFIX, "");
        /// The name of a [Consul](discovery.md#consul) service.
        consul: Option<Input<String>> = optional(SERVICE, "");
        /// The protocol of members of `dns` and `consul`.
        scheme: Input<Scheme> = default(SCHEME, || Scheme::Http);
        rules: Rule::ExactlyOne(&["dns", "etcd", "consul"]);
    }
}

section! {
    EtcdInput {
        /// The servers of one cluster.
        urls: ValueList<Origin> = list(SOURCE, SERVERS_MAX, "required").not_empty("at least one URL, such as https://etcd-1.internal:2379");
        /// The user, if the cluster requires authentication.
        user: Option<Input<String>> = optional(ANY_NAME, "none");
        /// The password of the user.
        password: Option<Input<Secret>> = optional(SECRET, "none");
        /// The TLS to `https` URLs.
        tls: Option<UpstreamTlsInput> = maybe_nested::<UpstreamTlsInput>();
        rules: Rule::Required("urls"), Rule::Requires("user", "password"), Rule::Requires("password", "user");
    }
}

section! {
    ConsulInput {
        /// The agent or a server.
        url: Option<Input<Origin>> = required(SOURCE);
        /// The token, with `service:read` and `node:read`.
        token: Option<Input<Secret>> = optional(SECRET, "none");
        /// The data center of the services.
        datacenter: Option<Input<String>> = optional(SERVICE, "the agent's");
        /// The TLS to an `https` URL.
        tls: Option<UpstreamTlsInput> = maybe_nested::<UpstreamTlsInput>();
    }
}
