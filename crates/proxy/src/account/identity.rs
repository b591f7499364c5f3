//! The client of a request, as far as it is known.

use std::rc::Rc;
use std::sync::Arc;

use access::{KeyId, LabelSet, Last4, Principal, Subject, UserId};
use meter::Limits;

use crate::worker::admitted_client::ServiceClient;
use crate::worker::token_client::TokenClient;

/// The client that sent a request.
#[derive(Clone)]
pub(crate) struct Identity {
    /// The identity that the request is made as; anonymous until a credential is found.
    pub(crate) subject: Subject,
    /// The public ids of the user and the key, for the log.
    pub(crate) caller_ids: Option<CallerIds>,
    /// The client, if it has an access token of another issuer.
    pub(crate) token: Option<Rc<TokenClient>>,
    /// The client, if a service has admitted it.
    pub(crate) service: Option<Rc<ServiceClient>>,
    /// The name of the plan of a client without a user, if it has one.
    pub(crate) plan: Option<Arc<str>>,
    /// The labels of the key and the user.
    pub(crate) labels: LabelSet,
    /// The limits and budgets of the client, whose state responses report.
    pub(crate) limits: Option<Arc<Limits>>,
}

/// The public ids of the user and the key, which commands and the admin API use. Operators cannot use row numbers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CallerIds {
    pub(crate) user: UserId,
    pub(crate) key: KeyId,
    pub(crate) last4: Option<Last4>,
}

impl Default for Identity {
    fn default() -> Self {
        Self {
            subject: Subject::ANONYMOUS,
            caller_ids: None,
            token: None,
            service: None,
            plan: None,
            labels: LabelSet::NONE,
            limits: None,
        }
    }
}

impl Identity {
    /// Notes that a key of a user has sent the request.
    pub(crate) fn identified(&mut self, principal: &Principal) {
        self.subject = principal.subject();
        self.labels = principal.labels.clone();
        self.caller_ids = Some(CallerIds { user: principal.user, key: principal.key, last4: principal.last4 });
    }
}
