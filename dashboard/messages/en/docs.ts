export const docs = {
  title: "Documentation",
  start: "Start",
  startText: "You need an account and a key. The person who runs this server gives you an account; you create the key yourself.",
  key: "Get a key",
  keySteps: [
    "Sign in with your email and password, or with a key that you already have.",
    "Open Keys and choose Create key. Give it the name of the application that will use it.",
    "Copy the key. It is shown once; the server stores only its hash.",
  ],
  keyLimits:
    "A key can have its own limits: models, routes, networks, credits per day, requests per minute and an expiry. Rotate a key to replace its secret; the old one may stay valid for a grace period.",
  call: "Make a call",
  callText: "Send the key as a bearer token to the base URL of your client:",
  agents: "Set up an agent",
  agentsText: "These commands ask for a key and configure the agent on your machine. Add --undo to restore the earlier configuration.",
  demo: "Demo keys",
  demoText:
    "A server that was started with --demo prints one key for each of its demo users. They call the model mock, which sends nothing to a provider. Its prices are examples.",
  errors: "Errors",
  errorsText: "A refused request has a JSON body with a code, a message and the status. On LLM paths the body has the format of the provider's API.",
  errorCodes: [
    ["401 key_unknown, key_revoked, key_expired", "The key is wrong or ended. Create another one."],
    ["403 forbidden", "The key may not use this model, route or network."],
    ["404 model_not_found", "No provider serves this model name."],
    ["429 rate_limited", "Too many requests in a minute. Wait as long as Retry-After says."],
    ["429 quota_exceeded", "The credits of the day are used up. They return at midnight UTC. OpenAI clients see insufficient_quota."],
    ["429 budget_exceeded", "A budget of money or tokens is used up until its period ends. OpenAI clients see insufficient_quota."],
    ["502, 503, 504", "The provider failed or is not reachable. Try again later."],
  ] as readonly (readonly [string, string])[],
  limits: "Limits",
  limitsText:
    "A plan sets a quota of credits per UTC day and a rate of requests, for all keys of a user together. Budgets limit money, credits or tokens per day or month. The amounts are reserved before a call and settled after it, so no limit can be exceeded by parallel calls.",
  api: "Admin API",
  apiText: "Everything in the dashboard is also an API. Its reference lists every field, error and example.",
  apiLink: "Open the API reference",
  documents: "All documents",
  documentsText: "The guides and references of this version, for the people who run this server.",
};
