//! The configurations that were applied last, with their texts: the newest one of the API is in force on each process whose
//! file is the one over which it was applied.

use access::{Timestamp, UserId};
use serde_json::json;
use thiserror::Error;
use uuid::Uuid;

use crate::audit::{Act, Actor, AuditAction};
use crate::error::DatabaseError;
use crate::opening::handle::Store;
use crate::sql::{Transaction, statements, timestamp, unsigned};

/// Number of configurations that the history has. The newest of the API over each file, and entries that end them, are kept in
/// addition.
pub const CONFIGURATIONS_MAX: u32 = 20;

statements! {
    ADD = "INSERT INTO configurations (id, number, source, node_id, file_digest, digest, text, actor, actor_user_id, created_at,
        updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $10)";
    NEWEST_NUMBER = "SELECT max(number) FROM configurations";
    OVER = "SELECT id, number, source, file_digest, digest, text, actor, actor_user_id, created_at FROM configurations
        WHERE source = 'api' AND file_digest = $1 AND number >
        (SELECT coalesce(max(number), 0) FROM configurations WHERE source = 'file' AND node_id = $2)
        ORDER BY number DESC LIMIT 1";
    // Beside an entry of the API, each node must have its own: the entry of the API ends with it.
    KNOWN_FILE = "SELECT count(*) FROM configurations f,
        (SELECT coalesce(max(number), 0) AS number FROM configurations WHERE source = 'api') api
        WHERE f.source = 'file' AND f.file_digest = $1
        AND (api.number = 0 OR f.node_id = $2 AND f.number > api.number)";
    LIST = "SELECT id, number, source, file_digest, digest, text, actor, actor_user_id, created_at FROM configurations
        WHERE number > (SELECT max(number) FROM configurations) - 20
        OR number = (SELECT max(number) FROM configurations WHERE source = 'api') ORDER BY number DESC";
    FIND = "SELECT id, number, source, file_digest, digest, text, actor, actor_user_id, created_at FROM configurations
        WHERE id = $1";
    // Over each file, the newest entry of the API is in force, on the nodes whose own file has no later entry.
    FORGET = "DELETE FROM configurations WHERE number <= $1
        AND number <> (SELECT coalesce(max(number), 0) FROM configurations WHERE source = 'api') AND NOT (number > $1 - 1000 AND
        (source = 'api' AND number = (SELECT max(n.number) FROM configurations n
        WHERE n.source = 'api' AND n.file_digest = configurations.file_digest)
        OR source = 'file' AND number > (SELECT coalesce(min(number), 9223372036854775807) FROM configurations WHERE source = 'api')
        AND number = (SELECT max(n.number) FROM configurations n
        WHERE n.source = 'file' AND n.node_id = configurations.node_id)))";
}

/// The way in which a configuration was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConfigurationSource {
    /// The configuration file of a process.
    File,
    /// A request to the admin API.
    Api,
    /// A key of etcd. Its rows are those of the API with the author `system`, so that earlier versions can read them.
    Etcd,
}

impl ConfigurationSource {
    /// Returns the word that the API and the audit log use.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Api => "api",
            Self::Etcd => "etcd",
        }
    }

    /// Returns the word in the column.
    const fn column(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Api | Self::Etcd => "api",
        }
    }
}

/// A configuration to store.
#[derive(Debug, Clone, Copy)]
pub struct NewConfiguration<'a> {
    /// The way in which it was given.
    pub source: ConfigurationSource,
    /// The node that applies it.
    pub node: Uuid,
    /// The digest of the node's file; for a file, its own.
    pub file_digest: &'a str,
    /// The digest of the text.
    pub digest: &'a str,
    /// The YAML; `None` if it contains secrets.
    pub text: Option<&'a str>,
    /// Whether the change has a line in the audit log: all changes except those of a start.
    pub is_change: bool,
}

/// A configuration that was applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredConfiguration {
    /// The id of the entry.
    pub id: Uuid,
    /// The number of the entry; later ones have greater numbers.
    pub number: u64,
    /// The way in which it was given.
    pub source: ConfigurationSource,
    /// The digest of the file over which it was applied.
    pub file_digest: String,
    /// The digest of the text.
    pub digest: String,
    /// The YAML; `None` if it contained secrets.
    pub text: Option<String>,
    /// The kind of the author, as the audit log has it: `command`, `system`, `user` or `key`.
    pub actor: String,
    /// The user who applied it.
    pub actor_user: Option<UserId>,
    /// Time at which it was applied.
    pub applied_at: Timestamp,
}

/// The reason why a configuration is not added.
#[derive(Debug, Error)]
pub enum ConfigurationError {
    /// The configuration that is in force over the file of the node is one that the node does not know yet.
    #[error("another process has stored a configuration since")]
    Changed,
    /// An error of the database.
    #[error(transparent)]
    Database(#[from] DatabaseError),
}

#[derive(Debug, sqlx_macros::FromRow)]
struct ConfigurationRow {
    id: Uuid,
    number: i64,
    source: String,
    file_digest: String,
    digest: String,
    text: Option<String>,
    actor: String,
    actor_user_id: Option<Uuid>,
    created_at: i64,
}

impl TryFrom<ConfigurationRow> for StoredConfiguration {
    type Error = DatabaseError;

    fn try_from(row: ConfigurationRow) -> Result<Self, DatabaseError> {
        let source = match row.source.as_str() {
            "file" => ConfigurationSource::File,
            "api" if row.actor == Actor::SYSTEM.columns().0 => ConfigurationSource::Etcd,
            "api" => ConfigurationSource::Api,
            _ => return Err(DatabaseError::Unreadable { table: "configurations", column: "source" }),
        };
        Ok(Self {
            id: row.id,
            number: unsigned(row.number),
            source,
            file_digest: row.file_digest,
            digest: row.digest,
            text: row.text,
            actor: row.actor,
            actor_user: row.actor_user_id.map(UserId),
            applied_at: timestamp(row.created_at),
        })
    }
}

impl Store {
    /// Adds a configuration as the newest one, and deletes those beyond [`CONFIGURATIONS_MAX`]. One of the API raises the
    /// revision, so that other processes read it.
    ///
    /// # Errors
    /// Database errors of any kind.
    pub async fn add_configuration(
        &self,
        by: &Actor,
        new: NewConfiguration<'_>,
    ) -> Result<StoredConfiguration, DatabaseError> {
        // Both lock the revision, which serialises the assignment of numbers.
        let transaction = match new.source {
            ConfigurationSource::Api | ConfigurationSource::Etcd => self.begin_revision().await?,
            ConfigurationSource::File => self.begin_quiet().await?,
        };
        self.insert_configuration(transaction, by, new).await
    }

    /// Adds a configuration of the API as [`add_configuration`](Self::add_configuration) does, unless a later one than
    /// `known` is in force over the file of the node. `known` is the number of the last one that the node has read.
    ///
    /// # Errors
    /// [`ConfigurationError`].
    pub async fn add_configuration_over(
        &self,
        by: &Actor,
        new: NewConfiguration<'_>,
        known: Option<u64>,
    ) -> Result<StoredConfiguration, ConfigurationError> {
        let mut transaction = self.begin_revision().await?;
        let over = transaction.query(OVER).bind(new.file_digest.to_owned()).bind(new.node);
        let in_force: Option<ConfigurationRow> = over.find().await?;
        if in_force.map(|row| unsigned(row.number)) > known {
            transaction.rollback().await?;
            return Err(ConfigurationError::Changed);
        }
        Ok(self.insert_configuration(transaction, by, new).await?)
    }

    /// Adds the file of a node as [`add_configuration`](Self::add_configuration) does, unless a configuration over it is in force
    /// on the node, which the entry would end. One that was applied before `ended_before` was ended by an earlier file, whose
    /// entry is missing. Returns whether the file was added.
    ///
    /// # Errors
    /// Database errors of any kind.
    pub async fn add_file_configuration(
        &self,
        by: &Actor,
        new: NewConfiguration<'_>,
        ended_before: Option<Timestamp>,
    ) -> Result<bool, DatabaseError> {
        let mut transaction = self.begin_quiet().await?;
        let over = transaction.query(OVER).bind(new.file_digest.to_owned()).bind(new.node);
        let in_force: Option<ConfigurationRow> = over.find().await?;
        let is_ended = |row: &ConfigurationRow| ended_before.is_some_and(|end| timestamp(row.created_at) < end);
        if in_force.is_some_and(|row| !is_ended(&row)) {
            transaction.rollback().await?;
            return Ok(false);
        }
        self.insert_configuration(transaction, by, new).await.map(|_| true)
    }

    /// Adds a configuration within a transaction that has locked the revision, and commits.
    async fn insert_configuration(
        &self,
        mut transaction: Transaction,
        by: &Actor,
        new: NewConfiguration<'_>,
    ) -> Result<StoredConfiguration, DatabaseError> {
        let (newest,): (Option<i64>,) = transaction.query(NEWEST_NUMBER).one().await?;
        let row = self.row(by, &new, newest.unwrap_or(0).saturating_add(1));
        let add = transaction.query(ADD).bind(row.id).bind(row.number).bind(row.source.clone()).bind(new.node);
        let add = add.bind(row.file_digest.clone()).bind(row.digest.clone()).bind(row.text.clone());
        add.bind(row.actor.clone()).bind(row.actor_user_id).bind(row.created_at).run().await?;
        transaction.query(FORGET).bind(row.number.saturating_sub(i64::from(CONFIGURATIONS_MAX))).run().await?;
        if new.is_change {
            let detail = json!({"number": row.number, "source": new.source.as_str(), "digest": row.digest});
            self.note(&mut transaction, by, Act::new(AuditAction::ConfigurationApply, row.id, None).with(detail))
                .await?;
        }
        transaction.commit().await?;
        row.try_into()
    }

    /// Records in the audit log that the node has checked a text with this digest for the author, and with which result.
    ///
    /// # Errors
    /// Database errors of any kind.
    pub async fn note_validation(
        &self,
        by: &Actor,
        node: Uuid,
        digest: &str,
        is_valid: bool,
    ) -> Result<(), DatabaseError> {
        let mut transaction = self.begin_quiet().await?;
        let detail = json!({"digest": digest, "valid": is_valid});
        self.note(&mut transaction, by, Act::new(AuditAction::ConfigurationValidate, node, None).with(detail)).await?;
        transaction.commit().await
    }

    fn row(&self, by: &Actor, new: &NewConfiguration<'_>, number: i64) -> ConfigurationRow {
        let (actor, actor_user_id, _) = by.columns();
        ConfigurationRow {
            id: self.new_id(),
            number,
            source: new.source.column().to_owned(),
            file_digest: new.file_digest.to_owned(),
            digest: new.digest.to_owned(),
            text: new.text.map(str::to_owned),
            actor: actor.to_owned(),
            actor_user_id,
            created_at: self.now(),
        }
    }

    /// Returns the configuration of the API that is in force on this node while its file has this digest: the newest one
    /// over such a file, unless the node's file has changed since.
    ///
    /// # Errors
    /// Database errors of any kind.
    pub async fn configuration_over(
        &self,
        file_digest: &str,
        node: Uuid,
    ) -> Result<Option<StoredConfiguration>, DatabaseError> {
        let over = self.query(OVER).bind(file_digest.to_owned()).bind(node);
        over.find::<ConfigurationRow>().await?.map(TryInto::try_into).transpose()
    }

    /// Whether the store has a configuration file with this digest; beside a configuration of the API, an entry of this node that
    /// is later.
    ///
    /// # Errors
    /// Database errors of any kind.
    pub async fn knows_configuration_file(&self, file_digest: &str, node: Uuid) -> Result<bool, DatabaseError> {
        let (known,): (i64,) = self.query(KNOWN_FILE).bind(file_digest.to_owned()).bind(node).one().await?;
        Ok(known > 0)
    }

    /// Returns all stored configurations, the newest first.
    ///
    /// # Errors
    /// Database errors of any kind.
    pub async fn configurations(&self) -> Result<Vec<StoredConfiguration>, DatabaseError> {
        self.query(LIST).all::<ConfigurationRow>().await?.into_iter().map(TryInto::try_into).collect()
    }

    /// Returns the configuration with this id.
    ///
    /// # Errors
    /// Database errors of any kind.
    pub async fn find_configuration(&self, id: Uuid) -> Result<Option<StoredConfiguration>, DatabaseError> {
        self.query(FIND).bind(id).find::<ConfigurationRow>().await?.map(TryInto::try_into).transpose()
    }

    /// Raises the revision, so that all processes look up keys again.
    ///
    /// # Errors
    /// Database errors of any kind.
    pub async fn raise_revision(&self) -> Result<(), DatabaseError> {
        self.begin_revision().await?.commit().await
    }
}
