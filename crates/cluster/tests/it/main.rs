//! Behaviour of the cluster: one async function per behaviour, run on SQLite and on PostgreSQL.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "tests fail by panicking, and end their own tasks"
)]

#[macro_use]
#[path = "../../../store/tests/it/behaviours.rs"]
mod behaviours;
#[path = "../../../store/tests/it/credentials.rs"]
mod credentials;
mod decrypted_credentials;
mod directory;
mod job_claims;
mod last_use;
#[path = "../../../store/tests/it/migrated.rs"]
mod migrated;
#[path = "../../../store/tests/it/postgres.rs"]
mod postgres;
mod redis;
mod revision;
mod windows;
#[allow(dead_code, reason = "each crate with SQL uses a part of the world")]
#[path = "../../../store/tests/it/world.rs"]
mod world;

behaviours! {
    directory {
        lookups_are_answered_together_and_in_any_number,
        a_store_that_is_away_is_said_to_be_unavailable,
        serving_ends_with_the_directories,
    }
    revision {
        a_change_elsewhere_is_seen_within_a_second,
        a_store_that_is_away_confirms_nothing,
    }
    decrypted_credentials {
        a_principal_has_its_own_newest_credential_and_the_shared_ones_newest_first,
        all_principals_of_a_user_share_the_newest_credential_of_each_provider,
        what_does_not_open_is_there_without_its_secret_and_is_counted,
        a_store_that_does_not_tell_credentials_tells_nothing,
        many_users_are_answered_each_with_their_own,
        shared_credentials_are_read_after_each_change,
    }
    job_claims {
        of_two_nodes_one_gets_a_claim_until_it_ends_or_expires,
        a_run_is_recorded_and_the_next_one_waits,
        a_run_that_was_dropped_frees_its_claim_and_is_not_counted,
        a_restarted_node_takes_over_its_own_claim_and_its_predecessor_cannot,
        a_clock_that_was_ahead_delays_no_job,
        times_of_a_later_reading_of_the_clock_are_valid,
        a_store_that_is_away_gives_no_claim,
    }
    last_use {
        uses_are_written_once_a_minute,
    }
}
