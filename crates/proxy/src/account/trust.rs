//! The received headers that the gateway takes into account.

use config::snapshot::trusted_headers::is_client_subject;

use crate::account::RequestAccount;
use crate::client::head::is_same_name;
use crate::client::trusted::{Trust, TrustRule};

impl RequestAccount {
    /// Returns the rule for the received headers that the upstream of the route may trust.
    pub(crate) fn trust_rule(&self) -> TrustRule<'_> {
        let request = &self.request;
        let policy = self.policy();
        let allowed = &policy.allow_headers;
        TrustRule {
            trust: if request.is_peer_trusted() { Trust::Peer(allowed) } else { Trust::Route(allowed) },
            claim_headers: &request.snapshot.traffic.claim_headers,
            withholds_claims: policy.auth.withheld().claims,
            certificate: request.at.peer.certificate_subject(),
        }
    }

    /// Returns the values of a header that the upstream of the route may trust, also with `_` for `-` in its name, as for
    /// backends behind CGI. Values that claims or services set are not among them.
    pub(crate) fn header_values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        let named = self.request.head.fields().iter().filter(move |field| is_same_name(field.name, name.as_bytes()));
        // Few requests have the header, and the rule looks up the peer.
        let received = named.filter(|field| {
            let rule = self.trust_rule();
            !(rule.removes(field) || rule.replaces(field))
        });
        received.map(|field| field.value).chain(self.certificate_as(name))
    }

    /// Returns the subject of the client's certificate if `name` is that of its header, and the client presents it to this
    /// gateway.
    fn certificate_as(&self, name: &str) -> Option<&[u8]> {
        if is_client_subject(name.as_bytes()) {
            self.trust_rule().certificate_field().map(|field| field.value)
        } else {
            None
        }
    }
}
