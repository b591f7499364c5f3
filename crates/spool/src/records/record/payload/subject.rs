//! The subject of a request in a record. The row numbers of a key are in the base of the payload, other subjects in an
//! optional field after it (docs/decisions/0009-the-spool.md).

use access::{Caller, KeyNo, PlanId, Subject, SubjectKind, SubjectName, UserNo};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::codes::Code;
use super::wire::{Field, InvalidPayload, PayloadReader};

/// The numbers of a key, its user and the user's plan, in the base.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct CallerPayload {
    user: i64,
    key: i64,
    plan: Uuid,
}

/// A subject with a name, in a field. The issuer is empty except for tokens.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct SubjectPayload<'a> {
    kind: u8,
    issuer: &'a str,
    name: &'a str,
}

impl CallerPayload {
    /// Returns the part of the subject that the base contains.
    pub(super) fn from_subject(subject: &Subject) -> Option<Self> {
        subject.caller().map(|Caller { user, key, plan }| Self { user: user.0, key: key.0, plan: plan.0 })
    }

    /// Reads the numbers of a key.
    pub(super) fn read(reader: &mut PayloadReader<'_>) -> Result<Self, InvalidPayload> {
        Ok(Self { user: reader.signed()?, key: reader.signed()?, plan: reader.uuid()? })
    }
}

impl<'a> SubjectPayload<'a> {
    /// Returns the value of the field; `None` for keys, and for anonymous requests, whose address is not recorded.
    pub(super) fn from_subject(subject: &'a Subject) -> Option<Self> {
        subject.name().map(|SubjectName { kind, issuer, name }| Self { kind: kind.code(), issuer, name })
    }

    /// Reads the subject from its field.
    pub(super) fn read(field: Field<'a>) -> Result<Subject, InvalidPayload> {
        let Self { kind, issuer, name } = field.value()?;
        SubjectName { kind: SubjectKind::from_code(kind)?, issuer, name }.subject().ok_or(InvalidPayload)
    }
}

/// Returns the subject from the base and the field.
pub(super) fn subject(caller: Option<CallerPayload>, named: Option<Subject>) -> Result<Subject, InvalidPayload> {
    match (caller, named) {
        (Some(CallerPayload { user, key, plan }), None) => {
            Ok(Subject::Key(Caller { user: UserNo(user), key: KeyNo(key), plan: PlanId(plan) }))
        }
        (None, Some(named)) => Ok(named),
        (None, None) => Ok(Subject::ANONYMOUS),
        (Some(_), Some(_)) => Err(InvalidPayload),
    }
}
