//! The authentication of clients.

use std::sync::Arc;

use access::SubjectText;
use access::credentials::basic::BasicUsers;
use access::credentials::issuer::IssuerSource;
use access::credentials::jwt::{KeySet, Requirement, TokenTerms};
use access::credentials::key_list::KeyList;
use settings::place::Place;

use super::forward_auth::ServiceEntry;

/// The authentication that a route requires: `routes[].auth`.
#[derive(Debug, Clone)]
pub enum Auth {
    /// A valid key is required.
    Key,
    /// No authentication is required.
    None,
    /// An access token of an issuer is required.
    Jwt(JwtRule),
    /// A key of this entry is required.
    Listed(Arc<KeyEntry>),
    /// A key in Redis is required.
    Redis(Arc<RedisKeyEntry>),
    /// The name and the password of a user of this entry are required.
    Basic(Arc<BasicEntry>),
    /// A service decides about the request.
    Forward(Arc<ServiceEntry>),
    /// One of several credentials is required: the first that the request has decides. No alternative has alternatives.
    Any(Box<[Auth]>),
}

/// The headers of clients that a route does not forward, because they may contain a credential of this gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct WithheldHeaders {
    /// `Authorization` with any scheme.
    pub authorization: bool,
    /// The headers that may contain a key, such as `X-Api-Key`.
    pub keys: bool,
    /// The headers that claims or services set. Of these, trusted proxies then set only those that the route allows.
    pub claims: bool,
}

impl Auth {
    /// Whether a client of the route may have a plan, whose quota its requests use.
    #[must_use]
    pub fn may_have_plan(&self) -> bool {
        match self {
            // The value of a key in Redis may name a plan.
            Self::Key | Self::Redis(_) => true,
            Self::None => false,
            Self::Jwt(rule) => rule.entry.plan.is_some(),
            Self::Listed(entry) => entry.plan.is_some(),
            Self::Basic(entry) => entry.plan.is_some(),
            Self::Forward(entry) => entry.plan.is_some() && entry.subject.is_some(),
            Self::Any(alternatives) => alternatives.iter().any(Self::may_have_plan),
        }
    }

    /// Returns the headers that the route does not forward. Keys of users are recognized by their form instead.
    #[must_use]
    pub fn withheld(&self) -> WithheldHeaders {
        match self {
            Self::None => WithheldHeaders::default(),
            Self::Key => WithheldHeaders { authorization: false, keys: false, claims: true },
            Self::Jwt(_) | Self::Forward(_) | Self::Basic(_) => {
                WithheldHeaders { authorization: true, keys: false, claims: true }
            }
            Self::Listed(_) | Self::Redis(_) => WithheldHeaders { authorization: true, keys: true, claims: true },
            Self::Any(alternatives) => {
                alternatives.iter().map(Self::withheld).fold(WithheldHeaders::default(), |all, one| WithheldHeaders {
                    authorization: all.authorization || one.authorization,
                    keys: all.keys || one.keys,
                    claims: all.claims || one.claims,
                })
            }
        }
    }
}

/// The access tokens that a route accepts.
#[derive(Debug, Clone)]
pub struct JwtRule {
    /// The entry that verifies them.
    pub entry: Arc<JwtEntry>,
    /// Conditions on their claims.
    pub require: Box<[Requirement]>,
}

/// An entry of `auth` with the type `jwt`.
#[derive(Debug)]
pub struct JwtEntry {
    /// The name of the entry.
    pub name: Box<str>,
    /// The conditions on tokens.
    pub terms: TokenTerms,
    /// The keys that verify tokens.
    pub keys: JwtKeys,
    /// Claims that upstreams receive as headers.
    pub claims_to_headers: Box<[ClaimHeader]>,
    /// Its position in the file; `None` if a variable has it.
    pub place: Option<Place>,
    /// The plan of the tokens' subjects; `None` if they have none.
    pub plan: Option<TokenPlan>,
}

/// The plan of the subjects of one entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TokenPlan {
    /// The plan of this name, which exists.
    Named(Arc<str>),
    /// The plan that this claim names.
    Claim(Box<str>),
}

/// An entry of `auth` with the type `key`.
#[derive(Debug)]
pub struct KeyEntry {
    /// The name of the entry, which is the issuer of the keys' subjects.
    pub name: SubjectText<512>,
    /// The keys that it lists.
    pub keys: KeyList,
    /// Its position in the file; `None` if a variable has it.
    pub place: Option<Place>,
    /// The name of the plan of the keys' subjects, which exists; `None` if they have none.
    pub plan: Option<Arc<str>>,
}

/// An entry of `auth` with the type `key` whose keys are in Redis.
#[derive(Debug)]
pub struct RedisKeyEntry {
    /// The name of the entry, which is the issuer of the keys' subjects.
    pub name: SubjectText<512>,
    /// The beginning of the names of keys in Redis.
    pub prefix: Arc<str>,
    /// Its position in the file; `None` if a variable has it.
    pub place: Option<Place>,
    /// The name of the plan of keys whose value has none, which exists; `None` if they have none.
    pub plan: Option<Arc<str>>,
}

/// An entry of `auth` with the type `basic`.
#[derive(Debug)]
pub struct BasicEntry {
    /// The name of the entry, which is the realm of its challenge and the issuer of its subjects.
    pub name: SubjectText<512>,
    /// The users that it lists.
    pub users: BasicUsers,
    /// Its position in the file; `None` if a variable has it.
    pub place: Option<Place>,
    /// The name of the plan of the users, which exists; `None` if they have none.
    pub plan: Option<Arc<str>>,
}

/// The keys with which an entry verifies tokens.
#[derive(Debug)]
pub enum JwtKeys {
    /// The key is configured.
    Configured(KeySet),
    /// The issuer publishes the keys.
    Published {
        /// The place from which they are fetched.
        source: IssuerSource,
        /// The position of the source in [`Traffic::issuers`](super::Traffic::issuers).
        position: usize,
    },
}

/// A claim that upstreams receive as a header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimHeader {
    /// The name of the claim.
    pub claim: Box<str>,
    /// The name of the header as it is written.
    pub header: Box<str>,
}
