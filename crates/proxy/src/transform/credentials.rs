//! The credentials of the vault that the headers of a route contain.
//!
//! A credential is sent only to the upstream for which it is stored. A request whose credential is missing is refused.

use access::{ProviderKeys, Refusal, Secret, UpstreamCredentials};
use config::snapshot::{HeaderPart, HeaderRules};
use thiserror::Error;

use crate::refusal::problem::Problem;

/// The credentials that the headers of one request contain; each of them exists.
pub(crate) struct HeaderCredentials<'a> {
    keys: ProviderKeys,
    upstream: &'a str,
}

/// The reason why a request does not have its credential.
#[derive(Debug, Error, PartialEq, Eq)]
enum NoCredential<'a> {
    #[error("the vault has no shared credential {label:?} for the upstream {upstream:?}")]
    Missing { upstream: &'a str, label: &'a str },
    #[error("the shared credential {label:?} for the upstream {upstream:?} cannot be decrypted")]
    Undecryptable { upstream: &'a str, label: &'a str },
}

impl<'a> HeaderCredentials<'a> {
    /// Returns the credentials for requests to `upstream`; `None` if the rules have none.
    ///
    /// # Errors
    /// `unavailable` if one is missing or cannot be decrypted.
    pub(crate) fn from_rules(
        rules: &'a HeaderRules,
        read: &UpstreamCredentials,
        upstream: &'a str,
    ) -> Result<Option<Self>, Problem> {
        if !rules.has_credentials {
            return Ok(None);
        }
        let credentials = Self { keys: read.load(), upstream };
        let templates = rules.replaced_by_values.iter().chain(&rules.appended_values);
        for part in templates.flat_map(|template| &template.parts) {
            if let HeaderPart::Credential(label) = part {
                credentials.find(label).map_err(|why| {
                    let message = "the gateway has no credential for this upstream at the moment: try again later";
                    Problem::new(Refusal::Unavailable, message).because(&why)
                })?;
            }
        }
        Ok(Some(credentials))
    }

    /// Returns the credential with this label.
    pub(super) fn get(&self, label: &str) -> Option<&Secret> {
        self.find(label).ok()
    }

    fn find<'s: 'l, 'l>(&'s self, label: &'l str) -> Result<&'s Secret, NoCredential<'l>> {
        let upstream = self.upstream;
        let found = self.keys.shared(upstream, Some(label)).ok_or(NoCredential::Missing { upstream, label })?;
        found.secret.as_ref().ok_or(NoCredential::Undecryptable { upstream, label })
    }
}

#[cfg(test)]
mod tests {
    use access::{Clock, Ids, ProviderKey, ProviderKeyId, Timestamp};
    use config::snapshot::HeaderTemplate;
    use http1::HeadEdits;

    use super::*;

    fn rules(labels: &[&str]) -> HeaderRules {
        let parts = labels.iter().map(|label| HeaderPart::Credential((*label).into())).collect();
        HeaderRules {
            names: Box::new([]),
            replaced: HeadEdits::for_forwarding(),
            replaced_by_values: Box::new([]),
            appended: HeadEdits::for_forwarding(),
            appended_values: Box::new([HeaderTemplate { name: "X-Key".into(), parts }]),
            path: None,
            has_credentials: !labels.is_empty(),
        }
    }

    fn key(provider: &str, label: &str, secret: Option<&str>) -> ProviderKey {
        let id = ProviderKeyId(Ids::new(Clock::manual(Timestamp(1))).next_uuid());
        let secret = secret.map(|text| Secret::new(text.to_owned()));
        ProviderKey { id, provider: provider.into(), label: label.into(), secret }
    }

    #[test]
    fn a_credential_is_used_for_its_upstream_only() {
        let read = UpstreamCredentials::default();
        let check = |label: &str, upstream: &str, expected: Result<&str, &str>| {
            let rules = rules(&[label]);
            let found = HeaderCredentials::from_rules(&rules, &read, upstream);
            let found = found.map(|found| found.unwrap().get(label).unwrap().expose().to_owned());
            let found = found.map_err(|problem| (problem.refusal, problem.source.unwrap_or_default()));
            let expected = expected.map(str::to_owned).map_err(|why| (Refusal::Unavailable, why.to_owned()));
            assert_eq!(found, expected, "{label} {upstream}");
        };
        let missing = "the vault has no shared credential \"team\" for the upstream \"orders\"";
        check("team", "orders", Err(missing));
        let keys = [key("openai", "team", Some("sk-provider")), key("orders", "moved", None)];
        read.store(keys.clone().into());
        check("team", "orders", Err(missing));
        let undecryptable = "the shared credential \"moved\" for the upstream \"orders\" cannot be decrypted";
        check("moved", "orders", Err(undecryptable));
        read.store([key("orders", "team", Some("s-of-orders"))].into_iter().chain(keys).collect());
        check("team", "orders", Ok("s-of-orders"));
        check("team", "openai", Ok("sk-provider"));
        assert!(HeaderCredentials::from_rules(&rules(&[]), &read, "orders").unwrap().is_none());
        assert!(HeaderCredentials::from_rules(&rules(&["team", "moved"]), &read, "orders").is_err());
    }
}
