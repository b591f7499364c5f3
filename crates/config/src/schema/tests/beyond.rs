//! Rules that the schema lacks, each with a file that breaks it.

/// Rules that no schema can express: a part of the files that break the rule, one such file, and the reason.
pub(super) const BEYOND_THE_SCHEMA: &[(&str, &str, &str)] = &[
    (
        "price_as: openai/gpt-5}",
        "models: [{name: a, targets: [{provider: mock, model: b, price_as: openai/gpt-5}]}]\nprices: [{model: mock/b, input: 1, output: 1}]",
        "the price and the pattern of the model, and other targets, decide it",
    ),
    (
        "redirect: {path: {prefix: /new}}",
        "routes: [{path: /a, redirect: {path: {prefix: /new}}}]",
        "the path of the route decides it",
    ),
    (
        "/a: 'vault:x'",
        "upstreams: [{name: u, backends: [{url: http://h}]}]
routes: [{path: /a, auth: none, upstreams: u, transformations: {request: {body: {set: {/a: 'vault:x'}}}}}]",
        "any value is valid in a body",
    ),
    (
        "listen: 127.0.0.1:8081",
        "listen: 127.0.0.1:8081\nupstreams: [{name: u, backends: [{url: http://localhost:8081}]}]",
        "the listeners decide which backends are none",
    ),
    (
        "url: 'unix:/run/t.sock'",
        "listen: 'unix:/run/t.sock'\nupstreams: [{name: u, backends: [{url: 'unix:/run/t.sock'}]}]",
        "the listeners decide which backends are none",
    ),
    (
        "timezone: Asia/Nowhere",
        "plans: [{name: pro, timezone: Asia/Nowhere}]",
        "the names of time zones are those of a database",
    ),
    ("${SECRET}", "listen: ${SECRET}", "the schema does not see the content of a variable"),
    (
        "tokens: 9223372036854775808",
        "budgets: {limits: [{dimension: key, tokens: 9223372036854775808, per: day}]}",
        "validators compare floating-point numbers",
    ),
    (
        "input: 1e3",
        "prices: [{model: openai/x, input: 1e3, output: '1'}]\nproviders: [{name: openai, kind: openai}]",
        "validators see a number, not its text",
    ),
    (
        "upstreams: u, strategy: hash}",
        "upstreams: [{name: u, backends: [{url: http://h}]}]\nroutes: [{path: /, upstreams: u, strategy: hash}]",
        "the value is that of the upstream",
    ),
    (
        "labels: {route: x}",
        "routes: [{path: /a, respond: {}, labels: {route: x}}]",
        "a pattern cannot exclude one name",
    ),
    (
        "labels: {a: x, b: x, c: x, d: x}",
        "routes: [{path: /a, respond: {}, labels: {a: x, b: x, c: x, d: x}}, {path: /b, respond: {}, labels: {e: x}}]",
        "the names of all routes are counted together",
    ),
    (
        "discover: {etcd: /a/}",
        "upstreams: [{name: u, discover: {etcd: /a/}}]",
        "the section of the source is elsewhere in the file",
    ),
    (
        "discover: {dns: 10.0.0.1}",
        "upstreams: [{name: u, discover: {dns: 10.0.0.1}}]",
        "a pattern cannot exclude an address",
    ),
    (
        "discover: {consul: a}",
        "upstreams: [{name: u, discover: {consul: a}}]",
        "the section of the source is elsewhere in the file",
    ),
    (
        "script: [check.sh]",
        "upstreams: [{name: u, backends: [{url: http://h}], health_check: {script: [check.sh]}}]",
        "the first of the texts has another rule",
    ),
    (
        "retry: {on: [200]}",
        "upstreams: [{name: u, backends: [{url: http://h}], retry: {on: [200]}}]",
        "validators see a number, not its text",
    ),
    (
        "targets: [{provider: mock, model: a}, {provider: mock, model: a}]",
        "models: [{name: a, targets: [{provider: mock, model: a}, {provider: mock, model: a}]}]",
        "a schema compares whole entries only",
    ),
    (
        "{name: own, kind: openai, credential: x, base_url: ",
        "listen: 127.0.0.1:9001\nproviders: [{name: own, kind: openai, credential: x, base_url: 'http://127.0.0.1:9001/v1'}]",
        "the schema does not compare two keys of different sections",
    ),
    (
        "model: a, weight: 0}, {provider: mock, model: b, weight: 0}",
        "models: [{name: a, targets: [{provider: mock, model: a, weight: 0}, {provider: mock, model: b, weight: 0}]}]",
        "a weight that is absent is 1",
    ),
    (
        "retry: {within: 1s, backoff: 2s}",
        "models: [{name: a, targets: [{provider: mock, model: a}], retry: {within: 1s, backoff: 2s}}]",
        "a schema compares no durations",
    ),
    (
        "cooldown: {time: 1h, max: 1m}",
        "models: [{name: a, targets: [{provider: mock, model: a}], cooldown: {time: 1h, max: 1m}}]",
        "a schema compares no durations",
    ),
    (
        "on: [timeout, 200]",
        "models: [{name: a, targets: [{provider: mock, model: a}], retry: {on: [timeout, 200]}}]",
        "validators see a number, not its text",
    ),
    (
        "status: 299-200",
        "upstreams: [{name: u, backends: [{url: http://h}], health_check: {path: /, status: 299-200}}]",
        "a pattern cannot compare two numbers",
    ),
    (
        "rate_limits: [{dimension: model,",
        "routes: [{path: /a, respond: {}, rate_limits: [{dimension: model, limit: 1, window: 1s}]}]",
        "the dimension is valid in other lists",
    ),
    (
        "rate_limits: [{dimension: ip, unit: tokens,",
        "routes: [{path: /a, respond: {}, rate_limits: [{dimension: ip, unit: tokens, limit: 1, window: 1s}]}]",
        "the unit is valid in other lists",
    ),
    (
        "authorized_user",
        "providers: [{name: p, kind: vertex, project: p, credential: '{\"type\": \"authorized_user\"}'}]",
        "a pattern cannot read the fields of a file",
    ),
    ("color: '#ffffff'", "brand: {color: '#ffffff'}", "a pattern cannot compute a contrast"),
    (
        "burst: 367",
        "rate_limits: [{dimension: ip, limit: 1, window: 1d, algorithm: token_bucket, burst: 367}]",
        "the time that an empty bucket needs comes from three values",
    ),
    (
        "production: true",
        "production: true\nlisten: 0.0.0.0:80",
        "a pattern cannot tell which addresses other machines can reach",
    ),
    (
        "proxy_protocol: true",
        "listen: [{address: '127.0.0.1:1', proxy_protocol: true}]",
        "`trusted_proxies` may be in a variable",
    ),
    (
        "tls: {ca: a}",
        "upstreams: [{name: u, tls: {ca: a}, backends: [{url: http://h}]}]",
        "the schema does not compare the scheme of each backend",
    ),
    (
        "algorithms: [ES256], public_key",
        "auth: [{name: a, type: jwt, algorithms: [ES256], public_key: \"-----BEGIN PUBLIC KEY-----\\nMCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\\n-----END PUBLIC KEY-----\\n\"}]",
        "a pattern cannot see the kind of a key",
    ),
    (
        "algorithms: [HS512]",
        "auth: [{name: a, type: jwt, algorithms: [HS512], secret: 0123456789abcdef0123456789abcdef}]",
        "the schema does not compare the length of a secret with the algorithms",
    ),
    (
        "claims_to_headers: {sub:",
        "auth: [{name: a, type: jwt, algorithms: [HS256], secret: 0123456789abcdef0123456789abcdef, claims_to_headers: {sub: Host}}]",
        "a pattern cannot exclude names",
    ),
    (
        "$2b$15$",
        "auth: [{name: a, type: basic, users: [{name: u, hash: '$2b$15$abcdefghijklmnopqrstuugIEnm3ZbWF6xb2GcoE3L1CoGJFMKtu.'}]}]",
        "a pattern cannot compute the cost of a hash",
    ),
    (
        "m=65537,",
        "auth: [{name: a, type: basic, users: [{name: u, hash: '$argon2id$v=19$m=65537,t=1,p=1$YSBzYWx0IG9mIHRlc3RzIQ$vQs0X0mFnlBVh6mFAhs29A'}]}]",
        "a pattern cannot compute the cost of a hash",
    ),
    (
        "headers_to_upstream: [Host]",
        "auth: [{name: a, type: forward, url: 'http://h/', headers_to_upstream: [Host]}]",
        "a pattern cannot exclude names",
    ),
    (
        "tls: {server_name: h}}]",
        "auth: [{name: a, type: forward, url: 'http://h/', tls: {server_name: h}}]",
        "the schema does not compare the scheme of the URL",
    ),
    (
        "use: a}, {type: jwt, use: b}",
        "auth: [{name: a, type: jwt, algorithms: [HS256], secret: 0123456789abcdef0123456789abcdef}, {name: b, type: jwt, algorithms: [HS256], secret: 0123456789abcdef0123456789abcdef}]\nroutes: [{path: /a, respond: {}, auth: {any: [{type: jwt, use: a}, {type: jwt, use: b}]}}]",
        "the schema does not compare alternatives",
    ),
    (
        "{type: none}, {type: key}",
        "auth: [{name: a, type: jwt, algorithms: [HS256], secret: 0123456789abcdef0123456789abcdef}]\nroutes: [{path: /a, respond: {}, auth: {any: [{type: none}, {type: key}]}}]",
        "the schema does not compare alternatives",
    ),
    (
        "{type: forward}, {type: key}",
        "auth: [{name: gate, type: forward, url: 'http://h/'}]\nroutes: [{path: /a, respond: {}, auth: {any: [{type: forward}, {type: key}]}}]",
        "the schema does not compare alternatives",
    ),
    (
        "{type: basic}, {type: basic",
        "auth: [{name: ops, type: basic, users: [{name: ada, hash: '$2b$04$abcdefghijklmnopqrstuugIEnm3ZbWF6xb2GcoE3L1CoGJFMKtu.'}]}]\nroutes: [{path: /a, respond: {}, auth: {any: [{type: basic}, {type: basic}]}}]",
        "the schema does not compare alternatives",
    ),
    (
        "auth: [{name: a, type: key, redis: {}}]",
        "auth: [{name: a, type: key, redis: {}}]",
        "the URL of Redis may be in a variable",
    ),
    ("store: redis", "routes: [{path: /a, cache: {store: redis}, upstreams: u}]", "Redis may be in a variable"),
    (
        "any: [{type: key, use: shared}, {type: key, use: ",
        "redis: redis://h\nauth: [{name: shared, type: key, redis: {}}]\nroutes: [{path: /a, respond: {}, auth: {any: [{type: key, use: shared}, {type: key, use: shared}]}}]",
        "the schema does not compare alternatives",
    ),
    (
        "model: eu.amazon.nova-pro-v1:0}",
        "providers: [{name: p, kind: bedrock, region: r, endpoint: runtime}]\nmodels: [{name: a, targets: [{provider: p, model: eu.amazon.nova-pro-v1:0}]}]",
        "the schema does not look up the provider of a target",
    ),
    ("regex: '(", "routes: [{path: {regex: '('}, respond: {}}]", "a pattern cannot parse a regular expression"),
    ("'/{a}/{a}'", "routes: [{path: '/{a}/{a}', respond: {}}]", "a pattern cannot compare two parts of a text"),
    (
        "weight: 0}, {name: b, weight: 0}",
        "upstreams: [{name: a, backends: [{url: http://a}]}, {name: b, backends: [{url: http://b}]}]\nroutes: [{path: /, upstreams: [{name: a, weight: 0}, {name: b, weight: 0}]}]",
        "a weight may be in a variable",
    ),
    (
        "path: /unsent",
        "upstreams: [{name: u, backends: [{url: http://h}]}]\nroutes: [{path: /, upstreams: u, transformations: {request: {rewrite: {path: /unsent/../x}}}}]",
        "a pattern cannot decode a path",
    ),
    ("prefix: /unsent", "routes: [{path: {prefix: /unsent%zz}, respond: {}}]", "a pattern cannot decode a path"),
    ("path: '/{id}/unsent", "routes: [{path: '/{id}/unsent/%2e', respond: {}}]", "a pattern cannot decode a path"),
    (
        "prefix: /not-a-prefix",
        "upstreams: [{name: u, backends: [{url: http://h}]}]\nroutes: [{path: /, upstreams: u, transformations: {request: {rewrite: {path: {prefix: /not-a-prefix}}}}}]",
        "the schema does not compare two keys of different sections",
    ),
    (
        "'/old/{id}', redirect",
        "routes: [{path: '/old/{id}', redirect: {to: 'https://{id}/'}}]",
        "a pattern cannot find the host of a URL",
    ),
    (
        "upgrades: [websocket], path: /x",
        "upstreams: [{name: u, backends: [{url: h2c://h}]}]\nroutes: [{upgrades: [websocket], path: /x, upstreams: u}]",
        "the schema does not follow the name of an upstream",
    ),
    (
        "cache: {}, path: /x",
        "upstreams: [{name: u, backends: [{url: http://h}]}]
routes: [{cache: {}, path: /x, upstreams: [{name: u, transformations: {response: {status: {418: 400}}}}]}]",
        "the schema does not relate these keys",
    ),
    ("clamp: True", "budgets: {clamp: True}", "validators see a boolean, not its text"),
];
