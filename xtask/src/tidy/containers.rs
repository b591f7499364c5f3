//! Checks of the Dockerfile and the compose file without a container engine: they are valid, the names in them exist,
//! images are pinned, no image runs as root, ports and variables are Tollgate's, and Prometheus can read its rule
//! files.

mod dockerfile;

use serde_json::Value;

use super::finding::{FileLine, Finding};
use super::tree::{File, Tree};
use dockerfile::{BuildStage, Instruction, stages};

const DOCKERFILE: &str = "Dockerfile";
const FOLDER: &str = "infrastructure/docker/";
const COMPOSE: &str = "infrastructure/docker/docker-compose.yml";
/// The beginning of the paths of the compose file, and of those that change it.
const COMPOSES: &str = "infrastructure/docker/docker-compose";
const PROMETHEUS: &str = "infrastructure/docker/prometheus/prometheus.yml";
/// The folder of Prometheus' settings and rules.
const RULES: &str = "infrastructure/docker/prometheus/";
const VARIABLES: &str = ".env.example";
const TOOLCHAIN: &str = "rust-toolchain.toml";
/// The listeners in the image. They must bind every address, because published ports would not reach them otherwise.
const LISTENERS: [&str; 2] = ["TOLLGATE_LISTEN", "TOLLGATE_CONTROL__LISTEN"];

/// Checks the files that exist.
pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    let stages = tree.file(DOCKERFILE).map(|file| stages(&file.text)).unwrap_or_default();
    if let Some(file) = tree.file(DOCKERFILE) {
        findings.extend(stages.iter().flat_map(|stage| check_stage(tree, file, &stages, stage)));
        findings.extend(stages.last().into_iter().flat_map(|stage| check_image(tree, file, stage)));
    }
    for file in tree.below(FOLDER).filter(|file| file.is(&["yml", "yaml"])) {
        match serde_saphyr::from_str::<Value>(&file.text) {
            Ok(yaml) if file.path.starts_with(COMPOSES) => findings.extend(check_compose(tree, file, &yaml, &stages)),
            Ok(yaml) if file.path == PROMETHEUS => findings.extend(check_rules(tree, file, &yaml)),
            Ok(_) => {}
            Err(error) => findings.push(file.whole().fails(format!("is not valid YAML: {error}"), "fix it")),
        }
        findings.extend(variables(tree, file));
    }
    findings
}

/// Checks the base image of a stage, and the files copied into it.
fn check_stage<'a>(tree: &'a Tree, file: &'a File, stages: &[BuildStage<'a>], stage: &BuildStage<'a>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let is_stage = |name: &str| stages.iter().any(|stage| stage.name == name);
    if !is_stage(stage.from) {
        findings.extend(check_tag(file.line(stage.line), stage.from));
        let channel = tree.file(TOOLCHAIN).and_then(|file| file.text.split("channel = \"").nth(1)?.split('"').next());
        if let Some(tag) = stage.from.strip_prefix("rust:")
            && let Some(channel) = channel
            && !tag.starts_with(&format!("{channel}-"))
        {
            let what = format!("is built with Rust {tag}, but the repository uses {channel}");
            findings.push(file.line(stage.line).fails(what, "use the same version"));
        }
    }
    for copy in stage.all("COPY") {
        let place = file.line(copy.line);
        match copy.flag("from") {
            Some(from) if !is_stage(from) => {
                findings.push(place.fails(format!("copies from {from}, which is not a stage"), "name a stage"));
            }
            Some(_) => {}
            None => findings.extend(missing(tree, place, copy)),
        }
    }
    findings
}

/// Sources of a `COPY` that do not exist.
fn missing<'a>(tree: &'a Tree, place: FileLine<'a>, copy: &Instruction<'a>) -> Vec<Finding> {
    let mut sources = copy.operands();
    sources.pop();
    let missing = sources.into_iter().filter(|source| !exists(tree, source));
    missing
        .map(|source| place.fails(format!("copies {source}, which does not exist"), "name an existing path"))
        .collect()
}

/// Checks the last stage, which becomes the image.
fn check_image(tree: &Tree, file: &File, stage: &BuildStage<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let place = file.line(stage.line);
    let user = stage.all("USER").last().and_then(|user| user.words.first().copied()).unwrap_or("root");
    if matches!(user.split(':').next(), None | Some("root" | "0" | "")) {
        findings.push(place.fails("the image runs as root", "set USER to a number, as Kubernetes requires one"));
    }
    let exposed: Vec<&str> = stage.all("EXPOSE").flat_map(|expose| expose.words.iter().copied()).collect();
    for listener in LISTENERS {
        match stage.env(listener).and_then(|address| address.strip_prefix("0.0.0.0:")) {
            Some(port) if exposed.contains(&port) => {}
            Some(port) => findings
                .push(place.fails(format!("{listener} is {port}, which EXPOSE lacks"), "add the port to EXPOSE")),
            None => findings.push(place.fails(format!("{listener} is not 0.0.0.0:PORT"), "set it with ENV")),
        }
    }
    let set = stage.all("ENV").flat_map(|env| env.words.iter().filter_map(|word| Some(word.split_once('=')?.0)));
    for name in set.filter(|name| !is_variable(tree, name)) {
        findings.push(place.fails(format!("sets {name}, which {VARIABLES} lacks"), "set an existing variable"));
    }
    findings
}

/// Checks the services, and the paths in them.
fn check_compose(tree: &Tree, file: &File, yaml: &Value, stages: &[BuildStage<'_>]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let place = file.whole();
    let services = yaml.get("services").and_then(Value::as_object);
    for (name, service) in services.into_iter().flatten() {
        let image = service.get("image").and_then(Value::as_str).unwrap_or_default();
        findings.extend(check_tag(place, image));
        if let Some(build) = service.get("build") {
            let text = |key: &str| build.get(key).and_then(Value::as_str).unwrap_or_default();
            if resolve(text("context")) != "." || text("dockerfile") != DOCKERFILE {
                findings.push(
                    place.fails(format!("{name} is not built from ./{DOCKERFILE}"), "set context and dockerfile"),
                );
            }
            if stages.iter().all(|stage| stage.name != text("target")) {
                let what = format!("{name} targets `{}`, which is not a stage", text("target"));
                findings.push(place.fails(what, "name a stage of the Dockerfile"));
            }
        }
        for source in mounts(service).filter(|source| source.starts_with('.')) {
            if !exists(tree, &resolve(source)) {
                findings.push(
                    place.fails(format!("{name} mounts {source}, which does not exist"), "name an existing path"),
                );
            }
        }
        for volume in mounts(service).filter(|source| !source.starts_with(['.', '/'])) {
            if yaml.get("volumes").and_then(|volumes| volumes.get(volume)).is_none() {
                findings.push(place.fails(
                    format!("{name} mounts the volume {volume}, which is not declared"),
                    "declare it under volumes",
                ));
            }
        }
        for port in strings(service.get("ports")).filter(|port| !port.starts_with("127.0.0.1:")) {
            findings.push(place.fails(format!("{name} publishes {port} on every address"), "publish it on 127.0.0.1"));
        }
        if strings(service.get("command")).next() == Some("sleep") {
            findings.push(place.fails(format!("{name} sleeps and logs nothing"), "print a line first"));
        }
        if image.starts_with("tollgate:") {
            findings.extend(unexposed(place, name, service, stages));
        }
    }
    findings
}

/// Rule files that Prometheus reads without a mount, and rule files that it does not read. Both would fail silently: no
/// alert, no error.
fn check_rules(tree: &Tree, file: &File, yaml: &Value) -> Vec<Finding> {
    let compose = tree.file(COMPOSE).and_then(|file| serde_saphyr::from_str::<Value>(&file.text).ok());
    let services = compose.iter().filter_map(|compose| compose.get("services")?.as_object()).flatten();
    let volumes: Vec<(String, String)> = services
        .flat_map(|(_, service)| strings(service.get("volumes")))
        .filter_map(|volume| {
            let mut parts = volume.split(':');
            Some((resolve(parts.next()?), parts.next()?.to_owned()))
        })
        .collect();
    let read: Vec<&str> = strings(yaml.get("rule_files")).collect();
    let source = |inside: &str| volumes.iter().find(|(_, target)| target == inside).map(|(source, _)| source.as_str());
    let missing = read.iter().filter(|inside| source(inside).is_none()).map(|inside| {
        file.whole().fails(format!("reads {inside}, which no service mounts"), "mount it in docker-compose.yml")
    });
    let is_read = |path: &str| read.iter().any(|inside| source(inside) == Some(path));
    let unread = tree.below(RULES).filter(|rules| rules.path != PROMETHEUS && !is_read(&rules.path)).map(|rules| {
        rules.whole().fails("is not read by Prometheus", "mount it in docker-compose.yml and name it in rule_files")
    });
    missing.chain(unread).collect()
}

/// Published ports of a Tollgate service that its image does not expose.
fn unexposed(place: FileLine<'_>, name: &str, service: &Value, stages: &[BuildStage<'_>]) -> Vec<Finding> {
    let exposed: Vec<&str> =
        stages.last().into_iter().flat_map(|stage| stage.all("EXPOSE")).flat_map(|e| e.words.clone()).collect();
    let inside = strings(service.get("ports")).filter_map(|port| port.rsplit(':').next());
    let missing = inside.filter(|port| !exposed.contains(port));
    missing
        .map(|port| place.fails(format!("{name} publishes {port}, which its image does not expose"), "fix the port"))
        .collect()
}

fn strings(list: Option<&Value>) -> impl Iterator<Item = &str> {
    list.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
}

/// The sources of a service's volumes.
fn mounts(service: &Value) -> impl Iterator<Item = &str> {
    strings(service.get("volumes")).filter_map(|volume| volume.split(':').next())
}

/// A finding if the image's version is not pinned.
fn check_tag(place: FileLine<'_>, image: &str) -> Option<Finding> {
    let tag = image.rsplit('/').next().and_then(|name| name.split_once(':')).map(|(_, tag)| tag);
    let is_pinned = tag.is_some_and(|tag| !tag.is_empty() && tag != "latest") && !image.contains('$');
    (!is_pinned).then(|| place.fails(format!("the image `{image}` has no fixed tag"), "pin a version"))
}

/// Uses of `${VARIABLE}` that `.env.example` does not describe.
fn variables<'a>(tree: &'a Tree, file: &'a File) -> impl Iterator<Item = Finding> + 'a {
    let named = file.lines().filter(|(_, line)| !line.trim_start().starts_with('#')).flat_map(|(number, line)| {
        line.split("${").skip(1).map(move |rest| (number, rest.split(['}', ':', '-', '?']).next().unwrap_or_default()))
    });
    let unknown = named.filter(|(_, name)| !is_variable(tree, name));
    unknown.map(|(number, name)| {
        file.line(number)
            .fails(format!("uses ${{{name}}}, which {VARIABLES} lacks"), "describe it in docs/deployment.md")
    })
}

fn is_variable(tree: &Tree, name: &str) -> bool {
    let line = format!("#{name}=");
    tree.file(VARIABLES).is_some_and(|file| file.text.lines().any(|found| found.starts_with(&line)))
}

/// A path relative to [`FOLDER`], made relative to the root.
fn resolve(path: &str) -> String {
    let mut parts: Vec<&str> = FOLDER.trim_end_matches('/').split('/').collect();
    for part in path.split('/') {
        match part {
            "." | "" => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    if parts.is_empty() { ".".to_owned() } else { parts.join("/") }
}

fn exists(tree: &Tree, path: &str) -> bool {
    let folder = format!("{path}/");
    path == "." || tree.files.iter().any(|file| file.path == path || file.path.starts_with(&folder))
}

#[cfg(test)]
mod tests;
