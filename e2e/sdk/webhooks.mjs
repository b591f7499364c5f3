// A receiver of webhooks, which the library `standardwebhooks` verifies. It prints its port, then each delivery as a line of JSON, and
// serves until its standard input ends.
//
// Each line of its input is its behaviour from then on, which it confirms with a line: `secret whsec_…` verifies the following
// deliveries with this secret; `status N` responds with this status.
import { createServer } from "node:http";
import { createInterface } from "node:readline";

import { Webhook, WebhookVerificationError } from "standardwebhooks";

const behaviour = { status: 204, secret: "" };

function print(line) {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

function verified(headers, body) {
  if (behaviour.secret === "") return { verified: false, message: null };
  try {
    return { verified: true, message: new Webhook(behaviour.secret).verify(body, headers) };
  } catch (error) {
    if (!(error instanceof WebhookVerificationError)) throw error;
    return { verified: false, message: error.message };
  }
}

const server = createServer((request, response) => {
  const parts = [];
  request.on("data", (part) => parts.push(part));
  request.on("end", () => {
    const body = Buffer.concat(parts).toString("utf8");
    print({ path: request.url, headers: request.headers, ...verified(request.headers, body) });
    response.writeHead(behaviour.status).end();
  });
});
server.listen(0, "127.0.0.1", () => print(server.address().port));

const lines = createInterface({ input: process.stdin });
lines.on("line", (line) => {
  const [word, value] = line.trim().split(" ");
  if (word === "secret") behaviour.secret = value;
  else behaviour.status = Number(value);
  print({ mode: word });
});
lines.on("close", () => process.exit(0));
