//! Servers whose clocks are at noon when a test begins, so that their UTC day does not end during the test.

use std::time::{SystemTime, UNIX_EPOCH};

use e2e::Setup;
use e2e::database::{Database, on_postgres};
use e2e::faults::Shim;
use e2e::postgres::PostgresServer;
use e2e::setup::Folder;

pub(crate) const DAY_MICROS: i64 = 86_400_000_000;

/// A shifted clock, and the PostgreSQL server that has it if the store is PostgreSQL.
pub(crate) struct Noon {
    pub(crate) shim: Shim,
    ahead: i64,
    server: Option<PostgresServer>,
}

/// The time from the start of the clocks to midnight. With 10 s more it is shorter than a leap of the clock.
const BEFORE_MIDNIGHT_MICROS: i64 = 100_000_000;

/// Returns the time of the machine in microseconds.
pub(crate) fn micros() -> i64 {
    #[expect(clippy::disallowed_methods, reason = "the servers' clock is the system's, shifted")]
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    i64::try_from(now.as_micros()).unwrap()
}

impl Noon {
    pub(crate) async fn begin() -> Self {
        Self::starting_at(DAY_MICROS / 2, on_postgres()).await
    }

    /// Starts the clock of servers on SQLite, also if the suite runs on PostgreSQL.
    pub(crate) async fn begin_on_sqlite() -> Self {
        Self::starting_at(DAY_MICROS / 2, false).await
    }

    /// Starts the clocks [`BEFORE_MIDNIGHT_MICROS`] before midnight, with a PostgreSQL server even if the suite runs on SQLite:
    /// several nodes share it.
    pub(crate) async fn begin_before_midnight() -> Self {
        Self::starting_at(DAY_MICROS - BEFORE_MIDNIGHT_MICROS, true).await
    }

    /// Moves the clocks over midnight by less than a leap, which servers would not follow.
    pub(crate) fn pass_midnight(&mut self) {
        self.set_ahead(self.ahead + BEFORE_MIDNIGHT_MICROS + 10_000_000);
    }

    async fn starting_at(time_of_day: i64, has_server: bool) -> Self {
        let shim = Shim::new();
        let now = micros();
        let ahead = now / DAY_MICROS * DAY_MICROS + time_of_day - now;
        shim.set_ahead(ahead);
        // Leases compare the clocks of servers and of PostgreSQL.
        let server = if has_server { Some(PostgresServer::start_with(&shim.clock()).await) } else { None };
        Self { shim, ahead, server }
    }

    /// Creates a folder whose store has the shifted clock.
    pub(crate) fn folder(&self) -> Folder {
        match &self.server {
            Some(server) => Folder::on_postgres(Database::create_on(server.url())),
            None => Folder::on_sqlite(),
        }
    }

    /// Returns the setup of a server with the shifted clock.
    pub(crate) fn clock_of(&self, setup: Setup) -> Setup {
        self.shim.clock().iter().fold(setup, |setup, (name, value)| setup.variable(name, value))
    }

    /// Shifts the clocks so that they are `micros` microseconds ahead of the machine's clock.
    pub(crate) fn set_ahead(&mut self, micros: i64) {
        self.ahead = micros;
        self.shim.set_ahead(micros);
    }

    /// Returns by how many microseconds the clocks are ahead of the machine's clock.
    pub(crate) const fn ahead(&self) -> i64 {
        self.ahead
    }
}
