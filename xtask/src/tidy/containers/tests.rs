use super::*;
use crate::tidy::finding::messages;

const GOOD: &str = "FROM rust:1.95.0-bookworm AS build
COPY . .
RUN a \\
    && b
FROM distroless.example/cc:nonroot AS runtime
COPY --from=build --chown=1:1 /a /b
ENV TOLLGATE_LISTEN=0.0.0.0:1 \\
    TOLLGATE_CONTROL__LISTEN=0.0.0.0:2
EXPOSE 1 2
USER 65532:65532
";
const VARIABLES_TEXT: &str = "#TOLLGATE_LISTEN=x\n#TOLLGATE_CONTROL__LISTEN=\n#KNOWN=\n";

fn messages_of(dockerfile: &str, compose: &str) -> Vec<String> {
    let files = [
        (DOCKERFILE, dockerfile),
        (COMPOSE, compose),
        (VARIABLES, VARIABLES_TEXT),
        (TOOLCHAIN, "[toolchain]\nchannel = \"1.95.0\"\n"),
        ("infrastructure/docker/a/b.yml", "a: 1"),
    ];
    messages(&check(&Tree::from_files(&files)))
}

fn check_one(dockerfile: &str, compose: &str, expected: &str) {
    let messages = messages_of(dockerfile, compose);
    assert!(messages.len() == 1 && messages[0].contains(expected), "{expected}: {messages:?}");
}

#[test]
fn a_valid_dockerfile_passes() {
    assert_eq!(messages_of(GOOD, "services: {}"), [""; 0]);
    assert!(check(&Tree::from_files(&[("README.md", "")])).is_empty());
}

#[test]
fn each_mistake_in_a_dockerfile_is_reported() {
    for (from, to, expected) in [
        ("distroless.example/cc:nonroot", "distroless.example:5000/cc", "has no fixed tag"),
        ("distroless.example/cc:nonroot", "cc:latest", "has no fixed tag"),
        ("rust:1.95.0-bookworm", "rust:1.96.0-bookworm", "is built with Rust 1.96.0-bookworm"),
        ("COPY . .", "COPY gone Cargo.toml .", "copies gone"),
        ("--from=build", "--from=built", "copies from built, which is not a stage"),
        ("USER 65532:65532\n", "", "runs as root"),
        ("USER 65532:65532", "USER 0:0", "runs as root"),
        ("USER 65532:65532", "USER root", "runs as root"),
        ("EXPOSE 1 2", "EXPOSE 1", "TOLLGATE_CONTROL__LISTEN is 2, which EXPOSE lacks"),
        ("TOLLGATE_LISTEN=0.0.0.0:1", "TOLLGATE_LISTEN=127.0.0.1:1", "TOLLGATE_LISTEN is not 0.0.0.0:PORT"),
        ("TOLLGATE_LISTEN=0.0.0.0:1", "TOLLGATE_LISTEN=0.0.0.0:1 TOLLGATE_LISTN=2", "sets TOLLGATE_LISTN"),
    ] {
        let dockerfile = GOOD.replace(from, to).replace("gone Cargo.toml", "gone .env.example");
        check_one(&dockerfile, "services: {}", expected);
    }
}

#[test]
fn each_mistake_in_a_compose_file_is_reported() {
    let service = |lines: &str| format!("services:\n  a:\n    image: a:1\n{lines}volumes:\n  v:\n");
    let fine = "    ports: [\"127.0.0.1:1:9\"]\n    volumes: [\"v:/v\", \"./a/b.yml:/b\", \"../..:/c\"]\n    command: ${KNOWN:-x}\n";
    assert_eq!(messages_of(GOOD, &service(fine)), [""; 0]);
    for (compose, expected) in [
        ("services: [".to_owned(), "is not valid YAML"),
        ("services:\n  a: {image: a}\n".to_owned(), "has no fixed tag"),
        ("services:\n  a: {image: 'a:${KNOWN}'}\n".to_owned(), "has no fixed tag"),
        (service("    command: ${GONE:-x}\n"), "uses ${GONE}"),
        (service("    volumes: [\"./gone:/x\"]\n"), "mounts ./gone"),
        (service("    volumes: [\"w:/x\"]\n"), "the volume w"),
        (service("    command: [sleep, infinity]\n"), "a sleeps and logs nothing"),
        (service("    ports: [\"80:80\"]\n"), "publishes 80:80 on every address"),
        (
            service("    build: {context: ../.., dockerfile: Dockerfile, target: gone}\n"),
            "`gone`, which is not a stage",
        ),
        (service("    build: {context: .., dockerfile: Dockerfile, target: build}\n"), "is not built from"),
        (
            "services:\n  t: {image: 'tollgate:dev', ports: [\"127.0.0.1:3:3\"]}\n".to_owned(),
            "publishes 3, which its image does not expose",
        ),
    ] {
        check_one(GOOD, &compose, expected);
    }
}

#[test]
fn rules_that_prometheus_cannot_read_are_reported() {
    let mounted = "services:\n  p:\n    image: p:1\n    volumes: [\"./prometheus/rules.yml:/etc/rules.yml:ro\"]\n";
    let messages_of = |compose: &str, prometheus: &str| {
        let files = [
            (COMPOSE, compose),
            (PROMETHEUS, prometheus),
            ("infrastructure/docker/prometheus/rules.yml", "groups: []"),
        ];
        messages(&check(&Tree::from_files(&files)))
    };
    assert_eq!(messages_of(mounted, "rule_files: [/etc/rules.yml]"), [""; 0]);
    for (compose, prometheus, expected) in [
        ("services: {}", "rule_files: [/etc/rules.yml]", &["reads /etc/rules.yml", "is not read by Prometheus"][..]),
        (mounted, "rule_files: []", &["is not read by Prometheus"]),
        (mounted, "rule_files: [/etc/rules.yml, /etc/gone.yml]", &["reads /etc/gone.yml, which no service mounts"]),
    ] {
        let messages = messages_of(compose, prometheus);
        assert_eq!(messages.len(), expected.len(), "{messages:?}");
        assert!(
            expected.iter().all(|expected| messages.iter().any(|message| message.contains(expected))),
            "{messages:?}"
        );
    }
}

#[test]
fn the_development_backend_starts_after_its_databases_and_keeps_running() {
    let compose: Value =
        serde_saphyr::from_str(include_str!("../../../../infrastructure/docker/docker-compose.yml")).unwrap();
    for name in ["backend-dev", "postgres", "redis"] {
        let service = &compose["services"][name];
        assert!(service.is_object() && service.get("profiles").is_none(), "`up` does not start {name}: {service}");
    }
    let backend = &compose["services"]["backend-dev"];
    // The image's default command is a shell, which ends immediately without a terminal.
    let command = backend["command"].as_array().unwrap();
    assert!(command[2].as_str().unwrap().ends_with("&& exec sleep infinity"), "{command:?}");
    // `docker compose logs backend-dev` shows a line.
    let output = std::process::Command::new("bash")
        .args(["-c", &command[2].as_str().unwrap().replace("exec sleep infinity", "true")])
        .output();
    let output = String::from_utf8(output.unwrap().stdout).unwrap();
    assert!(output.contains("docker compose exec backend-dev"), "{output}");
    for name in ["postgres", "redis"] {
        assert_eq!(backend["depends_on"][name]["condition"], "service_healthy", "{name}");
    }
}

#[test]
fn the_compose_files_have_the_oldest_and_a_newer_postgresql_on_volumes_of_their_own() {
    let newer = include_str!("../../../../infrastructure/docker/docker-compose.yml");
    let oldest = include_str!("../../../../infrastructure/docker/docker-compose.postgres-15.yml");
    let services = [newer, oldest].map(|text| {
        let compose: Value = serde_saphyr::from_str(text).unwrap();
        compose["services"]["postgres"].clone()
    });
    let images = services.each_ref().map(|service| service["image"].as_str().unwrap());
    assert!(images[0].starts_with("postgres:17.") && images[1].starts_with("postgres:15."), "{images:?}");
    let volumes = services.each_ref().map(|service| service["volumes"][0].as_str().unwrap().split_once(':').unwrap());
    assert_ne!(volumes[0].0, volumes[1].0);
    assert_eq!(volumes[0].1, volumes[1].1, "compose replaces a volume by its path");
}

#[test]
fn the_jobs_of_the_workflow_have_a_timeout_and_run_every_step_of_make_test() {
    let workflow: Value = serde_saphyr::from_str(include_str!("../../../../.github/workflows/ci.yml")).unwrap();
    let jobs = workflow["jobs"].as_object().unwrap();
    assert!(jobs.values().all(|job| job["timeout-minutes"].is_number()), "{workflow}");
    let commands = jobs["test"]["strategy"]["matrix"]["include"].as_array().unwrap();
    let selections: Vec<&str> = commands
        .iter()
        .filter_map(|job| job["run"].as_str()?.split_once("ONLY='")?.1.strip_suffix('\''))
        .flat_map(|only| only.split('|'))
        .collect();
    let makefile = include_str!("../../../../Makefile");
    let steps = makefile.split_once("\ntest: ").unwrap().1.split_once("\ndocs-run: ").unwrap().0;
    let names = steps.lines().filter_map(|line| line.split_once("scripts/step \"")?.1.split('"').next());
    let is_selected = |name: &&str| {
        selections
            .iter()
            .any(|word| word.strip_prefix('^').map_or(name.contains(word), |start| name.starts_with(start)))
    };
    assert!(names.clone().count() > 5);
    assert_eq!(names.filter(|name| !is_selected(name)).collect::<Vec<_>>(), Vec::<&str>::new());
}
