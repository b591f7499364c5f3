//! The credential of an LLM request: the user's own, otherwise one that the user's plan may share.

use std::sync::Arc;

use access::{Principal, ProviderKey, Refusal, Secret, ServiceAccount};
use ai::hosts::sigv4::AwsCredential;
use config::snapshot::{Credential, Provider};

use crate::refusal::problem::Problem;

/// The credential of a call, which is borrowed from the configuration or the principal, so that nothing is copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ChosenCredential<'a> {
    /// A secret, which is sent.
    Secret(&'a Secret),
    /// Keys that sign the call.
    Aws(&'a AwsCredential),
    /// A service account, whose access token is sent.
    ServiceAccount(AccountKey<'a>),
}

impl<'a> ChosenCredential<'a> {
    /// Returns what differs between two credentials of a provider.
    pub(crate) fn identity(&self) -> &'a str {
        match self {
            Self::Secret(secret) | Self::ServiceAccount(AccountKey::Stored { json: secret, .. }) => secret.expose(),
            Self::Aws(keys) => keys.access_key_id.expose(),
            Self::ServiceAccount(AccountKey::Configured(account)) => account.json().expose(),
        }
    }
}

/// The key of a service account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AccountKey<'a> {
    /// That of the configuration.
    Configured(&'a Arc<ServiceAccount>),
    /// The JSON file of a key in the vault.
    Stored { json: &'a Secret, is_own: bool },
}

/// Returns the credential for `provider`; `None` only if the provider needs none and the vault has none for it.
///
/// If the user's own credential cannot be decrypted, no other credential replaces it.
pub(crate) fn choose<'a>(
    provider: &'a Provider,
    principal: &'a Principal,
) -> Result<Option<ChosenCredential<'a>>, Problem> {
    let keys = &principal.provider_keys;
    if let Some(own) = keys.own(&provider.name) {
        return opened(provider, own, true);
    }
    let shares = principal.plan.shared_keys;
    if provider.credential == Credential::None {
        let shared = if shares { keys.shared(&provider.name, None) } else { None };
        return shared.map_or(Ok(None), |shared| opened(provider, shared, false));
    }
    if !shares {
        return Err(missing(provider, "your plan comes without credentials of providers"));
    }
    match &provider.credential {
        Credential::None => Ok(None),
        Credential::Fixed(secret) => Ok(Some(ChosenCredential::Secret(secret))),
        Credential::Aws(keys) => Ok(Some(ChosenCredential::Aws(keys))),
        Credential::ServiceAccount(account) => {
            Ok(Some(ChosenCredential::ServiceAccount(AccountKey::Configured(account))))
        }
        Credential::Vault { label } => match keys.shared(&provider.name, label.as_deref()) {
            Some(shared) => opened(provider, shared, false),
            None => Err(missing(provider, "there is no shared credential")),
        },
    }
}

/// Whether a call has the operator's credential, as far as the configuration and the vault have one.
pub(crate) fn is_shared(provider: &Provider, principal: &Principal) -> bool {
    let keys = &principal.provider_keys;
    let has_one = || provider.credential != Credential::None || keys.shared(&provider.name, None).is_some();
    keys.own(&provider.name).is_none() && has_one()
}

/// Returns the name of the account at the provider: a user's own credential is another one's than the gateway's.
pub(crate) fn owner(provider: &Provider, principal: &Principal) -> String {
    match principal.provider_keys.own(&provider.name) {
        Some(own) => format!("{}/{}", provider.name, own.id),
        None => provider.name.to_string(),
    }
}

fn opened<'a>(
    provider: &Provider,
    key: &'a ProviderKey,
    is_own: bool,
) -> Result<Option<ChosenCredential<'a>>, Problem> {
    let secret = key.secret.as_ref().ok_or_else(|| {
        let message = "the provider's credential cannot be used at the moment: try again later, or enter it again";
        Problem::new(Refusal::Unavailable, message)
    })?;
    Ok(Some(if provider.has_service_accounts() {
        ChosenCredential::ServiceAccount(AccountKey::Stored { json: secret, is_own })
    } else {
        ChosenCredential::Secret(secret)
    }))
}

fn missing(provider: &Provider, why: &str) -> Problem {
    let message = format!("{why}: add your own for the provider {} (POST /api/provider-keys)", provider.name);
    Problem::new(Refusal::Forbidden, message)
}

#[cfg(test)]
mod tests {
    use access::{Clock, Ids, KeyId, KeyNo, Plan, ProviderKeyId, ProviderKeys, Timestamp, UserId, UserNo};
    use ai::ProviderKind;
    use config::snapshot::{AccountObjects, Origin, PoolRules, PriceSource, Scheme};

    use super::*;

    fn key(provider: &str, label: &str, secret: Option<&str>) -> ProviderKey {
        let secret = secret.map(|text| Secret::new(text.to_owned()));
        let id = Ids::new(Clock::manual(Timestamp(1))).next_uuid();
        ProviderKey { id: ProviderKeyId(id), provider: provider.into(), label: label.into(), secret }
    }

    fn principal(shared_keys: bool, own: Vec<ProviderKey>, shared: Vec<ProviderKey>) -> Principal {
        let plan = Arc::new(Plan { shared_keys, ..Plan::unlimited("pro") });
        let id = Ids::new(Clock::manual(Timestamp(1))).next_uuid();
        let principal = Principal::unbounded((UserId(id), UserNo(1)), (KeyId(id), KeyNo(1)), plan);
        Principal { provider_keys: ProviderKeys { own: own.into(), shared: shared.into() }, ..principal }
    }

    fn provider(credential: Credential) -> Provider {
        let host = "up.example".to_owned();
        let authority = "up.example".to_owned();
        let path = String::new();
        let origin = Origin { scheme: Scheme::Https, host, port: 443, authority, path, allow_link_local: false };
        let kind = ProviderKind::OpenAi;
        let formats = Box::default();
        let paths = ai::ProviderPaths::OfKind;
        Provider {
            name: "openai".into(),
            kind,
            formats,
            origin,
            paths,
            credential,
            tls: None,
            account_objects: AccountObjects::Own,
            price_source: PriceSource::Table,
            pool: PoolRules::OF_PROVIDER,
            discovery: None,
        }
    }

    fn check(credential: &Credential, principal: &Principal, expected: Result<Option<&str>, Refusal>) {
        let provider = provider(credential.clone());
        let text = |chosen| match chosen {
            ChosenCredential::Secret(secret) => secret.expose(),
            ChosenCredential::Aws(_) => "signed",
            ChosenCredential::ServiceAccount(_) => "account",
        };
        let chosen = choose(&provider, principal).map(|chosen| chosen.map(text));
        assert_eq!(chosen.map_err(|problem| problem.refusal), expected, "{credential:?} {principal:?}");
    }

    #[test]
    fn own_comes_before_shared_and_shared_is_for_plans_that_share() {
        let fixed = Credential::Fixed(Secret::new("fixed".to_owned()));
        let any = Credential::Vault { label: None };
        let labelled = Credential::Vault { label: Some("team".into()) };
        let own = || {
            vec![
                key("anthropic", "a", Some("other")),
                key("openai", "new", Some("own")),
                key("openai", "old", Some("old")),
            ]
        };
        let shared = || {
            vec![
                key("openai", "all", Some("all")),
                key("openai", "team", Some("team")),
                key("anthropic", "x", Some("x")),
            ]
        };
        let aws = Credential::Aws(Arc::new(AwsCredential {
            access_key_id: Secret::new("id".to_owned()),
            secret_access_key: Secret::new("key".to_owned()),
            session_token: None,
            region: "us-east-1".into(),
            service: "bedrock-mantle",
        }));
        for credential in [&fixed, &aws, &any, &labelled] {
            for shares in [true, false] {
                check(credential, &principal(shares, own(), shared()), Ok(Some("own")));
                let undecryptable =
                    principal(shares, vec![key("openai", "new", None), key("openai", "old", Some("old"))], shared());
                check(credential, &undecryptable, Err(Refusal::Unavailable));
            }
            check(credential, &principal(false, Vec::new(), shared()), Err(Refusal::Forbidden));
            check(
                credential,
                &principal(false, vec![key("anthropic", "a", Some("a"))], shared()),
                Err(Refusal::Forbidden),
            );
        }
        check(&fixed, &principal(true, Vec::new(), shared()), Ok(Some("fixed")));
        check(&aws, &principal(true, Vec::new(), shared()), Ok(Some("signed")));
        check(&any, &principal(true, Vec::new(), shared()), Ok(Some("all")));
        check(&labelled, &principal(true, Vec::new(), shared()), Ok(Some("team")));
        check(&any, &principal(true, Vec::new(), vec![key("anthropic", "x", Some("x"))]), Err(Refusal::Forbidden));
        check(
            &labelled,
            &principal(true, Vec::new(), vec![key("openai", "all", Some("all"))]),
            Err(Refusal::Forbidden),
        );
        check(&any, &principal(true, Vec::new(), vec![key("openai", "all", None)]), Err(Refusal::Unavailable));
    }

    #[test]
    fn an_own_credential_belongs_to_another_account() {
        let provider = provider(Credential::Vault { label: None });
        let shared = || vec![key("openai", "all", Some("all"))];
        let gateways = owner(&provider, &principal(true, vec![key("anthropic", "a", Some("a"))], shared()));
        assert_eq!(gateways, "openai");
        let own = key("openai", "new", Some("own"));
        let expected = format!("openai/{}", own.id);
        assert_eq!(owner(&provider, &principal(true, vec![own], shared())), expected);
    }

    #[test]
    fn a_provider_that_needs_no_credential_gets_one_from_the_vault_alone() {
        let shared = || vec![key("openai", "all", Some("all"))];
        for shares in [true, false] {
            check(&Credential::None, &principal(shares, Vec::new(), Vec::new()), Ok(None));
            check(
                &Credential::None,
                &principal(shares, vec![key("openai", "new", Some("own"))], shared()),
                Ok(Some("own")),
            );
            let undecryptable = principal(shares, vec![key("openai", "new", None)], shared());
            check(&Credential::None, &undecryptable, Err(Refusal::Unavailable));
        }
        check(&Credential::None, &principal(true, Vec::new(), shared()), Ok(Some("all")));
        check(&Credential::None, &principal(false, Vec::new(), shared()), Ok(None));
    }
}
