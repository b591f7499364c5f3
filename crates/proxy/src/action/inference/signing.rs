//! The credential of a call as it is sent: a secret, or a signature of the call.

use ai::hosts::sigv4::{AwsCredential, SignedHeaders, SignedParts, body_hash};
use bytes::Bytes;
use config::snapshot::Origin;

use crate::account::RequestAccount;
use crate::action::credential::ChosenCredential;
use crate::action::off_worker::{ON_WORKER_BYTES_MAX, off_worker};
use crate::refusal::problem::Problem;
use crate::upstream::outgoing::OutgoingTarget;

/// A call that may be signed.
pub(super) struct SignedCall<'a> {
    pub(super) origin: &'a Origin,
    pub(super) target: &'a OutgoingTarget,
    pub(super) body: &'a [Bytes],
}

impl SignedCall<'_> {
    /// Returns the headers that sign the call, if its credential is a key that signs. The hash of a large body is computed on
    /// another thread.
    pub(super) async fn sign(
        &self,
        account: &RequestAccount,
        credential: Option<ChosenCredential<'_>>,
    ) -> Result<Option<SignedHeaders>, Problem> {
        let Some(ChosenCredential::Aws(aws)) = credential else {
            return Ok(None);
        };
        let OutgoingTarget::Written(target) = self.target else {
            return Ok(None);
        };
        let hash = if self.body.iter().map(Bytes::len).sum::<usize>() <= ON_WORKER_BYTES_MAX {
            body_hash(self.body)
        } else {
            let body = self.body.to_vec();
            off_worker(account, move || body_hash(&body)).await?
        };
        account.request.read_clock();
        Ok(Some(self.signed(aws, target, &hash, account)))
    }

    fn signed(&self, aws: &AwsCredential, target: &str, body_hash: &str, account: &RequestAccount) -> SignedHeaders {
        let path = format!("{}{target}", self.origin.path);
        aws.sign(SignedParts { host: &self.origin.authority, path: &path, body_hash }, account.request.wall_at())
    }
}
