//! The secrets of the installation: written once, refused if they are malformed or readable by other users.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;

use e2e::database::Database;

use super::*;

const OTHER: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
/// An empty variable is treated as unset: the files of the folder apply even if the suite sets the same secrets for
/// every server.
const NONE: [(&str, &str); 2] = [("MASTER_ENCRYPTION_KEY", ""), ("JWT_SECRET", "")];

fn alone(setup: Setup) -> Setup {
    NONE.into_iter().fold(setup, |setup, (name, value)| setup.variable(name, value))
}

/// Asserts that a start fails with these texts before a port is opened.
async fn refused(folder: &Folder, setup: &Setup, says: &[&str]) -> String {
    let (code, reported) = commands::serve_to_its_end(folder, setup).await;
    assert_eq!(code, Some(1), "{reported}");
    for word in says {
        assert!(reported.contains(word), "no {word:?} in: {reported}");
    }
    assert!(!reported.contains("listening"), "{reported}");
    reported
}

fn file(folder: &Folder, name: &str) -> PathBuf {
    folder.data().join("secrets").join(name)
}

fn mode(path: &std::path::Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[tokio::test]
async fn the_first_start_writes_secrets_for_its_owner_alone() {
    let gateway = Gateway::start(alone(Setup::mocked())).await;
    let folder = gateway.stop().await.folder;
    let right = |name: &str| fs::metadata(file(&folder, name)).unwrap().permissions().mode() & 0o777;
    assert_eq!([right(""), right("master_key"), right("jwt_secret")], [0o700, 0o600, 0o600]);
    let written = ["master_key", "jwt_secret"].map(|name| fs::read_to_string(file(&folder, name)).unwrap());
    let again = Gateway::start_in(folder, alone(Setup::mocked())).await;
    let log = again.stderr();
    let folder = again.stop().await.folder;
    assert_eq!(written, ["master_key", "jwt_secret"].map(|name| fs::read_to_string(file(&folder, name)).unwrap()));
    assert!(written.iter().all(|secret| !log.contains(secret.trim_end())), "{log}");
    assert_eq!(fs::read_dir(file(&folder, "")).unwrap().count(), 2, "no temporary files remain");
}

#[tokio::test]
async fn invalid_secrets_and_those_readable_by_others_are_refused() {
    let folder = Gateway::start(alone(Setup::mocked())).await.stop().await.folder;
    let start = alone(Setup::mocked());
    let key = file(&folder, "master_key");
    mode(&key, 0o640);
    refused(&folder, &start, &["secrets_exposed", "master_key", "640", "chmod 600"]).await;
    mode(&key, 0o600);
    mode(&file(&folder, ""), 0o755);
    refused(&folder, &start, &["secrets_exposed", "755", "chmod 700"]).await;
    mode(&file(&folder, ""), 0o700);
    let whole = fs::read_to_string(&key).unwrap();
    fs::write(&key, &whole[..20]).unwrap();
    let reported = refused(&folder, &start, &["secret_malformed", "master_key", "openssl rand -base64 32"]).await;
    assert!(!reported.contains(&whole[..20]), "{reported}");
    fs::rename(&key, folder.path().join("moved")).unwrap();
    symlink(folder.path().join("moved"), &key).unwrap();
    refused(&folder, &start, &["secret_odd", "symbolic link"]).await;
    fs::remove_file(&key).unwrap();
    fs::write(&key, &whole).unwrap();
    mode(&key, 0o600);
    refused(&folder, &start.clone().variable("JWT_SECRET", "too short"), &["secret_malformed", "JWT_SECRET"]).await;
    let nowhere = start.clone().variable("MASTER_ENCRYPTION_KEY", "file:/no/such/file");
    refused(&folder, &nowhere, &["secret_unreadable", "/no/such/file"]).await;
    Gateway::start_in(folder, start).await;
}

#[tokio::test]
async fn a_folder_of_secrets_that_cannot_be_made_is_named() {
    let folder = Folder::new();
    fs::create_dir(folder.data()).unwrap();
    // Not even root can create a folder in place of a file.
    fs::write(file(&folder, "").parent().unwrap().join("secrets"), "").unwrap();
    refused(&folder, &alone(Setup::mocked()), &["secret_odd", "secrets"]).await;
    // With both variables set, no files are needed.
    fs::remove_file(folder.data().join("secrets")).unwrap();
    let signing = "a signing secret of forty bytes, or so..";
    let set = Setup::mocked().variable("MASTER_ENCRYPTION_KEY", OTHER).variable("JWT_SECRET", signing);
    let gateway = Gateway::start_in(folder, set).await;
    assert!(!file(gateway.folder(), "").exists());
}

#[tokio::test]
async fn another_master_key_is_refused_once_something_is_sealed() {
    let mock = Mock::start().await;
    let gateway = Gateway::start(alone(before(&mock))).await;
    let ada = gateway.account(OPEN).await.key;
    put(&gateway, &ada, &own("any", "mine", "sk-adas-own")).await;
    let folder = gateway.stop().await.folder;
    let other = alone(before(&mock)).variable("MASTER_ENCRYPTION_KEY", OTHER);
    let reported = refused(&folder, &other, &["vault_key_wrong", "MASTER_ENCRYPTION_KEY_PREVIOUS", "same"]).await;
    assert!(!reported.contains(OTHER), "{reported}");
    let key = file(&folder, "master_key");
    let kept = fs::read(&key).unwrap();
    fs::remove_file(&key).unwrap();
    refused(&folder, &alone(before(&mock)), &["vault_key_missing", "master_key"]).await;
    assert!(!key.exists(), "a refused start must not create a key");
    fs::write(&key, kept).unwrap();
    mode(&key, 0o600);
    let again = Gateway::start_in(folder, alone(before(&mock))).await;
    soon_with(&again, &mock, numbered(&ada, "any", 1), "sk-adas-own").await;
}

#[tokio::test]
async fn a_lost_master_key_loses_only_the_credentials_it_encrypted() {
    let mock = Mock::start().await;
    let gateway = Gateway::start(alone(before(&mock))).await;
    let ada = gateway.account(OPEN).await.key;
    put(&gateway, &ada, &own("any", "mine", "sk-adas-own")).await;
    let data = gateway.folder().data().display().to_string();
    let reset = async |folder: &Folder, words: &[&str]| {
        let words: Vec<&str> = ["vault", "reset", "--data", &data].iter().chain(words).copied().collect();
        let output = commands::run_with(folder, &words, &[("MASTER_ENCRYPTION_KEY", OTHER)]).await;
        let reported =
            format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        (output.status.success(), reported)
    };
    let (done, reported) = reset(gateway.folder(), &["--yes"]).await;
    assert!(!done && (reported.contains("data_in_use") || reported.contains("store_in_use")), "{reported}");
    let folder = gateway.stop().await.folder;
    fs::remove_file(file(&folder, "master_key")).unwrap();
    let (done, reported) = reset(&folder, &[]).await;
    assert!(!done && reported.contains("1 credentials") && reported.contains("confirmation_missing"), "{reported}");
    let other = alone(before(&mock)).variable("MASTER_ENCRYPTION_KEY", OTHER);
    refused(&folder, &other, &["vault_key_wrong"]).await;
    let (done, reported) = reset(&folder, &["--yes"]).await;
    assert!(done && reported.contains("1 credentials were deleted"), "{reported}");
    let again = Gateway::start_in(folder, other).await;
    again.call(call(&ada, "any", 1)).await.expect(403);
    again.call(call(&ada, "up", 2)).await.expect(200);
}

/// Two servers on one PostgreSQL, each with its folder's secrets.
#[tokio::test]
async fn a_second_node_needs_the_key_of_the_first_once_a_credential_is_stored() {
    let mock = Mock::start().await;
    let folder = Folder::on_postgres(Database::new());
    let beside = folder.beside();
    let first = Gateway::start_in(folder, alone(before(&mock))).await;
    let ada = first.account(OPEN).await.key;
    let second = Gateway::start_in(beside, alone(before(&mock))).await;
    second.validate(&ada).await;
    second.logs("this server has no master key").await;
    assert!(!file(second.folder(), "master_key").exists());
    // It stores no credential that the first server could not read.
    let own = own("any", "mine", "sk-adas-own");
    second.ask(Call::json("/api/provider-keys", &own).key(&ada)).await.expect(503);
    put(&first, &ada, &own).await;
    let beside = second.stop().await.folder;
    let words = ["vault_key_missing", "every node", "MASTER_ENCRYPTION_KEY", "docs/postgresql.md"];
    refused(&beside, &alone(before(&mock)), &words).await;
    assert!(!file(&beside, "master_key").exists());
    let other = alone(Setup::mocked()).variable("MASTER_ENCRYPTION_KEY", OTHER);
    refused(&beside, &other, &["vault_key_wrong", "every node", "MASTER_ENCRYPTION_KEY"]).await;
    let key = fs::read_to_string(file(first.folder(), "master_key")).unwrap();
    let same = alone(before(&mock)).variable("MASTER_ENCRYPTION_KEY", key.trim_end());
    let second = Gateway::start_in(beside, same).await;
    soon_with(&second, &mock, numbered(&ada, "any", 1), "sk-adas-own").await;
}
