use std::fs;
use std::path::Path;

use crate::server::{data, run, run_with_input};

const ADA: &str = "ada@example.com";
const NO_KEY: &str = "0199aa00-0000-7000-8000-000000000000";

async fn must(words: &[&str], data: &Path) -> String {
    let (code, stdout, stderr) = run(words, data).await;
    assert_eq!(code, Some(0), "{words:?}: {stderr}");
    stdout
}

#[tokio::test]
async fn a_missing_store_is_reported_and_not_created() {
    let folder = tempfile::tempdir().unwrap();
    let data = data(folder.path());
    for words in [
        &["keys", "list"][..],
        &["keys", "create", "--user", ADA],
        &["keys", "revoke", "--key", NO_KEY],
        &["users", "list"],
        &["users", "suspend", "--user", ADA],
        &["users", "activate", "--user", ADA],
    ] {
        let (code, _, reported) = run(words, &data).await;
        assert_eq!(code, Some(1), "{words:?}: {reported}");
        assert!(reported.starts_with("error: store_missing: "), "{words:?}: {reported}");
        assert!(reported.contains(data.to_str().unwrap()) && reported.contains("--data"), "{words:?}: {reported}");
        assert!(!data.exists(), "{words:?} made the folder");
    }
    for (words, says) in [
        (&["--email", "no address"][..], ""),
        (&["--email", ADA, "--plan", "nope"], "no plan nope"),
        (&["--email", ADA, "--plan", "nope"], "starter, pro, business"),
        (&["--email", ADA, "--name", "a\nb"], "control character"),
    ] {
        let (code, _, reported) = run(&[&["users", "create"], words].concat(), &data).await;
        assert!(code == Some(1) && reported.contains(says), "{words:?}: {reported}");
        assert!(!data.exists(), "{words:?}: a user that cannot be created leaves nothing");
    }
}

#[tokio::test]
async fn commands_without_a_configuration_add_no_plans_to_a_store_that_has_some() {
    let folder = tempfile::tempdir().unwrap();
    let data = data(folder.path());
    let config = folder.path().join("tollgate.yaml");
    fs::write(&config, "plans: [{name: gold, credits_per_day: 5}]\n").unwrap();
    let words = ["users", "create", "--email", ADA, "--plan", "gold", "--config", config.to_str().unwrap()];
    must(&words, &data).await;
    must(&["users", "list"], &data).await;
    must(&["keys", "list"], &data).await;
    must(&["users", "create", "--email", "eve@example.com", "--plan", "gold"], &data).await;
    let (code, _, reported) = run(&["users", "create", "--email", "bob@example.com", "--plan", "starter"], &data).await;
    assert!(code == Some(1) && reported.contains("no plan starter"), "{reported}");
}

#[tokio::test]
async fn an_empty_list_of_users_is_empty_on_a_pipe() {
    let folder = tempfile::tempdir().unwrap();
    let data = data(folder.path());
    must(&["migrate", "up"], &data).await;
    assert_eq!(must(&["users", "list"], &data).await, "");
    must(&["users", "create", "--email", ADA], &data).await;
    let listed = must(&["users", "list"], &data).await;
    assert!(
        listed.lines().count() == 1 && listed.ends_with("  active     member  starter     ada@example.com\n"),
        "{listed}"
    );
}

#[tokio::test]
async fn a_label_with_a_hidden_character_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let data = data(folder.path());
    must(&["users", "create", "--email", ADA], &data).await;
    let (code, _, refused) = run(&["keys", "create", "--user", ADA, "--label", "a\u{202e}b"], &data).await;
    assert!(code == Some(1) && refused.contains("control character"), "{refused}");
}

#[tokio::test]
async fn a_data_folder_that_cannot_be_read_is_not_missing() {
    // Root, which may run the tests, can read the folders of all users. No user can read a folder in a file.
    let file = tempfile::NamedTempFile::new().unwrap();
    for words in [&["users", "list"][..], &["migrate", "status"], &["users", "create", "--email", ADA]] {
        let (code, _, reported) = run(words, file.path()).await;
        assert_eq!(code, Some(1), "{words:?}: {reported}");
        assert!(reported.starts_with("error: data_unreadable: "), "{words:?}: {reported}");
        assert!(reported.contains(file.path().to_str().unwrap()), "{words:?}: {reported}");
    }
}

#[tokio::test]
async fn a_user_without_a_named_plan_gets_starter_or_the_plan_of_a_first_admin() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("tollgate.yaml");
    for (name, yaml, plan) in [
        ("usual", "plans: [{name: a}, {name: starter}]\n", "starter"),
        ("signup", "plans: [{name: a}, {name: b}]\nsignup_plan: b\n", "b"),
        ("first", "plans: [{name: b}, {name: a}]\n", "a"),
    ] {
        fs::write(&config, yaml).unwrap();
        let words = ["users", "create", "--email", ADA, "--admin", "--link", "--config", config.to_str().unwrap()];
        let created = must(&words, &folder.path().join(name)).await;
        assert_eq!(created.split_whitespace().nth(3), Some(plan), "{created}");
    }
}

#[tokio::test]
async fn keys_expire_within_a_year_and_a_service_user_is_named_by_its_name_or_id() {
    let folder = tempfile::tempdir().unwrap();
    let data = data(folder.path());
    must(&["users", "create", "--service", "shop"], &data).await;
    for expires in ["0d", "0s", "367d"] {
        let words = ["keys", "create", "--user", ADA, "--expires", expires];
        let (code, _, refused) = run(&words, &data).await;
        assert!(code == Some(2) && refused.contains("at most 366d"), "{expires}: {refused}");
    }
    let created = must(&["keys", "create", "--user", "shop"], &data).await;
    assert!(created.contains("  active   tollgate_"), "{created}");
    must(&["users", "suspend", "--user", "shop"], &data).await;
    let (code, _, refused) = run(&["keys", "create", "--user", "shops"], &data).await;
    assert!(code == Some(1) && refused.contains("user shops does not exist"), "{refused}");
    let (code, _, refused) = run(&["users", "create", "--service", "shop"], &data).await;
    assert!(
        code == Some(1) && refused.contains("the service user shop exists already: no user was created"),
        "{refused}"
    );
    assert_eq!(must(&["usage", "--user", "shop"], &data).await, "no usage in this month\n");
    let statement = must(&["usage", "--user", "shop", "--month", "2026-11", "--csv"], &data).await;
    assert!(statement.starts_with("day,model,requests,") && statement.lines().count() == 1, "{statement}");
}

#[tokio::test]
async fn a_key_that_administers_needs_the_password_of_its_admin() {
    const PASSWORD: &str = "correct-horse-battery-staple-91";
    let folder = tempfile::tempdir().unwrap();
    let data = data(folder.path());
    let create = ["keys", "create", "--admin", "--expires", "90d", "--label", "shop"];
    let typed = [&create[..], &["--password-stdin"]].concat();
    must(&["users", "create", "--email", ADA], &data).await;
    let (code, _, refused) = run(&create, &data).await;
    assert!(code == Some(1) && refused.contains("password_missing: "), "{refused}");
    let admin = ["users", "create", "--email", "root@example.com", "--admin", "--password-stdin"];
    let (code, _, refused) = run_with_input(&admin, &data, PASSWORD).await;
    assert_eq!(code, Some(0), "{refused}");
    let (code, _, refused) = run_with_input(&typed, &data, "another-horse-battery-staple-91").await;
    assert!(code == Some(1) && refused.contains("the password is wrong: no key was created"), "{refused}");
    assert_eq!(must(&["keys", "list"], &data).await, "");
    let (code, created, refused) = run_with_input(&typed, &data, PASSWORD).await;
    assert!(code == Some(0) && created.lines().last().unwrap().starts_with("tollgate_"), "{created}{refused}");
    assert!(must(&["keys", "list"], &data).await.contains("scope admin"));
    let member = [&typed[..], &["--user", ADA]].concat();
    let (code, _, refused) = run_with_input(&member, &data, PASSWORD).await;
    assert!(code == Some(1) && refused.contains("is not an admin"), "{refused}");
    let (code, _, refused) = run(&["keys", "create", "--admin"], &data).await;
    assert!(code == Some(2) && refused.contains("--expires"), "{refused}");
}

#[tokio::test]
async fn a_restore_of_a_missing_file_says_so_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let data = data(folder.path());
    let missing = folder.path().join("missing.backup");
    let (code, _, reported) = run(&["restore", missing.to_str().unwrap()], &data).await;
    assert!(code == Some(1) && reported.starts_with("error: no_backup: "), "{reported}");
    assert!(reported.contains("No such file"), "{reported}");
    assert!(!data.exists(), "the command made the folder");
}

#[tokio::test]
async fn the_model_of_the_automatic_mock_is_explained_as_served() {
    let folder = tempfile::tempdir().unwrap();
    let words = ["explain", "POST /v1/chat/completions", "--model", "mock"];
    let explained = must(&words, &data(folder.path())).await;
    assert!(explained.contains("mock/mock") && !explained.contains("model_not_found"), "{explained}");
}
