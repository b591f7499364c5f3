use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;

use access::Clock;
use config::{Flags, Sources};
use store::Options;
use tempfile::TempDir;

use super::*;

const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwd/v8=";
const SIGNED: &str = "a signing secret of thirty-two bytes, and more";

/// A data folder for one test.
struct Data(TempDir);

impl Data {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join("secrets").join(name)
    }

    fn mode(&self, name: &str) -> u32 {
        fs::metadata(self.path(name)).unwrap().permissions().mode() & 0o777
    }

    /// Creates a file in the folder, as an operator would.
    fn put(&self, name: &str, text: &str) {
        let folder = self.path("");
        fs::create_dir_all(&folder).unwrap();
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o700)).unwrap();
        fs::write(self.path(name), text).unwrap();
        fs::set_permissions(self.path(name), fs::Permissions::from_mode(0o600)).unwrap();
    }

    fn read(&self, variables: &[(&str, &str)]) -> Result<InstallationSecrets, StartFault> {
        InstallationSecrets::read(&Environment::from_variables(variables.iter().copied()), self.0.path())
    }

    fn refused(&self, variables: &[(&str, &str)]) -> String {
        let refused = self.read(variables).err().unwrap().to_string();
        assert!(!refused.contains("S3CRET") && !refused.contains(KEY), "{refused}");
        refused
    }

    async fn store(&self) -> Store {
        let options = Options { url: None, data: self.0.path(), migrate: true, clock: Clock::system() };
        Store::open(options).await.unwrap()
    }
}

fn snapshot() -> config::Snapshot {
    let environment = Environment::default();
    config::load(Sources { file: None, environment: &environment, flags: Flags::default() }).unwrap().snapshot
}

fn fingerprint(text: &str) -> access::Fingerprint {
    MasterKey::parse(text).unwrap().fingerprint()
}

#[tokio::test]
async fn the_second_start_reads_the_secrets_of_the_first() {
    let data = Data::new();
    let store = data.store().await;
    let first = data.read(&[]).unwrap();
    assert!(first.vault().is_none() && !data.path("").exists(), "reading creates no file");
    let keys = first.open_vault(&store, &snapshot().process).await.unwrap();
    let signing = first.signing().unwrap();
    assert_eq!([data.mode(""), data.mode("master_key"), data.mode("jwt_secret")], [0o700, 0o600, 0o600]);
    let second = data.read(&[]).unwrap();
    assert_eq!(second.vault().unwrap().current(), keys.vault.current());
    assert_eq!(second.signing().unwrap(), signing);
    assert!(
        keys.admitted.unwrap().newest
            && second.open_vault(&store, &snapshot().process).await.unwrap().admitted.unwrap().newest
    );
    let written = fs::read_to_string(data.path("jwt_secret")).unwrap();
    assert_eq!((written.len(), written.trim_end()), (45, signing.expose()));
}

#[test]
fn variables_precede_files_and_an_empty_variable_is_unset() {
    let data = Data::new();
    let other = "//////////////////////////////////////////8=";
    data.put("master_key", &format!("{KEY}\n"));
    data.put("master_key_previous", &format!("{other}\r\n"));
    data.put("jwt_secret", SIGNED);
    let read = |variables: &[(&str, &str)]| {
        let found = data.read(variables).unwrap();
        let vault = found.vault().unwrap();
        (vault.current(), vault.previous(), found.signing().unwrap().expose().to_owned())
    };
    let key = fingerprint(KEY);
    let other_key = fingerprint(other);
    assert_eq!(read(&[]), (key, Some(other_key), SIGNED.to_owned()));
    assert_eq!(read(&[("MASTER_ENCRYPTION_KEY", ""), ("JWT_SECRET", "")]), read(&[]));
    let from_variables = "another signing secret of thirty-two bytes";
    let variables = [("MASTER_ENCRYPTION_KEY", other), ("JWT_SECRET", from_variables)];
    assert_eq!(read(&variables), (other_key, Some(other_key), from_variables.to_owned()));
    // In the URL alphabet, without padding.
    assert_eq!(read(&[("MASTER_ENCRYPTION_KEY", &KEY.replace('/', "_")[..43])]).0, key);
    let elsewhere = data.0.path().join("mounted");
    fs::write(&elsewhere, format!("{other}\n")).unwrap();
    let named = format!("file:{}", elsewhere.display());
    assert_eq!(read(&[("MASTER_ENCRYPTION_KEY", &named)]).0, other_key);
}

#[test]
fn an_invalid_secret_is_refused_and_not_printed() {
    let data = Data::new();
    let short = &KEY[1..];
    for (name, value) in [
        ("MASTER_ENCRYPTION_KEY", "S3CRET"),
        ("MASTER_ENCRYPTION_KEY", short),
        ("MASTER_ENCRYPTION_KEY_PREVIOUS", "S3CRET"),
        ("JWT_SECRET", "S3CRET of 31 bytes, one too few"),
    ] {
        let refused = data.refused(&[(name, value)]);
        assert!(refused.starts_with(&format!("secret_malformed: {name} does not contain")), "{refused}");
    }
    for (value, says) in
        [("file:S3CRET-not", "secret_unreadable"), ("file:/no/such/file", "/no/such/file, which MASTER")]
    {
        let refused = data.read(&[("MASTER_ENCRYPTION_KEY", value)]).err().unwrap().to_string();
        assert!(refused.contains(says), "{refused}");
    }
    data.put("master_key", "S3CRET");
    let refused = data.refused(&[]);
    assert!(
        refused.starts_with("secret_malformed: ") && refused.contains("secrets/master_key does not contain"),
        "{refused}"
    );
    data.put("master_key", &"S3CRET".repeat(1_000));
    assert!(data.refused(&[]).starts_with("secret_unreadable: "));
    fs::write(data.path("master_key"), [0xff; 44]).unwrap();
    assert!(data.refused(&[]).starts_with("secret_unreadable: "));
}

#[test]
fn a_file_that_other_users_can_read_is_refused() {
    for (name, mode, right) in
        [("master_key", 0o640, "600"), ("jwt_secret", 0o604, "600"), ("", 0o750, "700"), ("", 0o701, "700")]
    {
        let data = Data::new();
        data.put("master_key", KEY);
        data.put("jwt_secret", SIGNED);
        fs::set_permissions(data.path(name), fs::Permissions::from_mode(mode)).unwrap();
        let refused = data.refused(&[]);
        assert!(refused.starts_with("secrets_exposed: "), "{refused}");
        assert!(
            refused.contains(&format!("mode {mode:03o}")) && refused.contains(&format!("chmod {right} ")),
            "{refused}"
        );
    }
}

#[test]
fn links_pipes_and_folders_are_no_secrets() {
    let data = Data::new();
    data.put("x", KEY);
    symlink(data.path("x"), data.path("master_key")).unwrap();
    assert!(data.refused(&[]).starts_with("secret_odd: "));
    fs::remove_file(data.path("master_key")).unwrap();
    fs::create_dir(data.path("master_key")).unwrap();
    assert!(data.refused(&[]).starts_with("secret_odd: "));
    fs::remove_dir(data.path("master_key")).unwrap();
    let pipe = rustix::fs::Mode::from_raw_mode(0o600);
    rustix::fs::mkfifoat(rustix::fs::CWD, data.path("master_key"), pipe).unwrap();
    assert!(data.refused(&[]).starts_with("secret_odd: "));

    let elsewhere = Data::new();
    elsewhere.put("master_key", KEY);
    let data = Data::new();
    symlink(elsewhere.path(""), data.0.path().join("secrets")).unwrap();
    assert!(data.refused(&[]).starts_with("secret_odd: "));
    let data = Data::new();
    fs::write(data.0.path().join("secrets"), "a file").unwrap();
    assert!(data.refused(&[]).starts_with("secret_odd: "));
}

#[test]
fn a_folder_that_cannot_be_made_is_named() {
    let data = Data::new();
    let gone = data.0.path().join("gone");
    let found = InstallationSecrets::read(&Environment::default(), &gone).unwrap();
    let refused = found.signing().unwrap_err().to_string();
    assert!(refused.starts_with("secrets_unwritable: ") && refused.contains("gone/secrets"), "{refused}");
    // The folder is not needed if the variable is set.
    let found = InstallationSecrets::read(&Environment::from_variables([("JWT_SECRET", SIGNED)]), &gone).unwrap();
    assert_eq!(found.signing().unwrap().expose(), SIGNED);
}

#[test]
fn a_start_that_was_cut_short_leaves_nothing_that_the_next_one_believes() {
    let data = Data::new();
    data.put("jwt_secret.part", "half a sec");
    let created = data.read(&[]).unwrap().signing().unwrap();
    assert_eq!(created.expose().len(), 44);
    assert_eq!(data.read(&[]).unwrap().signing().unwrap(), created);
    assert!(!data.path("jwt_secret.part").exists());
}

#[test]
fn starts_at_once_agree() {
    let data = Data::new();
    let created: Vec<Secret> = std::thread::scope(|scope| {
        let starts: Vec<_> = (0..8).map(|_| scope.spawn(|| data.read(&[]).unwrap().signing().unwrap())).collect();
        starts.into_iter().map(|start| start.join().unwrap()).collect()
    });
    assert!(created.iter().all(|one| *one == created[0]));
    assert_eq!(data.read(&[]).unwrap().signing().unwrap(), created[0]);
}

#[tokio::test]
async fn another_master_key_than_the_stores_is_refused() {
    let data = Data::new();
    let store = data.store().await;
    let keys = data.read(&[]).unwrap().open_vault(&store, &snapshot().process).await.unwrap();
    seal(&store, &keys.vault).await;
    // A second server with the same store.
    let second = Data::new();
    let missing = second.read(&[]).unwrap().open_vault(&store, &snapshot().process).await.unwrap_err().to_string();
    assert!(missing.starts_with("vault_key_missing: ") && missing.contains("MASTER_ENCRYPTION_KEY"), "{missing}");
    assert!(!second.path("").exists(), "it creates no key");
    let given = second.read(&[("MASTER_ENCRYPTION_KEY", KEY)]).unwrap();
    let wrong = given.open_vault(&store, &snapshot().process).await.unwrap_err().to_string();
    assert!(wrong.starts_with("vault_key_wrong: ") && wrong.contains("every node the same"), "{wrong}");
    assert!(!wrong.contains(KEY) && wrong.contains(&fingerprint(KEY).to_string()), "{wrong}");
}

async fn seal(store: &Store, vault: &Vault) {
    let provider = "openai".to_owned();
    let label = "all".to_owned();
    let secret = Secret::new("sk-live".to_owned());
    let new = store::NewProviderKey { owner: None, provider, label, secret };
    store.create_provider_key(&Actor::COMMAND, vault, new).await.unwrap();
}

/// For example after a restore elsewhere, or a key that is configured after a first try.
#[tokio::test]
async fn a_master_key_that_seals_nothing_makes_way_for_another() {
    let data = Data::new();
    let store = data.store().await;
    let before = data.read(&[]).unwrap().open_vault(&store, &snapshot().process).await.unwrap();
    let elsewhere = Data::new();
    let created = elsewhere.read(&[]).unwrap().open_vault(&store, &snapshot().process).await.unwrap();
    assert_ne!(created.vault.current(), before.vault.current());
    let given = data.read(&[("MASTER_ENCRYPTION_KEY", KEY)]).unwrap();
    let given = given.open_vault(&store, &snapshot().process).await.unwrap();
    assert_eq!(given.vault.current(), fingerprint(KEY));
    seal(&store, &given.vault).await;
    let retired = data.read(&[]).unwrap().open_vault(&store, &snapshot().process).await.unwrap_err().to_string();
    assert!(retired.starts_with("vault_key_retired: "), "{retired}");
}

#[tokio::test]
async fn of_two_first_starts_on_one_store_the_key_of_one_is_admitted() {
    let one = Data::new();
    let two = Data::new();
    let store = one.store().await;
    let snapshot = snapshot();
    let open = async |data: &Data| data.read(&[]).unwrap().open_vault(&store, &snapshot.process).await;
    // Both open before one joins: on SQLite, a server that has joined is not seen.
    let (first, second) = tokio::join!(open(&one), open(&two));
    let mut ends = Vec::new();
    for (data, opened) in [(&one, first), (&two, second)] {
        store.join(&data.path("node"), "9.8.7").await.unwrap();
        ends.push(match opened {
            Ok(keys) => keys.confirm(&store, &snapshot.process).await.map(|()| keys.admitted.is_some()),
            Err(refused) => Err(refused),
        });
    }
    let admitted = ends.iter().filter(|started| matches!(started, Ok(true))).count();
    assert_eq!(admitted, 1, "{ends:?}");
}
