//! The start fault for each error of the store.

use std::error::Error;
use std::path::Path;

use cluster::LeaseError;
use config::snapshot::Process;
use ledger::{RepairError, WriteError};
use store::{
    BacklogError, BackupError, CopyError, DatabaseError, ForgetNodeError, JoinError, LinkError, OpenError, PlanError,
    RunningServers, UndoError, UserError,
};

use super::StartFault;

/// An error of the store, from which [`of_store`] selects a code and a remedy.
pub(crate) trait StoreFailure: Error + Send + Sync + Sized + 'static {
    /// Returns what the operator can do about the error.
    fn store_cause(&self) -> StoreCause;
}

/// The cause of an error of the store, as far as the remedy depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StoreCause {
    /// A file in the data folder cannot be written.
    Folder,
    /// The content of the store, or its use by others, prevents the operation. The code follows; the message of the
    /// error contains the remedy.
    State(&'static str),
    /// The database cannot be used as it is.
    Unusable(DatabaseFault),
}

/// The fault of a database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DatabaseFault {
    Url,
    OldServer,
    Encoding,
    Pooled,
    Forbidden,
    Unavailable,
    ReadOnly,
    Full,
    Damaged,
    Unreadable,
    NotMigrated,
    CopiedFolder,
    Other,
}

/// Converts an error of the store that `process` configures, and selects its code.
pub(crate) fn of_store(process: &Process, error: impl StoreFailure) -> StartFault {
    match error.store_cause() {
        StoreCause::Folder => StartFault::unwritable(&process.data, error),
        StoreCause::State(code) => StartFault::StoreVersion { code, source: error.into() },
        StoreCause::Unusable(fault) if process.store.url.is_some() => of_server(fault, error),
        StoreCause::Unusable(fault) => of_file(&process.data, fault, error),
    }
}

/// The error for a failure of the SQLite file in `data`.
fn of_file(data: &Path, fault: DatabaseFault, error: impl StoreFailure) -> StartFault {
    let (code, what) = match fault {
        DatabaseFault::ReadOnly | DatabaseFault::Full => return StartFault::unwritable(data, error),
        DatabaseFault::Damaged => ("store_damaged", "is damaged, or is not a database"),
        DatabaseFault::Unreadable => ("store_damaged", "contains data that this version of tollgate does not know"),
        DatabaseFault::NotMigrated => ("store_not_migrated", "cannot be updated"),
        DatabaseFault::CopiedFolder => {
            return StartFault::Server { code: "store_superseded", way_out: "", source: error.into() };
        }
        DatabaseFault::Url
        | DatabaseFault::OldServer
        | DatabaseFault::Encoding
        | DatabaseFault::Pooled
        | DatabaseFault::Forbidden
        | DatabaseFault::Unavailable
        | DatabaseFault::Other => ("store_failed", "cannot be used"),
    };
    StartFault::Store { code, what, folder: data.to_owned(), source: error.into() }
}

/// The error for a failure of PostgreSQL.
fn of_server(fault: DatabaseFault, error: impl StoreFailure) -> StartFault {
    let look = ": check DATABASE_URL or store.url, and the PostgreSQL server";
    let (code, way_out) = match fault {
        DatabaseFault::Url => ("store_url", ""),
        DatabaseFault::Unavailable => ("store_unavailable", look),
        DatabaseFault::Forbidden => ("store_forbidden", look),
        DatabaseFault::OldServer => ("store_too_old", ""),
        DatabaseFault::Encoding => ("store_encoding", ""),
        DatabaseFault::Pooled => ("store_pooled", ""),
        DatabaseFault::ReadOnly => ("store_read_only", ": use the primary server, or make this database writable"),
        DatabaseFault::Full => ("store_full", ": free disk space on the server"),
        DatabaseFault::CopiedFolder => ("store_superseded", ""),
        DatabaseFault::Damaged | DatabaseFault::Unreadable => ("store_damaged", ": restore a backup"),
        DatabaseFault::NotMigrated => ("store_not_migrated", ""),
        DatabaseFault::Other => ("store_failed", ""),
    };
    StartFault::Server { code, way_out, source: error.into() }
}

const NEWER: StoreCause = StoreCause::State("store_newer");
const OTHER: StoreCause = StoreCause::Unusable(DatabaseFault::Other);

impl StoreFailure for DatabaseError {
    fn store_cause(&self) -> StoreCause {
        StoreCause::Unusable(match self {
            Self::Unreadable { .. } => DatabaseFault::Unreadable,
            Self::Pooled => DatabaseFault::Pooled,
            Self::Forbidden(_) => DatabaseFault::Forbidden,
            Self::Unavailable(_) => DatabaseFault::Unavailable,
            Self::ReadOnly(_) => DatabaseFault::ReadOnly,
            Self::Full(_) => DatabaseFault::Full,
            Self::Damaged(_) => DatabaseFault::Damaged,
            Self::Database(_) => DatabaseFault::Other,
        })
    }
}

impl StoreFailure for OpenError {
    fn store_cause(&self) -> StoreCause {
        match self {
            Self::Folder(_) => StoreCause::Folder,
            Self::Newer(_) => NEWER,
            Self::Older { .. } => StoreCause::State("store_older"),
            Self::Migration(_) => StoreCause::Unusable(DatabaseFault::NotMigrated),
            Self::Url => StoreCause::Unusable(DatabaseFault::Url),
            Self::OldServer { .. } => StoreCause::Unusable(DatabaseFault::OldServer),
            Self::Encoding { .. } => StoreCause::Unusable(DatabaseFault::Encoding),
            Self::Database(error) => error.store_cause(),
        }
    }
}

impl StoreFailure for RunningServers {
    fn store_cause(&self) -> StoreCause {
        StoreCause::State("store_in_use")
    }
}

impl StoreFailure for UndoError {
    fn store_cause(&self) -> StoreCause {
        match self {
            Self::Open(error) => error.store_cause(),
            Self::Running(error) => error.store_cause(),
        }
    }
}

impl StoreFailure for CopyError {
    fn store_cause(&self) -> StoreCause {
        match self {
            Self::Newer(_) => NEWER,
            Self::NotEmpty { .. } => StoreCause::State("store_not_empty"),
            Self::Differs { .. } => StoreCause::State("copy_differs"),
            Self::Database(error) => error.store_cause(),
        }
    }
}

impl StoreFailure for BackupError {
    fn store_cause(&self) -> StoreCause {
        match self {
            Self::Folder(_) => StoreCause::Folder,
            Self::NoBackup { .. } => OTHER,
            Self::Open(error) => error.store_cause(),
            Self::Copy(error) => error.store_cause(),
            Self::Database(error) => error.store_cause(),
        }
    }
}

impl StoreFailure for JoinError {
    fn store_cause(&self) -> StoreCause {
        match self {
            Self::Folder(_) => StoreCause::Folder,
            Self::Database(error) => error.store_cause(),
        }
    }
}

impl StoreFailure for ForgetNodeError {
    fn store_cause(&self) -> StoreCause {
        match self {
            Self::NoNode(_) => StoreCause::State("node_unknown"),
            Self::Seen(_) => StoreCause::State("node_seen"),
            Self::HasLeft(_) => StoreCause::State("node_has_left"),
            Self::Database(error) => error.store_cause(),
        }
    }
}

impl StoreFailure for PlanError {
    fn store_cause(&self) -> StoreCause {
        match self {
            Self::NoPlan(_) | Self::PlanTaken { .. } | Self::InvalidPlan | Self::TooManyPlans => OTHER,
            Self::Database(error) => error.store_cause(),
        }
    }
}

impl StoreFailure for UserError {
    fn store_cause(&self) -> StoreCause {
        match self {
            Self::Invalid(_) | Self::NoUser(_) | Self::NoPlan(_) | Self::EmailTaken | Self::LastAdmin => OTHER,
            Self::Database(error) => error.store_cause(),
        }
    }
}

impl StoreFailure for LinkError {
    fn store_cause(&self) -> StoreCause {
        match self {
            Self::TooManyLinks | Self::AdminExists(_) | Self::NoPlan(_) | Self::NoUser(_) => OTHER,
            Self::User(error) => error.store_cause(),
            Self::Database(error) => error.store_cause(),
        }
    }
}

impl StoreFailure for BacklogError {
    fn store_cause(&self) -> StoreCause {
        match self {
            Self::InDoubt => OTHER,
            Self::Database(error) => error.store_cause(),
        }
    }
}

impl StoreFailure for LeaseError {
    fn store_cause(&self) -> StoreCause {
        match self {
            Self::Backlog(error) => error.store_cause(),
            Self::Contended { .. } => OTHER,
            Self::Database(error) => error.store_cause(),
        }
    }
}

impl StoreFailure for WriteError {
    fn store_cause(&self) -> StoreCause {
        match self {
            Self::CopiedFolder(_) => StoreCause::Unusable(DatabaseFault::CopiedFolder),
            Self::Contended { .. } => OTHER,
            Self::Database(error) => error.store_cause(),
        }
    }
}

impl StoreFailure for RepairError {
    fn store_cause(&self) -> StoreCause {
        match self {
            Self::Unrepaired { .. } => OTHER,
            Self::Database(error) => error.store_cause(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrapped_errors_keep_the_fault_of_the_database() {
        let faults: [StoreCause; 3] = [
            BackupError::from(CopyError::from(DatabaseError::ReadOnly(None))).store_cause(),
            UndoError::from(OpenError::from(DatabaseError::ReadOnly(None))).store_cause(),
            LeaseError::from(BacklogError::from(DatabaseError::ReadOnly(None))).store_cause(),
        ];
        assert_eq!(faults, [StoreCause::Unusable(DatabaseFault::ReadOnly); 3]);
    }
}
