// Shared by all scripts: runs the scenarios, at most AT_ONCE at a time, and prints one line of JSON for each.
import assert from "node:assert/strict";
import { setTimeout as pause } from "node:timers/promises";

const { GATEWAY, PROBE, ARRIVALS, KEY, KEY_FEW, KEY_SPENT, KEY_UNKNOWN, ONLY } = process.env;
// ONLY: if set, only scenarios of these calls and cases run: `CALL CASE;CALL CASE`.
const AT_ONCE = 10;
const SCENARIO_TIMEOUT_MS = 30_000;
/** Format of Tollgate's request ids. */
const UUID_V7 = /[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}/;
/** Timeouts of the client in timeout scenarios. If a request does not arrive in time, another one has the next timeout. */
const IMPATIENT_MS = [1_000, 4_000, 16_000];

export { assert };

/** Failures that scenarios provoke; each script checks how its client reports them. */
const FAULTS = [
  { name: "unknown key", key: KEY_UNKNOWN, model: "mock", status: 401, says: /key/ },
  { name: "spent quota", key: KEY_SPENT, model: "mock", status: 429, says: /quota/ },
  { name: "unknown model", model: "no-such-model", status: 404, says: /no-such-model/ },
  { name: "upstream 500", model: "failing", status: 500, says: /mock/, once: true },
  { name: "upstream 529", model: "overloaded", status: 529, says: /mock/, once: true },
];

/** Asserts that `text` is a readable text. */
export function hasText(text) {
  assert.ok(typeof text === "string" && text.trim().length > 3, `no text: ${JSON.stringify(text)}`);
}

export function hasId(text) {
  assert.match(String(text), UUID_V7);
}

export function isA(error, type) {
  assert.ok(error instanceof type, `${error.constructor.name} is not a ${type.name}: ${error.message}`);
}

/** Returns the error of the promise, which must be rejected. */
export async function thrown(promise) {
  let value;
  try {
    value = await promise;
  } catch (error) {
    return error;
  }
  throw new assert.AssertionError({ message: `no error was thrown: ${JSON.stringify(value)}` });
}

/** Waits until the request has arrived at the provider of the model `held`, which never answers. */
async function arrival(id) {
  assert.equal((await fetch(`${ARRIVALS}/arrived/${id}`)).status, 200);
}

/** Returns whether the request has arrived at the provider of the model `held`. */
async function hasArrived(id) {
  return (await fetch(`${ARRIVALS}/has-arrived/${id}`)).status === 200;
}

/** Returns the text of a whole stream. */
export async function drained(opened, piece) {
  let text = "";
  for await (const event of opened) text += piece(event) ?? "";
  return text;
}

export class Suite {
  #scenarios = [];
  #probe;

  /** Takes the client's name in the table, its package version, and the path of its base URL. */
  constructor(client, version, base = "") {
    this.client = client;
    this.version = version;
    this.base = base;
  }

  /**
   * Adds a scenario. `run` receives `{origin, id, key}`; `id` is sent as `x-request-id`, by which the log is searched.
   * `requests` is the number of requests that the log must contain; `note` is printed below the table.
   */
  add(call, kind, name, run, { requests = 1, note, key = KEY } = {}) {
    this.#scenarios.push({ call, case: kind, name, run, requests, note, key });
  }

  /**
   * Adds all scenarios of one call.
   * `spec` describes the call: `whole(client, model, options)` and its `check`; `stream`, and `piece`, the text of one
   * event; `tool`, which sends two requests, or `toolStream`, which sends one. A `free` call costs no credits, and a
   * `fixed` one has no model parameter. A `binary` stream has no events, a `brief` one only a few.
   * `client` has `make(at, options)`, its `options`, and checks of how the library reports failures.
   */
  cover(call, spec, client) {
    const { make } = client;
    const any = spec.whole ?? (async (...args) => drained(await spec.stream(...args), spec.piece));
    // One request to the probe, which records the headers that the client sends.
    this.#probe ??= () => any(make({ ...this.#at("probe"), origin: PROBE, key: KEY }, client.options.once), "mock");
    if (spec.whole) this.add(call, "ok", "whole", async (at) => spec.check(await spec.whole(make(at), "mock")));
    if (spec.tool) this.add(call, "tool", "called and answered", (at) => spec.tool(make(at), "tool"), { requests: 2 });
    if (spec.toolStream) this.add(call, "tool", "streamed", (at) => spec.toolStream(make(at), "tool"));
    if (spec.stream) this.#streams(call, spec, client);
    for (const fault of FAULTS) {
      const hasFault = fault.model === "mock" ? !(spec.free && fault.status === 429) : !spec.fixed;
      // A provider that fails to count is replaced by an estimate.
      if (!hasFault || (spec.free && fault.once)) continue;
      const run = async (at) => {
        const error = await thrown(any(make(at, fault.once ? client.options.once : {}), fault.model));
        assert.equal(error.status, fault.status, error.message);
        assert.match(error.message, fault.says);
        client.caught(error, fault.name);
      };
      this.add(call, "error", fault.name, run, { key: fault.key, note: client.notes?.error });
    }
    if (!spec.fixed) this.#patience(call, any, client, spec.free);
  }

  /** Adds the scenario in which a key with one request per minute sends two. */
  limited(call, { whole }, { make, options, caught }) {
    const run = async (at) => {
      await whole(make(at, options.once), "mock");
      const error = await thrown(whole(make(at, options.once), "mock"));
      assert.equal(error.status, 429, error.message);
      assert.match(error.message, /a minute/);
      caught(error, "rate limit");
    };
    this.add(call, "error", "rate limit", run, { key: KEY_FEW, requests: 2 });
  }

  #streams(call, { stream, piece, binary, brief, note }, { make, caughtInStream, leave, isAborted, notes }) {
    const whole = async (at) => hasText(await drained(await stream(make(at), "mock"), piece));
    this.add(call, "stream", "to its end", whole);
    const broken = (model) => async (at) => {
      const error = await thrown(stream(make(at), model).then((opened) => drained(opened, piece)));
      // A stream of bytes has no event that could report the reason of its end.
      if (!binary) caughtInStream(error);
    };
    if (!brief) this.add(call, "stream", "cut upstream", broken("cut"), { note: note ?? notes?.cut });
    // The upstream ends the stream cleanly, but before the format's last event, which streams of bytes lack.
    if (!brief && !binary) {
      this.add(call, "stream", "ended early upstream", broken("unfinished"), { note: note ?? notes?.cut });
    }
    this.add(call, "cancel", "in a stream", async (at) => {
      const stop = new AbortController();
      const opened = await stream(make(at), brief ? "paced" : "long", leave(stop.signal));
      const enough = brief ? 1 : 3;
      let pieces = 0;
      try {
        for await (const _ of opened) if (++pieces === enough) stop.abort();
      } catch (error) {
        if (pieces < enough) throw error;
        if (!binary) isAborted(error);
      }
      assert.ok(pieces >= enough, `${pieces} pieces`);
    });
  }

  #patience(call, any, { make, options, leave, isTimedOut, isAborted, notes }, free) {
    for (const [model, status] of [["busy", 429], ["away", 503]]) {
      const run = async (at) => void (await any(make(at, options.again), model));
      if (options.again && !free) this.add(call, "retry", `after ${status}`, run, { requests: 2, note: notes?.retry });
    }
    this.add(call, "timeout", "of the client", async (at) => {
      for (const timeout of IMPATIENT_MS) {
        isTimedOut(await thrown(any(make(at, options.within(timeout)), "held")));
        if (await hasArrived(at.id)) return;
        // The log must contain one request with the id of the scenario.
        at.id = `again-${at.id}`;
      }
      assert.fail("no request arrived before its timeout");
    });
    this.add(call, "cancel", "before the answer", async (at) => {
      const stop = new AbortController();
      const left = thrown(any(make(at, options.once), "held", leave(stop.signal)));
      await Promise.race([arrival(at.id), left]);
      stop.abort();
      isAborted(await left);
    });
  }

  async run() {
    await thrown(this.#probe());
    const isChosen = ([, scenario]) => !ONLY || ONLY.split(";").includes(`${scenario.call} ${scenario.case}`);
    const waiting = [...this.#scenarios.entries()].filter(isChosen).values();
    const worker = async () => {
      for (const [number, scenario] of waiting) await this.#one(number, scenario);
    };
    await Promise.all(Array.from({ length: AT_ONCE }, worker));
    // Open connections of some clients would delay the end of the process.
    process.exit(0);
  }

  async #one(number, { run, key, ...line }) {
    const at = { ...this.#at(number), key };
    const limit = new AbortController();
    const late = pause(SCENARIO_TIMEOUT_MS, null, { signal: limit.signal }).then(() => {
      throw new Error(`not within ${SCENARIO_TIMEOUT_MS} ms`);
    });
    const fail = (error) => `${error?.constructor?.name}: ${error?.message}\n${error?.stack ?? ""}`.slice(0, 2000);
    const detail = await Promise.race([Promise.resolve().then(() => run(at)), late]).then(() => "", fail);
    limit.abort();
    late.catch(() => {});
    const { client, version, base } = this;
    console.log(JSON.stringify({ client, version, base, ...line, id: at.id, pass: !detail, detail }));
  }

  #at(scenario) {
    const client = this.client.replaceAll(/[^a-z0-9]+/gi, "-");
    return { origin: GATEWAY, id: `${client}-${this.version}.${scenario}` };
  }
}
