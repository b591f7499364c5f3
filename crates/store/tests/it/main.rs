//! Behaviour of the store: one async function per behaviour, run on SQLite and on PostgreSQL.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "tests fail by panicking, and end their own tasks"
)]

mod accounts;
#[macro_use]
mod behaviours;
mod budgets;
mod configurations;
mod credentials;
mod keys;
mod links;
#[allow(dead_code, reason = "tests of the ledger use the other part of the network")]
mod lossy_network;
mod migrated;
mod nodes;
mod plans;
mod postgres;
mod provider_keys;
mod renewals;
mod revision;
mod sessions;
mod users;
mod vault;
#[allow(dead_code, reason = "each crate with SQL uses a part of the world")]
mod world;

behaviours! {
    configurations {
        the_newest_configurations_are_kept_in_order,
        only_a_configuration_of_the_api_raises_the_revision,
        a_configuration_of_the_api_is_in_force_until_the_nodes_file_changes,
        configurations_over_another_file_displace_none,
        a_configuration_replaces_only_one_that_its_node_knows,
        a_file_ends_no_configuration_that_is_in_force_over_it,
    }
    plans {
        absent_plans_are_added_and_differing_ones_reported,
        applied_plans_are_as_configured_and_none_is_removed,
        a_plan_is_made_once_and_changed_in_part,
        budgets_of_a_plan_are_the_same_in_any_order,
        two_servers_that_start_at_once_add_the_same_plans_once,
        plans_have_a_bound,
    }
    budgets {
        a_budget_is_set_changed_and_removed,
        scopes_are_found_by_their_public_ids,
        budgets_are_read_by_page_and_by_whom_they_hold,
        a_change_of_a_budget_is_told_to_whom_it_holds,
        a_budget_of_nobody_is_refused,
        a_user_has_windows_from_its_creation_on,
        a_principal_comes_with_what_holds_it,
    }
    users {
        a_user_is_found_by_id_and_by_address,
        an_address_is_one_users_whatever_its_case,
        a_user_needs_a_plan_that_exists,
        users_are_numbered_in_the_order_they_came,
        demo_users_are_known_as_such,
        nobody_is_suspended_by_a_wrong_name,
        a_name_or_label_that_spoils_a_terminal_is_refused,
        a_users_name_and_address_do_not_print,
        a_user_is_changed_and_the_rest_stays,
        a_change_that_cannot_be_taken_changes_nothing,
        the_last_admin_stays,
        two_admins_do_not_go_at_once,
        users_are_listed_in_pages,
        the_end_of_a_suspension_is_found,
    }
    sessions {
        a_session_is_found_with_its_user_and_its_key,
        a_session_opens_nothing_once_it_or_its_key_or_its_user_does_not,
        a_refresh_token_holds_once,
        a_used_refresh_token_ends_its_session_alone,
        of_two_who_renew_at_once_one_wins_and_the_session_ends,
        what_has_ended_or_expired_is_not_renewed,
        a_session_of_a_key_that_is_over_is_not_renewed,
        who_signs_out_by_refresh_token_ends_its_session_and_is_no_thief,
        nobody_ends_another_users_session,
        sessions_are_listed_newest_first_in_pages,
        a_sign_in_too_many_ends_the_oldest_of_its_kind,
        a_new_password_ends_the_other_sessions,
        nobody_signs_in_past_a_new_password,
        a_suspended_user_begins_no_session,
        a_hostile_client_is_named_in_plain_text,
    }
    accounts {
        every_change_of_an_account_is_told_once,
        every_link_is_told_with_what_it_brought,
        what_ends_or_is_taken_back_by_the_way_is_counted,
    }
    links {
        an_invitation_makes_one_user,
        an_invitation_is_not_used_up_in_vain,
        an_invitation_for_an_address_is_its_alone,
        who_needs_no_invitation_signs_up_without,
        who_signs_up_is_signed_in_or_not_there_at_all,
        a_link_is_for_one_thing_and_for_a_time,
        a_password_is_chosen_once_and_ends_sessions,
        the_same_password_ends_no_session_unless_it_has_changed,
        of_two_who_redeem_at_once_one_does,
        of_links_made_at_once_one_stays_open,
        a_user_who_becomes_an_admin_loses_the_password_links,
        a_link_and_a_new_password_do_not_wait_for_each_other,
        the_first_admin_is_the_only_one_made_by_link,
        a_first_admin_from_elsewhere_shuts_the_link,
        invitations_are_listed_in_pages_and_taken_back,
        a_user_comes_with_its_link_or_not_at_all,
        open_invitations_are_bounded,
        of_two_invitations_for_the_last_place_one_is_made,
    }
    keys {
        a_key_makes_a_principal,
        a_key_that_opens_nothing_says_why,
        a_revocation_keeps_its_first_time,
        keys_are_listed_by_user,
        a_key_keeps_what_it_is_bound_to,
        a_key_is_changed_in_part,
        a_rotated_key_is_the_same_with_another_secret,
        both_secrets_open_a_key_in_its_grace,
        a_rotation_ends_the_sessions_that_were_begun_with_the_key,
        a_revocation_ends_the_sessions_that_were_begun_with_the_key,
        keys_of_others_are_as_good_as_none,
        a_key_is_revoked_once,
        a_user_has_so_many_keys_at_most,
        keys_come_in_pages_the_newest_first,
        a_key_that_is_made_leaves_the_revision,
        keys_made_at_once_have_numbers_of_their_own,
        errors_hold_no_secret,
    }
    nodes {
        a_silent_node_is_forgotten_until_it_starts_again,
        a_forgotten_node_that_reports_again_is_awaited,
        a_node_without_a_spool_has_stored_all_its_usage,
    }
    revision {
        every_change_raises_the_revision,
    }
    provider_keys {
        a_credential_is_stored_sealed_and_opens_for_its_row_alone,
        a_label_is_its_owners_once,
        an_owner_has_at_most_so_many,
        a_credential_is_replaced_renamed_and_deleted,
        an_absent_credential_is_none,
    }
    vault {
        the_first_master_key_is_taken_and_another_must_follow_the_newest,
        of_two_first_servers_one_is_refused,
        a_rotation_goes_on_where_it_was_stopped_and_loses_nothing,
        what_is_replaced_during_a_rotation_stays_replaced,
        what_no_key_opens_is_left_and_keeps_its_master_key_in_use,
        a_credential_after_the_last_is_none,
        a_rotation_keeps_the_key_that_signs_exports,
        a_signing_key_whose_unused_master_key_is_replaced_is_retired,
        a_reset_gives_up_what_no_key_opens_and_nothing_else,
    }
}
