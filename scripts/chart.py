#!/usr/bin/env python3
"""Checks the Helm chart and renders infrastructure/kubernetes from it.

    chart.py                 lints the chart, renders it with each values file, compares the result with the manifests, checks
                             each object against the schemas of Kubernetes, and checks that contradictions are refused
    chart.py --binary FILE   also checks the configuration of each manifest with this `tollgate`, and starts that of single-node
    chart.py --write         writes the manifests

`scripts/setup.sh packages` installs Helm as a library of Python.
"""
import base64
import copy
import json
import os
import re
import subprocess
import sys
import tempfile
import urllib.request
from pathlib import Path

import helm_python
import kubernetes_validate
import yaml
from helm_python import Chart

ROOT = Path(__file__).resolve().parent.parent
CHART = ROOT / "infrastructure/helm/tollgate"
VALUES = ROOT / "infrastructure/helm/values"
MANIFESTS = ROOT / "infrastructure/kubernetes"
PAGE = ROOT / "docs/kubernetes.md"
RULES = ROOT / "infrastructure/docker/prometheus/rules.yml"
SCRAPES = ROOT / "infrastructure/docker/prometheus/prometheus.yml"
# The values with which the page installs Tollgate.
INSTALLED = "production"
# The oldest and the newest version of Kubernetes whose schemas are checked.
VERSIONS = ["1.27", "1.37"]
HEADER = """# Rendered from infrastructure/helm/tollgate with the values of {values} by scripts/chart.py --write.
"""
# Values that contradict each other: a name, a values file, changes of it, and the key that the refusal names.
CONTRADICTIONS = [
    ("production without TLS", "production", {"tls.secretName": ""}, "/tls/secretName"),
    ("production without plaintext", "digitalocean-singapore", {"plaintext": False}, "/plaintext"),
    ("two replicas on SQLite", "single-node", {"replicas": 2}, "/store/urlSecret/name"),
    ("two replicas without shared secrets", "production", {"replicas": 2, "secrets.name": ""}, "/secrets/name"),
    ("autoscaling on SQLite", "single-node", {"autoscaling.enabled": True}, "/store/urlSecret/name"),
    ("a key of the chart in config", "single-node", {"config.listen": "0.0.0.0:1"}, "/config/listen"),
    ("a secret in config", "single-node", {"config.store": {"url": "postgres://a:b@c/d"}}, "/config/store/url"),
    ("an unknown key", "single-node", {"replica": 2}, "replica"),
    ("production with a removed TLS", "production", {"tls.secretName": None}, "/tls"),
    ("production with a removed plaintext", "digitalocean-singapore", {"plaintext": None}, "plaintext"),
    ("two replicas with a removed store", "single-node", {"replicas": 2, "secrets.name": "a", "store.urlSecret.name": None}, "/store/urlSecret"),
    ("more nodes at least than at most", "digitalocean-singapore", {"autoscaling.minReplicas": 7}, "autoscaling.minReplicas"),
    ("a budget that keeps machines from being drained", "production", {"podDisruptionBudget.maxUnavailable": 0}, "/podDisruptionBudget/maxUnavailable"),
    ("a policy that would allow all ports", "production", {"networkPolicy.egressPorts": []}, "/networkPolicy/egressPorts"),
    ("more nodes than the database has connections for", "digitalocean-singapore", {"store.connections": 47}, "store.connections"),
    ("more nodes by hand than the database has connections for", "production", {"store.connections": 47}, "store.connections"),
    ("draining the volume of a node that runs", "production", {"drainVolumes": [2]}, "drainVolumes"),
    ("draining the volume of a node that autoscaling keeps", "digitalocean-singapore", {"drainVolumes": [2]}, "drainVolumes"),
    ("a ServiceMonitor without the token", "single-node", {"monitoring.serviceMonitor.enabled": True}, "/metrics/tokenSecret/name"),
    ("a volume with a name of the chart", "production", {"volumes": [{"name": "data"}]}, "/volumes/0/name"),
]

# Words that YAML 1.1 reads as booleans.
BOOLEAN_WORDS = """
providers: [{name: mock, kind: mock}]
models: [{name: m, sticky: off, retry: {on: [connect]}, targets: [{provider: mock, model: mock, prompt_cache: off}]}]
upstreams: [{name: u, retry: {on: [502]}, backends: [{url: "http://127.0.0.1:9"}]}]
routes: [{path: {prefix: /}, upstreams: u}]
"""


def fail(message):
    sys.exit(f"chart: {message}")


def values_of(name):
    return yaml.safe_load((VALUES / f"{name}.yaml").read_text())


def names():
    return sorted(path.stem for path in VALUES.glob("*.yaml"))


def render(name, changes=None):
    """The manifests for a values file, with changed values, in one document per object."""
    values = changed(name, changes or {})
    with Chart.load(CHART) as chart:
        chart.validate_schema(values)
        rendered = chart.render(values, name="tollgate", namespace="tollgate")
    documents = []
    for path, text in sorted(rendered.items()):
        if path.endswith(".yaml"):
            documents += [part.strip() for part in text.split("\n---\n")]
    documents = [part for part in documents if yaml.safe_load(part)]
    return HEADER.format(values=f"infrastructure/helm/values/{name}.yaml") + "".join(f"---\n{part}\n" for part in documents)


def check_objects(name, text):
    """Each object is valid, and in each workload nothing runs as root or may write to its image."""
    kinds = []
    for document in yaml.safe_load_all(text):
        for version in VERSIONS:
            kubernetes_validate.validate(document, version, strict=True)
        kinds.append(document["kind"])
        if document["kind"] != "StatefulSet":
            continue
        pod = document["spec"]["template"]["spec"]
        container = pod["containers"][0]
        secure = container["securityContext"]
        if not pod["securityContext"]["runAsNonRoot"] or not secure["readOnlyRootFilesystem"]:
            fail(f"{name}: the container may run as root or write to its image")
        if any("value" in variable and "postgres://" in variable["value"] for variable in container["env"]):
            fail(f"{name}: a secret is a value instead of a reference")
    return kinds


def run(binary, name, text):
    """Checks the configuration as the container has it, with files of a temporary folder in place of the mounts."""
    objects = {document["kind"]: document for document in yaml.safe_load_all(text)}
    container = objects["StatefulSet"]["spec"]["template"]["spec"]["containers"][0]
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        for mount in ["tls", "secrets", "etc/tollgate", "var/lib/tollgate"]:
            (folder / mount).mkdir(parents=True)
        tls = ["-keyout", folder / "tls/tls.key", "-out", folder / "tls/tls.crt", "-subj", "/CN=tollgate"]
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", *tls], check=True, capture_output=True)
        (folder / "tls/tls.key").chmod(0o600)
        for secret in ["master", "signing"]:
            (folder / "secrets" / secret).write_text(base64.b64encode(os.urandom(32)).decode())

        def local(value):
            for mount in ["/tls/", "/secrets/", "/etc/tollgate", "/var/lib/tollgate"]:
                value = value.replace(mount, f"{folder}{mount}")
            return value.replace("0.0.0.0:8080", "127.0.0.1:0").replace("0.0.0.0:8787", "127.0.0.1:0")

        file = folder / "etc/tollgate/tollgate.yaml"
        file.write_text(local(objects["ConfigMap"]["data"]["tollgate.yaml"]))
        given = {"DATABASE_URL": "postgres://tollgate:x@db.internal/tollgate", "REDIS_URL": "redis://redis.internal"}
        environment = {"PATH": os.environ["PATH"], "HOME": str(folder)}
        for variable in container["env"]:
            name_of = variable["name"]
            environment[name_of] = local(variable["value"]) if "value" in variable else given.get(name_of, "a-token-of-a-secret")
        checked = subprocess.run([binary, "check", file], env=environment, capture_output=True, text=True)
        if checked.returncode != 0:
            fail(f"{name}: tollgate check: {checked.stdout}{checked.stderr}")
        print(f"chart: {name}: {checked.stdout.strip().split('/')[-1]}")
        if name == "single-node":
            serve(name, [binary, *map(local, container["args"])], environment, container)


def check_booleans(binary):
    """Helm and PyYAML turn `on` and `off` into booleans, which `tollgate check` must read as these words."""
    values = values_of("single-node")
    values["config"] = {**values.get("config", {}), **yaml.safe_load(BOOLEAN_WORDS)}
    with Chart.load(CHART) as chart:
        rendered = chart.render(values, name="tollgate", namespace="tollgate")
    text = yaml.safe_load(next(text for path, text in rendered.items() if path.endswith("configmap.yaml")))["data"]["tollgate.yaml"]
    for changed in ["true", "sticky: false", "prompt_cache: false"]:
        if changed not in text:
            fail(f"Helm does not turn a word into `{changed}` any more: {text}")
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        file.write(text)
        file.flush()
        checked = subprocess.run([binary, "check", file.name], env={"PATH": os.environ["PATH"]}, capture_output=True, text=True)
    if checked.returncode != 0:
        fail(f"words that Helm turns into booleans: {checked.stdout}{checked.stderr}")
    print("chart: `on` and `off` are valid as Helm writes them")


def serve(name, command, environment, container):
    """Starts the container's command and requests its probes."""
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as node:
        try:
            control = None
            for line in node.stderr:
                if '"message":"listening"' in line:
                    control = json.loads(line)["control"]
                    break
            if control is None:
                fail(f"{name}: the node does not start")
            for probe in ["startupProbe", "livenessProbe", "readinessProbe"]:
                path = container[probe]["httpGet"]["path"]
                with urllib.request.urlopen(f"http://{control}{path}", timeout=5) as response:
                    print(f"chart: {name}: {probe} {path}: {response.status}")
        finally:
            node.terminate()
            node.wait(timeout=60)


def check_versions():
    """The chart has the version of Tollgate, whose image it starts."""
    lines = (ROOT / "Cargo.toml").read_text().split("[workspace.package]", 1)[1].splitlines()
    version = next(line.split('"')[1] for line in lines if line.startswith("version = "))
    about = yaml.safe_load((CHART / "Chart.yaml").read_text())
    if (about["version"], about["appVersion"]) != (version, version):
        fail(f"Chart.yaml has the versions {about['version']} and {about['appVersion']}: set both to {version}, that of Cargo.toml")
    if about["kubeVersion"] != f">={VERSIONS[0]}.0-0":
        fail(f"Chart.yaml requires Kubernetes {about['kubeVersion']}, the oldest checked schemas are of {VERSIONS[0]}")
    claim = f"schemas of Kubernetes {' and '.join(VERSIONS)}"
    if claim not in PAGE.read_text():
        fail(f"{PAGE.relative_to(ROOT)} does not say which versions are checked: write \"{claim}\"")


def check_page(text):
    """The page creates each Secret that the manifests name, with its keys."""
    objects = {document["kind"]: document for document in yaml.safe_load_all(text)}
    pod = objects["StatefulSet"]["spec"]["template"]["spec"]
    container = pod["containers"][0]
    volumes = {volume["name"]: volume["secret"]["secretName"] for volume in pod["volumes"] if "secret" in volume}
    secrets = {name: set() for name in volumes.values()}
    for source in container["envFrom"]:
        secrets.setdefault(source["secretRef"]["name"], set())
    for variable in container["env"]:
        if "valueFrom" in variable:
            reference = variable["valueFrom"]["secretKeyRef"]
            secrets.setdefault(reference["name"], set()).add(reference["key"])
        elif variable["value"].startswith("file:/secrets/"):
            secrets[volumes["secrets"]].add(variable["value"].removeprefix("file:/secrets/"))
    commands = PAGE.read_text().replace("\\\n", " ").splitlines()
    for name, keys in secrets.items():
        command = next((line for line in commands if any(f" secret {kind} {name} " in line for kind in ["generic", "tls"])), "")
        missing = sorted(key for key in keys if f"--from-literal={key}=" not in command)
        if not command or missing:
            fail(f"{PAGE.relative_to(ROOT)} lacks the command that creates the Secret {name} of {INSTALLED}, with {', '.join(missing) or 'any keys'}")
    print(f"chart: {PAGE.name} creates {len(secrets)} Secrets")


def changed(name, changes):
    """The values of a file, with the changes by their paths."""
    values = copy.deepcopy(values_of(name))
    for path, value in changes.items():
        *folders, last = path.split(".")
        place = values
        for folder in folders:
            place = place.setdefault(folder, {})
        place[last] = value
    return values


def check_monitoring():
    """The objects for the operator of Prometheus: one target for each node, with the job of the alerts; all alerts."""
    enabled = {"monitoring.serviceMonitor.enabled": True, "monitoring.prometheusRule.enabled": True, "monitoring.labels": {"release": "p"}}
    text = render(INSTALLED, {**enabled, "monitoring.serviceMonitor.tlsConfig": {"serverName": "tollgate.example.com"}})
    objects = {}
    for document in yaml.safe_load_all(text):
        objects.setdefault(document["kind"], []).append(document)
    monitor, rule = objects["ServiceMonitor"][0], objects["PrometheusRule"][0]
    wanted = monitor["spec"]["selector"]["matchLabels"].items()
    targets = [service for service in objects["Service"] if wanted <= service["metadata"]["labels"].items()]
    if [service["metadata"]["name"] for service in targets] != ["tollgate-nodes"]:
        fail(f"the ServiceMonitor selects {targets}: each node must be one target")
    endpoint = monitor["spec"]["endpoints"][0]
    if endpoint["port"] not in [port["name"] for port in targets[0]["spec"]["ports"]]:
        fail(f"the ServiceMonitor reads the port {endpoint['port']}, which the Service lacks")
    scrape = yaml.safe_load(SCRAPES.read_text())["scrape_configs"][0]
    job = next(one["replacement"] for one in endpoint["relabelings"] if one["targetLabel"] == "job")
    if (job, endpoint["honorLabels"], endpoint["path"]) != (scrape["job_name"], scrape["honor_labels"], scrape["metrics_path"]):
        fail(f"the ServiceMonitor and {SCRAPES.relative_to(ROOT)} differ: {endpoint}")
    if endpoint["scheme"] != "https" or endpoint["tlsConfig"] != {"serverName": "tollgate.example.com"}:
        fail(f"the ServiceMonitor of nodes with TLS has {endpoint}")
    if endpoint["authorization"]["credentials"] != {"name": "tollgate-metrics", "key": "token"}:
        fail(f"the ServiceMonitor has not the token: {endpoint}")
    if rule["spec"] != yaml.safe_load(RULES.read_text()):
        fail(f"the PrometheusRule has not the rules of {RULES.relative_to(ROOT)}")
    for one in [monitor, rule]:
        if one["metadata"]["labels"].get("release") != "p":
            fail(f"the {one['kind']} lacks monitoring.labels")
    alerts = sum("alert" in one for group in rule["spec"]["groups"] for one in group["rules"])
    print(f"chart: the ServiceMonitor has one target for each node, the PrometheusRule {alerts} alerts")


def check_drain():
    """The jobs for volumes of removed nodes: valid, each with its volume, the configuration and the secrets of a node."""
    objects = list(yaml.safe_load_all(render("digitalocean-singapore", {"drainVolumes": [3, 4]})))
    node = next(one for one in objects if one["kind"] == "StatefulSet")["spec"]["template"]["spec"]
    jobs = [one for one in objects if one["kind"] == "Job"]
    for number, job in zip([3, 4], jobs, strict=True):
        for version in VERSIONS:
            kubernetes_validate.validate(job, version, strict=True)
        pod = job["spec"]["template"]["spec"]
        *volumes, data = pod["volumes"]
        if volumes != node["volumes"] or data["persistentVolumeClaim"]["claimName"] != f"data-tollgate-{number}":
            fail(f"the job of volume {number} has the volumes {pod['volumes']}")
        for key in ["image", "env", "envFrom", "volumeMounts", "securityContext"]:
            if pod["containers"][0][key] != node["containers"][0][key]:
                fail(f"the job of volume {number} has another {key} than a node")
        service = next(one for one in objects if one["kind"] == "Service")
        if service["spec"]["selector"].items() <= job["spec"]["template"]["metadata"]["labels"].items():
            fail("a job would receive requests of clients")
    print(f"chart: {len(jobs)} jobs drain volumes of removed nodes")


def check_machines():
    """The cluster of the values for DigitalOcean has a machine for each node: two nodes never share one."""
    name = "digitalocean-singapore"
    pool = re.search(r"min-nodes=(\d+);max-nodes=(\d+)", (VALUES / f"{name}.yaml").read_text())
    autoscaling = values_of(name)["autoscaling"]
    machines = pool and tuple(map(int, pool.groups()))
    if machines != (autoscaling["minReplicas"], autoscaling["maxReplicas"]):
        fail(f"{name}: the command creates {machines} machines for {autoscaling}")
    print(f"chart: {name}: {machines[0]} to {machines[1]} machines for as many nodes")


def refused(name, changes):
    """The message with which the schema, or a template that compares two values, refuses changed values."""
    values = changed(name, changes)
    try:
        with Chart.load(CHART) as chart:
            chart.validate_schema(values)
            chart.render(values, name="tollgate", namespace="tollgate")
    except helm_python.HelmError as error:
        return str(error)
    return None


def main(arguments):
    if arguments == ["--write"]:
        MANIFESTS.mkdir(exist_ok=True)
        for name in names():
            (MANIFESTS / f"{name}.yaml").write_text(render(name))
        return
    binary = arguments[1] if arguments[:1] == ["--binary"] and len(arguments) == 2 else None
    if arguments and not binary:
        fail("usage: chart.py [--write | --binary FILE]")
    print(f"chart: Helm {helm_python.helm_sdk_version()}, schemas of Kubernetes {' and '.join(VERSIONS)}")
    check_versions()
    for name in names():
        report = helm_python.lint(CHART, values_of(name))
        # 1 is a suggestion, such as an icon.
        if report["errors"] or any(message["severity"] > 1 for message in report["messages"]):
            fail(f"lint with {name}: {report}")
        text = render(name)
        path = MANIFESTS / f"{name}.yaml"
        if not path.exists() or path.read_text() != text:
            fail(f"{path.relative_to(ROOT)} is out of date: run scripts/chart.py --write")
        print(f"chart: {name}: {', '.join(check_objects(name, text))}")
        if name == INSTALLED:
            check_page(text)
        if binary:
            run(binary, name, text)
    if binary:
        check_booleans(binary)
    check_monitoring()
    check_drain()
    check_machines()
    for what, name, changes, key in CONTRADICTIONS:
        message = refused(name, changes)
        if message is None or key not in message:
            fail(f"{what}: the chart does not refuse it with {key}: {message}")
        print(f"chart: {what} is refused: {' '.join(message.split())}")


if __name__ == "__main__":
    main(sys.argv[1:])
