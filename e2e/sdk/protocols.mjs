// Sends requests with Node's fetch and with node:http2, and prints one line of JSON for each response.
import { createHash } from "node:crypto";
import { subscribe } from "node:diagnostics_channel";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { connect } from "node:http2";

const { TLS, PLAIN, KEY } = process.env;
const BODY = readFileSync(process.env.BODY);
const STREAMS = 20;

const sha256 = (bytes) => createHash("sha256").update(bytes).digest("hex");
const report = (line) => console.log(JSON.stringify(line));

/** The protocol of the last connection that fetch opened. */
let fetched;
subscribe("undici:client:connected", ({ socket }) => {
  fetched = socket.alpnProtocol || "none";
});

async function byFetch() {
  const response = await fetch(TLS, { method: "POST", headers: { authorization: `Bearer ${KEY}` }, body: BODY });
  const body = Buffer.from(await response.arrayBuffer());
  // Without a selected protocol, fetch speaks HTTP/1.1.
  report({ name: "TLS fetch", protocol: fetched, status: response.status, sha256: sha256(body) });
}

/** Sends one request on a session of HTTP/2. Returns the line. */
async function stream(session, name, url) {
  const { pathname } = new URL(url);
  const request = session.request({ ":method": "POST", ":path": pathname, authorization: `Bearer ${KEY}` });
  request.end(BODY);
  const [head] = await once(request, "response");
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  return { name, protocol: session.alpnProtocol, status: head[":status"], sha256: sha256(Buffer.concat(chunks)) };
}

/** Sends requests on one connection at the same time. */
async function byHttp2(name, url) {
  const session = connect(url);
  await once(session, "connect");
  const streams = Array.from({ length: STREAMS }, () => stream(session, name, url));
  for (const line of await Promise.all(streams)) report(line);
  session.close();
}

await byFetch();
await byFetch();
await byHttp2("TLS http2", TLS);
await byHttp2("PLAIN http2", PLAIN);
process.exit(0);
